-- tests write only to a database that bears this table (tests/servers.py)
CREATE TABLE plainsql_test_marker (note VARCHAR(100));
