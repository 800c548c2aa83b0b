"""Resolves hosts to addresses: IP addresses and ``localhost`` at once, names in threads.

The limits on the threads hold for the process, whatever the number of clients, event loops and threads
that resolve names. ``lookup_queue.py`` documents them.
"""

import ipaddress
import os
import socket
from typing import Any, TypeAlias

from typed_async_client.hosts import is_address
from typed_async_client.net.lookups import Lookup, Lookups

__all__ = ["HostAddress", "Resolution", "look_up", "needs_lookup", "resolve_in_thread"]

HostAddress: TypeAlias = tuple[socket.AddressFamily, str]
"""An address family, and an address in it as text; ``%`` and a zone may follow."""


class Resolution:
    """Resolves one host, for one caller.

    Args:
        host: an IP address, without brackets, or a name.
        lookups: looks names up; those of the process by default.

    Example:
        >>> await Resolution("127.0.0.1").addresses()
        [(<AddressFamily.AF_INET: 2>, '127.0.0.1')]
    """

    def __init__(self, host: str, *, lookups: Lookups[list[HostAddress]] | None = None) -> None:
        self._host = host
        self._lookup = Lookup(lookups or _lookups, host)

    async def addresses(self) -> list[HostAddress]:
        """Return the addresses of the host, preferred ones first.

        An IP address is returned without a lookup, and so are the loopback addresses for
        ``localhost`` (RFC 6761 section 6.3). Whoever else resolves the same name meanwhile shares
        the lookup.

        Raises:
            OSError: the name is unknown or its DNS server failed; usually ``socket.gaierror``.
            UnicodeError: the host isn't a valid name.
        """
        return _without_lookup(self._host) or list(await self._lookup.result())

    def describe(self) -> str:
        """Return what was being done, for the message of a timeout."""
        waited = self._lookup.waited_for
        return f"waiting to resolve {self._host}: {waited}" if waited else f"resolving {self._host}"

    def record_failure(self, address: HostAddress, error: OSError) -> None:
        """Note that an address couldn't be connected to; here, nothing is remembered."""

    def discard(self) -> None:
        """Note that none of the addresses is of use; here, nothing is remembered."""


def needs_lookup(host: str) -> bool:
    """Whether a host is a name other than ``localhost``; everything else is known at once."""
    return not _without_lookup(host)


def resolve_in_thread(host: str, timeout: float | None) -> list[HostAddress]:
    """Return what ``Resolution`` does, and let the calling thread wait for it.

    Args:
        host: an IP address, without brackets, or a name.
        timeout: seconds; None is no limit.

    Raises:
        TimeoutError: the lookup, which nothing can end, hasn't ended in time.
        OSError: the name is unknown or its DNS server failed.
        UnicodeError: the host isn't a valid name.
    """
    try:
        return _without_lookup(host) or list(_lookups.wait(host, timeout))
    except TimeoutError as error:
        raise TimeoutError(f"timed out while resolving {host}") from error


def _without_lookup(host: str) -> list[HostAddress]:
    """Return the addresses of a host that needs no lookup; empty if it needs one."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _resolve_number(host) if is_address(host) else _LOOPBACK.get(host.lower(), [])
    return [(socket.AF_INET if address.version == _IPV4 else socket.AF_INET6, host)]


def _resolve_number(host: str) -> list[HostAddress]:
    """Return the address behind an old notation, such as ``127.1`` or ``0x7f000001``."""
    try:
        return look_up(host, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return []  # a lookup then says what is wrong with it


def look_up(host: str, *, flags: int = 0) -> list[HostAddress]:
    """Ask the system for the addresses of a host, and block until it knows them or gives up.

    Args:
        host: an address in any notation, or a name.
        flags: as of ``socket.getaddrinfo``.

    Raises:
        OSError: the system knows no address, or can't ask.
        UnicodeError: the host isn't a valid name.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys((family, _format(address)) for family, _, _, _, address in found))


def _format(address: tuple[Any, ...]) -> str:
    """Return an address as text, with its scope ID if it has one, as link-local addresses do."""
    scope = address[_SCOPE_ID] if len(address) > _SCOPE_ID else 0
    return f"{address[0]}%{scope}" if scope else str(address[0])


_lookups = Lookups(look_up)
"""Those of the process."""

if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_lookups.reset)

_LOOPBACK: dict[str, list[HostAddress]] = {
    name: [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    for name in ("localhost", "localhost.")
}

_SCOPE_ID = 3
"""Index of the scope ID in an IPv6 socket address."""

_IPV4 = 4
