"""Servers of ill will, and TLS that must be verified: rows S20, S22 and S23 of the matrix.

Real servers get certificates that are made here; a host of 0.0.0.0 is this machine, and counts as
elsewhere.
"""

from __future__ import annotations

import subprocess
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import ConnectError, DBAPIError, Disconnected, create_engine, make_url
from plainsql.aio import create_async_engine
from tests import rogues
from tests.rogues import Rogue, strips_tls, wants_clear_password, wants_file, wants_password
from tests.servers import Server, Unavailable
from tests.throwaway import Nest, start_throwaway

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from plainsql import URL

CANARY = "c4nary-pa55word"
ROGUES = ("mysql", "mariadb")


def connect(url: str | URL, **options: Any) -> Any:
    """What one statement gives; everything is closed again."""
    engine = create_engine(url, **options)
    try:
        with engine.connect() as connection:
            return connection.scalar("SELECT 1")
    finally:
        engine.dispose()


# -- S20: LOCAL INFILE ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ROGUES)
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "to a query"])
def test_s20_a_server_that_asks_for_a_file_gets_none(
    kind: str, at_once: bool, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(CANARY)
    with Rogue(wants_file(str(secret), at_once=at_once)) as rogue:
        engine = create_engine(f"{kind}://app:x@127.0.0.1:{rogue.port}/shop")
        wanted = ConnectError if at_once else Disconnected
        with pytest.raises(wanted, match="asked for a file"), engine.connect() as connection:
            connection.scalar("SELECT 1")
        rogue.wait()  # before anything is disposed of: the connection is closed already
        engine.dispose()
    assert rogue.ends == ["closed by the client"]
    assert CANARY.encode() not in rogue.heard
    assert bytes(rogue.heard[-4:]) != bytes([0, 0, 0, 2])  # no empty file either


@pytest.mark.parametrize("kind", ROGUES)
def test_s20_nor_by_a_stream_nor_in_a_task(kind: str, tmp_path: Path) -> None:
    import asyncio

    secret = tmp_path / "secret"
    secret.write_text(CANARY)
    talk = wants_file(str(secret), at_once=False)

    async def ask(url: str) -> None:
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            with pytest.raises(Disconnected, match="asked for a file"):
                await connection.scalar("SELECT 1")
        await engine.dispose()

    with Rogue(talk) as rogue:
        url = f"{kind}://app:x@127.0.0.1:{rogue.port}/shop"
        asyncio.run(ask(url))
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection, pytest.raises(Disconnected, match="asked for a file"):
            connection.stream("SELECT 1").__enter__()
        engine.dispose()
    assert CANARY.encode() not in rogue.heard


def test_s20_the_rogue_gets_the_file_of_who_lets_it(tmp_path: Path) -> None:
    """Or the tests above would show nothing: PyMySQL by itself, with the option that is off."""
    import pymysql

    secret = tmp_path / "secret"
    secret.write_text(CANARY)
    with Rogue(wants_file(str(secret), at_once=False)) as rogue:
        raw = pymysql.connect(
            host="127.0.0.1", port=rogue.port, user="app", local_infile=True, autocommit=True
        )
        with pytest.raises(pymysql.Error), raw.cursor() as cursor:
            cursor.execute("SELECT @@sql_mode")
            cursor.execute("SELECT 1")
        raw.close()
    assert CANARY.encode() in rogue.heard


@pytest.mark.only_on("mysql", "mariadb", reason="only they have it")
def test_s20_load_data_local_is_off(url: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(CANARY)
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute("CREATE TEMPORARY TABLE stolen (x TEXT)")
        with pytest.raises(DBAPIError):
            connection.exec_driver_sql(f"LOAD DATA LOCAL INFILE '{secret}' INTO TABLE stolen")
        assert connection.scalar("SELECT count(*) FROM stolen") == 0
        connection.rollback()
    engine.dispose()


# -- S23: a password in clear --------------------------------------------------------------------

LOGINS = [
    pytest.param(b"mysql_clear_password", b"", id="clear"),
    pytest.param(b"dialog", b"\4Password: ", id="dialog"),
    pytest.param(b"dialog", b"\4Your PIN, please: ", id="dialog with another question"),
]


@pytest.mark.parametrize("kind", ROGUES)
@pytest.mark.parametrize(("plugin", "data"), LOGINS)
def test_s23_mysqls_logins_in_clear_are_not_answered(kind: str, plugin: bytes, data: bytes) -> None:
    with Rogue(wants_password(plugin, data)) as rogue:
        with pytest.raises(ConnectError, match="in clear, without TLS: it was not sent") as caught:
            connect(f"{kind}://app:{CANARY}@127.0.0.1:{rogue.port}/shop")
        assert caught.value.phase == "login"
    assert CANARY.encode() not in rogue.heard


@pytest.mark.parametrize(("plugin", "data"), LOGINS[:2])
def test_s23_they_are_by_pymysql_alone(plugin: bytes, data: bytes) -> None:
    """Or the test above would show nothing."""
    with Rogue(wants_password(plugin, data)) as rogue:
        url = f"mysql://app:{CANARY}@127.0.0.1:{rogue.port}/shop"
        with pytest.raises(ConnectError):
            connect(url, connect_args={"auth_plugin_map": {}})
    assert CANARY.encode() in rogue.heard


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - a client's
@pytest.mark.parametrize("option", ["", "?sslmode=prefer", "?sslmode=disable"])
def test_s23_postgresqls_login_in_clear_is_not_answered(host: str, option: str) -> None:
    with Rogue(wants_clear_password) as rogue:
        with pytest.raises(ConnectError) as caught:
            connect(f"postgresql://app:{CANARY}@{host}:{rogue.port}/shop{option}")
        elsewhere = host == "0.0.0.0" and not option  # noqa: S104 - as above
        assert caught.value.phase == ("tls" if elsewhere else "login")
    assert CANARY.encode() not in rogue.heard


def test_s23_it_is_where_the_url_says_so() -> None:
    with Rogue(wants_clear_password) as rogue, pytest.raises(ConnectError):
        connect(f"postgresql://app:{CANARY}@127.0.0.1:{rogue.port}/d?require_auth=password")
    assert CANARY.encode() in rogue.heard


# -- S22: TLS ------------------------------------------------------------------------------------


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for this machine's addresses, by no name, and who signed it;
    `other.pem` is somebody else's.
    """
    folder = tmp_path_factory.mktemp("authority")
    new = ("req", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    for name in ("ca", "other"):
        openssl(
            folder, *new, "-x509", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
            "-out", f"{name}.pem",
        )  # fmt: skip
    openssl(folder, *new, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,IP:0.0.0.0\n")
    openssl(
        folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.pem",
    )  # fmt: skip
    return folder


def with_certificate(kind: str, authority: Path, nest: Nest) -> Sequence[str]:
    files = {
        name: nest.write(name, (authority / name).read_text())
        for name in ("server.pem", "server.key")
    }
    files["server.key"].chmod(0o600)
    certificate, key = files["server.pem"], files["server.key"]
    if kind == "mariadb":
        return [f"--ssl-cert={certificate}", f"--ssl-key={key}"]
    settings = {"ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key}
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def tls(request: pytest.FixtureRequest, authority: Path) -> Iterator[Server]:
    """A server with that certificate."""
    kind: str = request.param
    try:
        server = start_throwaway(kind, lambda nest: with_certificate(kind, authority, nest))
    except Unavailable as exc:
        pytest.skip(str(exc))
    yield server
    server.stop()


def verified(server: Server, ca: Path | None, host: str = "127.0.0.1") -> URL:
    """The server's URL, with verification asked for."""
    url = make_url(server.url).set(host=host)
    if url.get_backend_name() == "postgresql":
        options = {"sslmode": "verify-full"} | ({"sslrootcert": str(ca)} if ca else {})
    else:
        options = {"ssl_verify_identity": "on"} | ({"ssl_ca": str(ca)} if ca else {})
    return url.update_query_dict(options)


def is_encrypted(url: URL) -> bool:
    engine = create_engine(url)
    with engine.connect() as connection:
        if engine.name == "postgresql":
            found = connection.scalar("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        else:
            found = connection.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'").one()[1]
    engine.dispose()
    return bool(found)


def test_s22_a_server_that_proves_itself_is_spoken_to(tls: Server, authority: Path) -> None:
    assert is_encrypted(verified(tls, authority / "ca.pem"))


def test_s22_a_certificate_of_somebody_else_is_refused(tls: Server, authority: Path) -> None:
    for ca in (authority / "other.pem", None):
        with pytest.raises(ConnectError) as caught:
            connect(verified(tls, ca))
        assert caught.value.phase == "tls", str(caught.value)


def test_s22_a_certificate_with_another_name_is_refused(tls: Server, authority: Path) -> None:
    with pytest.raises(ConnectError, match=r"localhost|ostname|host name") as caught:
        connect(verified(tls, authority / "ca.pem", "localhost"))
    assert caught.value.phase == "tls"


@pytest.mark.parametrize("tls", ["mariadb"], indirect=True)
def test_s22_pymysqls_own_options_mean_what_they_say(
    tls: Server, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself it verifies no name without `ssl_ca`, and nothing at all with `ssl_ca` alone."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    url = make_url(tls.url)
    named = {"ssl_verify_identity": "on"}
    assert is_encrypted(url.update_query_dict(named))
    for wrong in (
        url.set(host="localhost").update_query_dict(named),
        url.update_query_dict({"ssl_ca": str(authority / "other.pem")}),
    ):
        with pytest.raises(ConnectError) as caught:
            connect(wrong)
        assert caught.value.phase == "tls"


def test_s22_elsewhere_verification_needs_no_option(
    tls: Server, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whom this machine trusts is what OpenSSL says; here one authority alone."""
    url = make_url(tls.url).set(host="0.0.0.0")  # noqa: S104 - a client's
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "other.pem"))
    with pytest.raises(ConnectError) as caught:
        connect(url)
    assert caught.value.phase == "tls"
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    assert is_encrypted(url)
    off = {"sslmode": "disable"} if tls.kind == "postgresql" else {"ssl_disabled": "on"}
    assert not is_encrypted(url.update_query_dict(off))


def test_s22_on_this_machine_the_drivers_default_stands(tls: Server) -> None:
    """Encrypted where the server can, verified by nobody."""
    assert is_encrypted(make_url(tls.url))


@pytest.mark.parametrize("how", ["by option", "elsewhere"])
def test_s22_a_proxy_that_strips_tls_is_found_out_before_the_password(
    tls: Server, authority: Path, how: str
) -> None:
    url = verified(tls, authority / "ca.pem") if how == "by option" else make_url(tls.url)
    url = url.set(host="0.0.0.0") if how == "elsewhere" else url  # noqa: S104 - a client's
    with Rogue(strips_tls(tls.kind, url.port or 0)) as proxy:
        with pytest.raises(ConnectError) as caught:
            connect(url.set(port=proxy.port))
        assert caught.value.phase == "tls"
        assert proxy.heard == (b"" if tls.kind == "mariadb" else struct_of_tls_request())
        near = make_url(tls.url).set(port=proxy.port)
        assert not is_encrypted(near)  # the proxy does what it is for
        assert (url.password or "").encode() not in proxy.heard


def struct_of_tls_request() -> bytes:
    import struct

    code = next(code for code, name in rogues.REQUESTS.items() if name == "TLS")
    return struct.pack(">II", 8, code)


@pytest.mark.only_on("mysql", reason="its certificate is its own; the others are above")
def test_s22_mysqls_own_certificate_is_nobodys(url: str) -> None:
    asked = make_url(url).update_query_dict({"ssl_verify_cert": "on"})
    with pytest.raises(ConnectError) as caught:
        connect(asked)
    assert caught.value.phase == "tls"
    with pytest.raises(ConnectError) as caught:
        connect(make_url(url).set(host="0.0.0.0"))  # noqa: S104 - a client's
    assert caught.value.phase == "tls"


async def test_s22_so_it_is_for_tasks(tls: Server, authority: Path) -> None:
    for ca, works in ((authority / "ca.pem", True), (authority / "other.pem", False)):
        engine = create_async_engine(verified(tls, ca))
        if works:
            async with engine.connect() as connection:
                assert await connection.scalar("SELECT 1") == 1
        else:
            with pytest.raises(ConnectError) as caught:
                await engine.connect()
            assert caught.value.phase == "tls"
        await engine.dispose()


@pytest.mark.only_on("mysql", "mariadb", reason="PyMySQL took a password for latin1")
def test_a_password_may_have_any_character(url: str) -> None:
    engine = create_engine(url)
    password, user = "pä55wörd-€-漢", "odd_password"
    with engine.connect() as connection:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            connection.exec_driver_sql(f"CREATE USER {user}@'%' IDENTIFIED BY '{password}'")
        try:
            place = make_url(url).set(username=user, password=password)
            assert connect(place.set(database="information_schema")) == 1
        finally:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                connection.exec_driver_sql(f"DROP USER {user}@'%'")
    engine.dispose()
