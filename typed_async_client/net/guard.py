"""Decides which addresses a client may connect to: by the resolved address, never by the name.

A name can resolve to any address, and to a different one a moment later. The address that a socket
connects to is fixed, so a guard checks each resolved address right before it is used.
"""

import ipaddress
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Address", "AddressGuard", "refuse_private_addresses"]

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

AddressGuard: TypeAlias = Callable[[Address], bool]
"""Returns whether a client may connect to an address."""


def refuse_private_addresses(address: Address) -> bool:
    """Allow only global addresses: a guard against server-side request forgery.

    It refuses loopback, link-local, private, shared, multicast, reserved and unspecified addresses;
    the metadata services of cloud providers, which are among these, and Azure's 168.63.129.16,
    which isn't; 6to4 and Teredo, which embed an IPv4 address; and IPv6 forms of a refused IPv4
    address (mapped, NAT64). Other notations, such as ``0x7f000001`` or
    ``2130706433``, are already resolved to an address when the guard is called.

    Example:
        >>> refuse_private_addresses(ipaddress.ip_address("169.254.169.254"))
        False
    """
    embedded = _embedded_ipv4(address)
    if embedded is not None:
        return refuse_private_addresses(embedded)
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    if any(address in network for network in _REFUSED):
        return False
    return address.is_global and not address.is_multicast


def _embedded_ipv4(address: Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv4-mapped or NAT64 address stands for, if it is one."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped


_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_REFUSED = (
    ipaddress.IPv4Network("192.0.0.0/24"),  # IETF protocol assignments, and Oracle's metadata
    ipaddress.IPv4Network("168.63.129.16/32"),  # Azure's metadata, in every virtual network
    ipaddress.IPv6Network("2001::/23"),  # the same for IPv6, including Teredo
    ipaddress.IPv6Network("2002::/16"),  # 6to4
    ipaddress.IPv6Network("3fff::/20"),  # documentation
)
"""Networks that no public server uses, and that some Python versions report as global."""
