"""Which URLs ``NO_PROXY`` excludes, in all the forms that curl, requests and Go accept.

httpx reads the variable too, but as URL patterns, which can express neither a network nor a default port.

Pure: text in, a decision out.
"""

import dataclasses
import ipaddress
import re
from typing import Protocol, TypeAlias

import httpx

from typed_async_client.hosts import tls_host

__all__ = ["NoProxy", "split_entries"]

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_PORT = re.compile(r":([0-9]+)\Z")

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def split_entries(value: str) -> list[str]:
    """Return the entries of the variable, which commas or spaces separate."""
    return [entry for entry in re.split(r"[\s,]+", value) if entry]


class NoProxy:
    """The entries of ``NO_PROXY``.

    ===================================  ====================================================
    an entry                             excludes
    ===================================  ====================================================
    ``a.test``                           the host and its subdomains
    ``.a.test``, ``*.a.test``            its subdomains
    ``10.1.2.3``, ``::1``, ``[::1]``     the address, however the URL writes it
    ``10.0.0.0/8``, ``fd00::/8``         every address in the network
    any of these with ``:8080``          the same on that port; IPv6 addresses need brackets
    ``*``                                every host
    ===================================  ====================================================

    Case and a trailing dot don't matter. An entry with a scheme, which httpx accepts, is ignored.

    Args:
        value: the value of the variable.

    Example:
        >>> NoProxy("localhost, 10.0.0.0/8").excludes(httpx.URL("http://10.1.2.3/"))
        True
    """

    def __init__(self, value: str) -> None:
        entries = [entry for entry in split_entries(value) if "://" not in entry]
        self._entries = [parsed for entry in entries if (parsed := _parse(entry)) is not None]

    def excludes(self, url: httpx.URL) -> bool:
        """Whether a URL is reached without a proxy."""
        host = tls_host(url.raw_host.decode("ascii"))
        port = url.port or _PORTS.get(url.scheme)
        return any(entry.matches(host, port) for entry in self._entries)


class _Entry(Protocol):
    def matches(self, host: str, port: int | None) -> bool:
        """Whether it excludes a host, in lower case, on a port."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Addresses:
    network: _Network
    port: int | None

    def matches(self, host: str, port: int | None) -> bool:
        return self.port in (None, port) and _is_in(host, self.network)


@dataclasses.dataclass(frozen=True, slots=True)
class _Names:
    domain: str
    only_subdomains: bool
    port: int | None

    def matches(self, host: str, port: int | None) -> bool:
        if self.port not in (None, port):
            return False
        if self.domain == "*":
            return True
        return host.endswith(f".{self.domain}") or (
            host == self.domain and not self.only_subdomains
        )


def _parse(entry: str) -> _Entry | None:
    """Parse an entry; None if it excludes nothing."""
    found = None if _network(entry) else _PORT.search(entry)
    port = int(found[1]) if found else None
    rest = entry[: found.start()] if found else entry
    if (network := _network(rest)) is not None:
        return _Addresses(network, port)
    domain = rest if rest == "*" else rest.removeprefix("*").strip(".")
    if not domain or ("*" in domain and rest != "*"):
        return None
    name = httpx.URL(scheme="http", host=domain).raw_host.decode("ascii")  # in lower case
    return _Names(name, rest.startswith((".", "*.")), port)


def _network(text: str) -> _Network | None:
    """Parse an address or a network; an IPv6 address may be in brackets."""
    address, slash, length = text.partition("/")
    try:
        return ipaddress.ip_network(f"{_unbracketed(address)}{slash}{length}", strict=False)
    except ValueError:
        return None


def _unbracketed(address: str) -> str:
    is_bracketed = address.startswith("[") and address.endswith("]")
    return address[1:-1] if is_bracketed else address


def _is_in(host: str, network: _Network) -> bool:
    """Whether a host is an address in a network; one mapped to IPv6 counts as IPv4."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address in network or (mapped is not None and mapped in network)
