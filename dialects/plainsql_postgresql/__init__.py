"""plainsql for PostgreSQL, on psycopg 3."""
