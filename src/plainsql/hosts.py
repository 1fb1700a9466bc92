"""Which hosts are near enough to go by the driver's own idea of TLS.  Floor 1."""

from __future__ import annotations

#: A name of one label that can not be read as a number: `db`, `localhost`.
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_SIGNS = _LETTERS | frozenset("0123456789-_")
_NETWORKS = (
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "::1/128",
    "fe80::/10",
    "fc00::/7",
)


def is_local(host: str | None) -> bool:
    """Tell whether a host is this machine or a neighbour, by its name alone: nothing is resolved.

    Local are a missing host, a Unix socket, a loopback, private or link-local address, and a host
    name without a dot.  The server of any other host must prove by TLS who it is, unless the URL
    says otherwise.

    >>> [is_local(host) for host in ("127.0.0.1", "10.1.2.3", "db", "db.example.org", "8.8.8.8")]
    [True, True, True, False, False]
    """
    if not host or host[0] in "/@":
        return True
    if host[0] in _LETTERS and _SIGNS.issuperset(host):
        return True
    from ipaddress import ip_address, ip_network

    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    address = address if mapped is None else mapped
    return any(address in ip_network(network) for network in _NETWORKS)
