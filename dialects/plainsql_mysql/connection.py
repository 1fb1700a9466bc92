"""PyMySQL's connection, which believes less of what a server says; imported with the driver."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NoReturn

from pymysql import err
from pymysql.connections import Connection
from pymysql.constants import COMMAND, CR, ER

from plainsql_mysql.tls import trusting_anybody


def too_large(size: int, packet: int) -> str:
    """Say that a statement of so many bytes is more than the server takes."""
    return (
        f"the statement has {size + 1} bytes, which is more than the {packet - 1} that "
        "this server takes (max_allowed_packet)"
    )


class GuardedConnection(Connection):
    """Sends no packet that the server would not take, and no file.

    An oversized packet would end as "server has gone away", as a line that was cut does.
    """

    plainsql_packet = 1 << 30
    _sock: Any
    _rfile: Any

    def query(self, sql: Any, unbuffered: bool = False) -> Any:
        """Send a statement and read its answer: PyMySQL's own, with a look at the length."""
        if isinstance(sql, str):
            sql = sql.encode(self.encoding)
        if len(sql) + 1 >= self.plainsql_packet:
            raise err.DataError(ER.NET_PACKET_TOO_LARGE, too_large(len(sql), self.plainsql_packet))
        self._execute_command(COMMAND.COM_QUERY, sql)  # type: ignore[attr-defined]
        try:
            read = self._read_query_result  # type: ignore[attr-defined]
            self._affected_rows = read(unbuffered=unbuffered)
        except RuntimeError as exc:
            self._refuse_file(exc)
        return self._affected_rows

    def _create_ssl_ctx(self, sslp: Any) -> Any:
        """Load no authorities where nothing was said of TLS: nothing is verified then."""
        return super()._create_ssl_ctx(sslp) if sslp else trusting_anybody()  # type: ignore[misc]

    def _force_close(self) -> None:
        """Shut the socket without a word: PyMySQL's own swallows an interrupt that comes in it."""
        sock, reader = self._sock, self._rfile
        self._sock = self._rfile = None
        try:
            if reader is not None:
                reader.close()
        finally:
            if sock is not None:
                with suppress(OSError):
                    sock.close()

    __del__ = _force_close

    def _refuse_file(self, exc: RuntimeError) -> NoReturn:
        """Close: this is how PyMySQL says that the server answered by asking for a file."""
        self._force_close()
        if type(exc) is not RuntimeError:
            raise exc
        raise err.OperationalError(
            CR.CR_MALFORMED_PACKET,
            "the server asked for a file of this machine (LOCAL INFILE), which is never sent",
        ) from exc


class OverCipherOnly:
    """A login that shows the server the password: only over TLS, or a Unix socket."""

    def __init__(self, connection: Any) -> None:
        if not connection._secure:  # noqa: SLF001 - it has no public name
            raise err.OperationalError(
                CR.CR_AUTH_PLUGIN_ERR,
                "the server asked for the password in clear, without TLS: it was not sent",
            )
        self._connection = connection


class ClearPassword(OverCipherOnly):
    """mysql_clear_password; of `dialog` PyMySQL does the rest itself."""

    def authenticate(self, packet: Any) -> Any:
        """Answer the request; return the server's next packet."""
        del packet
        self._connection.write_packet(self._connection.password + b"\0")
        answer = self._connection._read_packet()  # noqa: SLF001 - as above
        answer.check_error()
        return answer


LOGINS = {"mysql_clear_password": ClearPassword, "dialog": OverCipherOnly}
