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
    multicast, reserved and unspecified addresses, 6to4 and Teredo, which lead to an IPv4 address
    inside, and spellings of a refused IPv4 address in IPv6 (mapped, NAT64). Other spellings of an
    address (``0x7f000001``, ``2130706433``) are addresses by the time that a guard sees them.

    Example:
        >>> refuse_private_addresses(ipaddress.ip_address("169.254.169.254"))
        False
    """
    standing_for = _standing_for(address)
    if standing_for is not None:
        return refuse_private_addresses(standing_for)
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    if any(address in network for network in _REFUSED):
        return False
    return address.is_global and not address.is_multicast


def _standing_for(address: Address) -> ipaddress.IPv4Address | None:
    """Give the IPv4 address that an IPv6 address is another spelling of."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped


_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_REFUSED = (
    ipaddress.IPv4Network("192.0.0.0/24"),  # IETF protocols
    ipaddress.IPv6Network("2001::/23"),  # the same, Teredo among them
    ipaddress.IPv6Network("2002::/16"),  # 6to4
    ipaddress.IPv6Network("3fff::/20"),  # documentation
)
"""What no server has, and what some Python versions call global and others do not."""
