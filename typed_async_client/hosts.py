"""How a host is written in each place: for the resolver, in TLS, and in an authority.

A URL may contain the zone of a link-local IPv6 address, as in ``http://[fe80::1%25eth0]/`` (RFC 6874).
It names an interface of this machine, so no other machine may see it.

Pure: text in, text out.
"""

__all__ = ["authority_host", "lookup_host", "tls_host", "without_zone"]


def without_zone(host: str) -> str:
    """Return a host without the zone of an IPv6 address.

    Example:
        >>> without_zone("fe80::1%25eth0")
        'fe80::1'
    """
    return host.partition("%")[0] if ":" in host else host


def authority_host(host: str) -> str:
    """Return a host as it stands in an authority: an IPv6 address in brackets, RFC 3986 section 3.2.2.

    Example:
        >>> authority_host("fe80::1%25eth0")
        '[fe80::1]'
    """
    return f"[{without_zone(host)}]" if ":" in host and not host.startswith("[") else host


def lookup_host(host: str) -> str:
    """Return a host for the resolver, with the zone as the system spells it.

    Example:
        >>> lookup_host("fe80::1%25eth0")
        'fe80::1%eth0'
    """
    address, percent, zone = host.partition("%")
    if ":" not in address or not percent:
        return host
    return f"{address}%{zone.removeprefix('25') or zone}"


def tls_host(host: str) -> str:
    """Return a host as certificates contain it: without zone, brackets or the dot of the root.

    RFC 6066 section 3 leaves out the dot; a certificate for ``example.org`` is also one for
    ``example.org.``.

    Example:
        >>> tls_host("example.org."), tls_host("[::1]")
        ('example.org', '::1')
    """
    name = without_zone(host.removeprefix("[").removesuffix("]"))
    return name.removesuffix(".") or name
