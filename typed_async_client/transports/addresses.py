"""Which addresses a client may connect to, decided on the address itself, not on its name.

A name may resolve to anything, and to something else a moment later; the address that the socket
connects to cannot change its mind. So a guard sees each resolved address right before it is used.
"""

import ipaddress
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Address", "AddressGuard", "refuse_private_addresses"]

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

AddressGuard: TypeAlias = Callable[[Address], bool]
"""Tells whether a client may connect to an address."""


def refuse_private_addresses(address: Address) -> bool:
    """Allow global addresses alone: a guard against server-side request forgery.

    Refused are loopback, link-local (cloud metadata services live there), private, shared,
    multicast, reserved and unspecified addresses, and IPv6 addresses that carry a refused IPv4
    one (mapped, 6to4, Teredo, NAT64). Other spellings of an address (``0x7f000001``,
    ``2130706433``) are addresses by the time that a guard sees them.

    Example:
        >>> refuse_private_addresses(ipaddress.ip_address("169.254.169.254"))
        False
    """
    if address.is_multicast or not address.is_global:
        return False
    return all(refuse_private_addresses(inner) for inner in _embedded(address))


def _embedded(address: Address) -> list[ipaddress.IPv4Address]:
    """Give the IPv4 addresses that an IPv6 address carries inside."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        found.append(ipaddress.IPv4Address(address.packed[-4:]))
    return [inner for inner in found if inner is not None]


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
