"""Which hosts count as local, so that their TLS is left to the driver."""

from __future__ import annotations

import pytest

from plainsql.hosts import is_local

LOCAL = {
    "no host": None,
    "an empty host": "",
    "a socket's folder": "/run/postgresql",
    "an abstract socket": "@db",
    "localhost": "localhost",
    "a name of one label": "db",
    "a container": "shop_db-1",
    "loopback": "127.0.0.1",
    "the end of loopback": "127.255.255.254",
    "private 10": "10.255.0.1",
    "private 172": "172.16.0.1",
    "the end of private 172": "172.31.255.255",
    "private 192": "192.168.1.1",
    "link-local": "169.254.1.1",
    "loopback by IPv6": "::1",
    "link-local by IPv6": "fe80::1",
    "link-local with a zone": "fe80::1%eth0",
    "private by IPv6": "fd12:3456::1",
    "private, mapped": "::ffff:10.0.0.1",
}
ELSEWHERE = {
    "a domain": "db.example.org",
    "a domain with its dot": "db.",
    "a name that only looks local": "localhost.example.org",
    "a neighbour by its full name": "db.local",
    "a public address": "8.8.8.8",
    "before private 172": "172.15.255.255",
    "after private 172": "172.32.0.1",
    "carrier's network": "100.64.0.1",
    "documentation": "192.0.2.1",
    "a public address by IPv6": "2001:4860:4860::8888",
    "a public address, mapped": "::ffff:8.8.8.8",
    "a public address as one number": "134744072",
    "a public address in hexadecimal": "0x08080808",
    "a short address": "127.1",
    "an octal address": "010.0.0.1",
    "a full stop of another script": "db\u3002example",
    "a letter of another script": "d\u00f6",
    "a list": "db,db",
    "a blank": " ",
    "a name after a blank": " db",
    "brackets": "[::1]",
}


@pytest.mark.parametrize("host", LOCAL.values(), ids=LOCAL)
def test_it_is_local(host: str | None) -> None:
    assert is_local(host)


@pytest.mark.parametrize("host", ELSEWHERE.values(), ids=ELSEWHERE)
def test_it_is_elsewhere(host: str) -> None:
    assert not is_local(host)
