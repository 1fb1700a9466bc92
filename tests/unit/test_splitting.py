"""Scripts, split into their statements."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from plainsql.lexing import scan_script
from tests.unit.rules import MARIADB, MYSQL, MYSQL_9, POSTGRESQL, SQLITE, STANDARD

if TYPE_CHECKING:
    from plainsql.rules import LexicalRules


def texts(script: str, rules: LexicalRules) -> list[str]:
    parts, error = scan_script(script, rules)
    assert error is None
    return [part.text for part in parts]


TRIGGER = (
    "CREATE TEMP TRIGGER t AFTER INSERT ON a WHEN CASE WHEN 1 THEN 1 END BEGIN\n"
    "  UPDATE a SET x = CASE x WHEN 1 THEN 2 ELSE 3 END;\n  DELETE FROM b;\nEND"
)
ATOMIC = (
    "CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql\n"
    "BEGIN ATOMIC\n  SELECT CASE WHEN a > 1 THEN 1 END;\n  SELECT 2;\nEND"
)
PROCEDURE = (
    "CREATE DEFINER=`a b`@`%` PROCEDURE p(n INT)\nBEGIN\n  DECLARE i INT DEFAULT 0;\n"
    "  l: WHILE i < n DO SET i = i + 1; IF i > 3 THEN LEAVE l; END IF; END WHILE;\n"
    "  CASE i WHEN 1 THEN SELECT 1; ELSE BEGIN END; END CASE;\n"
    "  REPEAT SET i = i - 1; UNTIL i = 0 END REPEAT;\nEND"
)
NAMES = (
    "CREATE TRIGGER t AFTER UPDATE OF begin, end ON a WHEN new.begin < new.end BEGIN\n"
    "  UPDATE a SET begin = new.begin, end = new.end WHERE end > begin;\n"
    "  INSERT INTO a (begin, end) SELECT begin, end FROM b WHERE begin AND end;\nEND"
)
LOCKING = (
    "CREATE PROCEDURE p(begin INT, end INT) BEGIN\n"
    "  DECLARE EXIT HANDLER FOR SQLSTATE '23000' BEGIN SET end = 1; END;\n"
    "  SELECT a FROM t ORDER BY CASE WHEN b THEN 1 END FOR UPDATE;\n"
    "  l: BEGIN FOR i IN 1..2 DO BEGIN SET NEW.end = 1; END; END FOR; END l;\n"
    "  CASE begin WHEN 1 THEN FOR i IN 1..2 DO SELECT CASE WHEN 1 THEN 2 END loop; END FOR;"
    " ELSE BEGIN END; END CASE;\nEND"
)
RULE = "CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b)"


@pytest.mark.parametrize(
    ("rules", "statements"),
    [
        (STANDARD, ["SELECT 1", "SELECT ';'", '-- a;\nSELECT ";" /* ; */', "SELECT 2"]),
        (POSTGRESQL, ["DO $$ BEGIN a; b; END $$", "SELECT E'\\';'", RULE, ATOMIC, "SELECT 1"]),
        (POSTGRESQL, ['CREATE TABLE event (begin int, "end" int)', "SELECT 1"]),
        (POSTGRESQL, ["ALTER TABLE t ENABLE TRIGGER begin_it", "SELECT 1"]),
        (POSTGRESQL, ["BEGIN", "SELECT :a, arr[1:2]", "END", "SELECT 1"]),
        (SQLITE, [TRIGGER, "SELECT 1", TRIGGER.replace("TEMP ", ""), "SELECT ':a'"]),
        (MYSQL, [PROCEDURE, "SELECT '\\';'", "SELECT 1 # ;\n + 1", "SELECT 1"]),
        (MYSQL, ["CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO BEGIN a; b; END", "SELECT 1"]),
        (MYSQL, ["/*!40101 SET @a = 1 */", "/*!50003 CREATE*/ /*!50003 TRIGGER t */", "SELECT 1"]),
        (SQLITE, [NAMES, "SELECT 1", NAMES]),
        (MARIADB, [LOCKING, "SELECT 1", "BEGIN NOT ATOMIC BEGIN END; END", "SELECT 1"]),
        (POSTGRESQL, [ATOMIC.replace("1;", "1 AS end;"), "SELECT 1"]),
        (MARIADB, ["BEGIN NOT ATOMIC SELECT 1; SELECT 2; END", "SELECT 1"]),
    ],
)  # fmt: skip
def test_each_statement_ends_where_the_server_ends_it(
    rules: LexicalRules, statements: list[str]
) -> None:
    for script in (" ;\n".join(statements), ";\n\n".join(statements) + ";", ";".join(statements)):
        assert texts(script, rules) == statements


def test_the_clients_delimiter_is_obeyed() -> None:
    script = f"""SELECT 1;
DELIMITER //
{PROCEDURE}//
SELECT 2; SELECT ';'//
  delimiter $$
{PROCEDURE}
$$
SELECT $$
DELIMITER ;
SELECT 3;
"""
    parts, _ = scan_script(script, MYSQL_9)
    expected = ["SELECT 1", PROCEDURE, "SELECT 2; SELECT ';'", PROCEDURE, "SELECT", "SELECT 3"]
    assert [part.text for part in parts] == expected
    assert [part.delimiter for part in parts] == [";", "//", "//", "$$", "$$", ";"]
    assert [part.line for part in parts] == [1, 3, 10, 12, 20, 22]
    rest, _ = scan_script(script[parts[3].end :], MYSQL_9, "$$")
    assert [part.text for part in rest] == ["SELECT", "SELECT 3"]


def test_what_is_no_command_of_the_client_stays_sql() -> None:
    assert texts("SELECT\nDELIMITER //\n; SELECT 2", MYSQL) == ["SELECT\nDELIMITER //", "SELECT 2"]
    assert texts("DELIMITER //\n; SELECT 2", STANDARD) == ["DELIMITER //", "SELECT 2"]


@pytest.mark.parametrize(
    ("script", "verbs"),
    [
        ("/* a */ select 1; ; -- b\nUpdate t", ["SELECT", "UPDATE"]),
        ("/*!40101 SET a = 1 */; ('x')", ["SET", ""]),
    ],
)
def test_each_statement_has_its_verb(script: str, verbs: list[str]) -> None:
    assert [part.verb for part in scan_script(script, MYSQL)[0]] == verbs


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("SELECT 1;\n SELECT 'a", r"literal that begins here is never closed.*line 2, column 9"),
        ("SELECT 1;\n \\connect x", r"\\connect is a command of a client.*line 2, column 2"),
        (".mode csv", r"\.mode is a command of a client.*line 1, column 1"),
        ("SELECT \0", "NUL"),
    ],
)
def test_what_can_not_be_sent_is_refused(script: str, message: str) -> None:
    parts, error = scan_script(script, POSTGRESQL)
    assert re.search(message, str(error), re.DOTALL)
    assert [part.text for part in parts] == (["SELECT 1"] if "SELECT 1;" in script else [])
