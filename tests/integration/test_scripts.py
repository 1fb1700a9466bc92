"""Scripts with what only one database has: functions, triggers, compound statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plainsql import errors

if TYPE_CHECKING:
    from plainsql import Engine


@pytest.mark.only_on("postgresql", reason="BEGIN ATOMIC, dollar quotes")
def test_a_script_of_postgresql(engine: Engine) -> None:
    script = """
        CREATE TABLE pg_temp.t (x int);
        CREATE TABLE pg_temp.log (x int);
        CREATE FUNCTION pg_temp.f(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC
            SELECT CASE WHEN a > 1 THEN a ELSE 1 END; SELECT a + 1;
        END;
        CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM log; INSERT INTO log VALUES (new.x));
        DO $$ BEGIN INSERT INTO t VALUES (7); PERFORM ':x;'; END $$;
        INSERT INTO t SELECT pg_temp.f(8)
    """
    with engine.connect() as connection:
        assert connection.execute_script(script) == 6
        assert connection.scalars("SELECT x FROM pg_temp.t ORDER BY x").all() == [7, 9]
        assert connection.scalar("SELECT x FROM pg_temp.log") == 9
        connection.rollback()


@pytest.mark.only_on("mysql", "mariadb", reason="compound statements, DELIMITER")
def test_a_script_of_mysql(engine: Engine, table_name: str) -> None:
    name = table_name
    script = f"""
        /*!40101 SET @old_mode = @@sql_mode, sql_mode = '' */;
        CREATE TABLE {name} (x INT);
        DROP PROCEDURE IF EXISTS {name};
        CREATE PROCEDURE {name}(n INT) BEGIN
            DECLARE i INT DEFAULT 0;
            WHILE i < n DO SET i = i + 1; INSERT INTO {name} VALUES (i); END WHILE;
        END;
        CALL {name}(2);
        SET sql_mode = 'NO_BACKSLASH_ESCAPES';
        INSERT INTO {name} SELECT length('a\\') + length('; -- ');
        SELECT ';';
DELIMITER $$
        INSERT INTO {name} VALUES (5) $$
        DROP PROCEDURE {name} $$
        SET sql_mode = '' $$
        INSERT INTO {name} SELECT length('a\\'$$') $$
DELIMITER ;
        INSERT INTO {name} VALUES (6);
        INSERT INTO {name} VALUES (7, 8);
    """
    by_itself = engine.execution_options(isolation_level="AUTOCOMMIT")
    with by_itself.connect() as connection:
        with pytest.raises(errors.DBAPIError, match=r"statement 14 of the script, line 20\]"):
            connection.execute_script(script)
        rows = connection.scalars(f"SELECT x FROM {name} ORDER BY x").all()
        assert rows == [1, 2, 4, 5, 6, 7]


@pytest.mark.only_on("sqlite", reason="triggers with bodies")
def test_a_script_of_sqlite(engine: Engine) -> None:
    script = """
        CREATE TABLE t (x INT); CREATE TABLE log (x INT);
        CREATE TEMP TRIGGER one AFTER INSERT ON t WHEN CASE new.x WHEN 1 THEN 1 END BEGIN
            INSERT INTO log VALUES (new.x); INSERT INTO log VALUES (-new.x);
        END;
        INSERT INTO t VALUES (1), (2)
    """
    with engine.connect() as connection:
        assert connection.execute_script(script) == 4
        assert connection.scalars("SELECT x FROM log ORDER BY x").all() == [-1, 1]
        connection.rollback()
