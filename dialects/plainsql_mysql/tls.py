"""How a connection to MySQL or MariaDB is encrypted; imported with the driver."""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from plainsql.hosts import is_local

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What says it, in the URL or among the connect_args.
OPTIONS = (
    "ssl_ca",
    "ssl_cert",
    "ssl_key",
    "ssl_key_password",
    "ssl_disabled",
    "ssl_verify_cert",
    "ssl_verify_identity",
)


def arguments(told: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return PyMySQL's keywords for TLS: what it makes of `ssl_*` by itself may verify nothing."""
    told = {name: value for name, value in told.items() if value is not None}
    if told.pop("ssl_disabled", False):
        return {"ssl_disabled": True}
    local = bool(own.get("unix_socket")) or is_local(own["host"])
    if "ssl" in own or (local and not told):
        return {}
    identity = told.get("ssl_verify_identity", not local and told.get("ssl_verify_cert", True))
    certificate = told.get("ssl_verify_cert", identity or not local or bool(told.get("ssl_ca")))
    verifies = bool(certificate or identity)
    if told.get("ssl_ca") or (verifies and told.get("ssl_cert")):
        context = _trusting(told.get("ssl_ca"), identity=bool(identity))
        context.verify_mode = ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE
    elif verifies:
        context = _trusting_system(ssl.get_default_verify_paths(), identity=bool(identity))
    else:
        context = trusting_anybody()
    if told.get("ssl_cert"):
        password = told.get("ssl_key_password")
        context.load_cert_chain(told["ssl_cert"], told.get("ssl_key"), password)
    return {"ssl": context}


def trusting_anybody() -> ssl.SSLContext:
    """Return a context that verifies nothing; it loads no authorities, which takes 30 ms."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _trusting(authorities: str | None, *, identity: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authorities)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as PyMySQL does, for MySQL's own CA
    context.check_hostname = identity
    return context


@lru_cache(maxsize=4)
def _trusting_system(_paths: object, *, identity: bool) -> ssl.SSLContext:
    """Return a context with the system's authorities: they are read once for each of its paths."""
    return _trusting(None, identity=identity)
