"""Rows as they come by PyMySQL, and how they are ended early; imported with the driver.

PyMySQL reads a result that nobody wants to its last row: when its cursor is closed, before the
next statement, and even while garbage is collected.  Here the server is asked to stop, by KILL
QUERY from another connection, and garbage reads nothing.
"""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from pymysql import err
from pymysql.connections import MySQLResult
from pymysql.constants import CLIENT, CR
from pymysql.cursors import SSCursor
from pymysql.protocol import MysqlPacket

from plainsql_mysql.skipping import OutOfStepError, RowSkipper

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

#: Seconds in which a result may end by itself: the other connection takes about as long to open.
PATIENCE = 0.01
#: Seconds from then on by which the request must have arrived, and after it the end must come.
LIMIT = 5.0
#: Bytes that are read at once.
PIECE = 1 << 16
#: Sort aborted, interrupted (twice: MySQL's own limit), and MariaDB's limit.
STOPPED = frozenset((1028, 1317, 1969, 3024))
#: What may be stopped; of an INSERT … RETURNING the server would undo what it has inserted.
QUERY = re.compile(
    r"(?:[\s(]|/\*(?![!M]).*?\*/|--\s[^\n]*+(?:\n|\Z)|#[^\n]*+(?:\n|\Z))*+"
    r"(?:SELECT|WITH|TABLE|VALUES|SHOW)\b(?!.*\bRETURNING\b)",
    re.IGNORECASE | re.DOTALL,
)


def stop_by(another: Any, thread_id: int) -> None:
    """Ask the server, by another connection, to stop what runs on the one with that number."""
    with another.cursor() as cursor:
        cursor.execute(f"KILL QUERY {thread_id}")


class StreamCursor(SSCursor):
    """An unbuffered cursor that does not read on to the end of what nobody wants.

    `close()` comes to the end of a query by having it stopped; the transaction lives on, and so do
    its locks, but what the query's own functions have written is undone.
    """

    def _query(self, q: Any) -> Any:
        count = super()._query(q)  # type: ignore[misc] # it has no public name
        result: Any = self._result  # type: ignore[attr-defined]
        if result is not None and result.unbuffered_active:
            several = self.connection.client_flag & CLIENT.MULTI_STATEMENTS
            result.may_be_stopped = not several and QUERY.match(q) is not None
            result.__class__ = StreamResult  # PyMySQL does not ask whose it should make
        return count

    def __del__(self) -> None:
        """Read nothing: it may be long, and the connection somebody else's by now."""


class StreamResult(MySQLResult):
    """What a `StreamCursor` reads from."""

    may_be_stopped: bool

    def __del__(self) -> None:
        """Read nothing, as above."""

    def _finish_unbuffered_query(self) -> None:
        raw: Any = self.connection
        if not self.unbuffered_active or not raw.open:
            self.unbuffered_active = False
        elif not self.may_be_stopped:
            super()._finish_unbuffered_query()  # type: ignore[misc]
        else:
            with Stopper(raw) as stopper:
                failure = self._read_on(raw, stopper)
            stopper.settle()
            if failure is not None:
                raise failure

    def _read_on(self, raw: Any, stopper: Stopper) -> Exception | None:
        """Skip what comes; return why it ended, if not because it was stopped."""
        try:
            last = MysqlPacket(_skip(raw, stopper), raw.encoding)
            if last.is_error_packet():
                last.raise_for_error()
        except err.MySQLError as exc:
            if not raw.open:
                raise
            return None if exc.args[0] in STOPPED else exc
        finally:
            self.unbuffered_active = False
            self.connection = None
        return None


def _skip(raw: Any, stopper: Stopper) -> bytes:
    """Read rows up to the packet that ends them, and return that; closes what fails."""
    skipper, last = RowSkipper(raw._next_seq_id), None  # noqa: SLF001 - it has no public name
    try:
        while last is None:
            if stopper.is_asking:
                stopper.wait()
            piece = raw._rfile.read1(PIECE)  # noqa: SLF001 - as above
            if not piece:
                raise ConnectionError("the server closed the connection")
            last = skipper.feed(piece)
    except (OSError, OutOfStepError) as exc:
        raw._force_close()  # noqa: SLF001 - as above
        text = f"Lost connection to MySQL server while a stream was closed ({exc})"
        raise err.OperationalError(CR.CR_SERVER_LOST, text) from exc
    except BaseException:
        raw._force_close()  # noqa: SLF001 - as above
        raise
    return last


class Stopper:
    """Has the query of a connection stopped, unless it ends by itself within the patience.

    A context manager around reading on, which stands still `is_asking`: the threads would take
    turns at the interpreter, and the request be on its way for long.  What does not end after all
    is cut off.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._lock = threading.Lock()
        self._ended, self._over = threading.Event(), threading.Event()
        self.is_asking = self._asked = self._told = False
        self._thread = threading.Thread(target=self._stop, name="plainsql-stop", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._ended.set()

    def wait(self) -> None:
        """Wait until the request has arrived, or could not be made."""
        if not self._over.wait(LIMIT):
            self._give_up()

    def _stop(self) -> None:
        if self._ended.wait(PATIENCE):
            return
        self.is_asking = True
        try:
            with suppress(err.MySQLError, OSError):
                self._ask()
        finally:
            self.is_asking = False
            self._over.set()
            if not self._ended.wait(LIMIT):
                self._cut_off()

    def _ask(self) -> None:
        with self._raw.plainsql_open_another() as another:
            with self._lock:
                if self._ended.is_set():
                    return
                self._asked = True
            stop_by(another, self._raw.thread_id())
            self._told = True

    def _cut_off(self) -> None:
        with suppress(OSError, AttributeError):  # it was closed meanwhile, and has no socket
            self._raw._sock.shutdown(2)  # noqa: SLF001 - it has no public name

    def settle(self) -> None:
        """Let the request hit nothing else: a statement for it, or the end of the connection."""
        if not self._asked:
            return
        self._thread.join(LIMIT)
        if not self._told:
            self._give_up()
        try:
            self._raw.query("DO 0")
        except err.MySQLError as exc:
            if exc.args[0] not in STOPPED:
                raise

    def _give_up(self) -> NoReturn:
        self._raw._force_close()  # noqa: SLF001 - as above
        raise err.OperationalError(
            CR.CR_SERVER_LOST,
            "the query of a stream could not be stopped in time, and the request may arrive later: "
            "the connection was closed",
        )
