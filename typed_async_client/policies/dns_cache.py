"""Which addresses of a host are remembered, for how long, and in which order they are tried.

Pure: the time is an argument, and nothing is looked up here. Expired answers are served for a while
as RFC 8767 ("Serving Stale Data") describes, so that a slow DNS server delays no request.
"""

import dataclasses
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, Generic, TypeVar

from typed_async_client.policies.checks import require_count, require_number

__all__ = ["CachedAddresses", "DnsCache", "Remembered", "require_dns_cache"]

AddressT = TypeVar("AddressT")

_MAX_PAUSE: Final = 30.0
"""Seconds between two refreshes of an expired answer, at most: if one fails, RFC 8767 section 5."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DnsCache:
    """Remember the addresses of hosts, instead of asking the system for every connection.

    An answer is used for ``ttl`` seconds without another lookup. In the ``stale`` seconds after
    that, it is still used at once, while one lookup in the background replaces it; if that lookup
    fails, the answer stays until the time is over. A failed lookup is never remembered.

    An address that refuses a connection, or can't be reached, is tried last from then on. If all
    addresses of a host fail, or a guard refuses one of them, the host is looked up again.

    The system's resolver doesn't say how long an answer is valid. So choose a ``ttl`` that is
    shorter than the time for which an abandoned address of yours keeps working.

    Args:
        ttl: seconds for which an answer is used without another lookup, > 0.
        max_hosts: how many hosts are remembered, >= 1; the one used least recently is forgotten.
        stale: seconds after ``ttl`` in which an answer is used while it is refreshed, >= 0; 0 for
            none.

    Raises:
        ValueError: a value is out of range; the message names it.

    Example:
        >>> transport = AsyncPoolTransport(dns_cache=DnsCache(ttl=30.0))
    """

    ttl: float = 300.0
    max_hosts: int = 1000
    stale: float = 300.0

    def __post_init__(self) -> None:
        require_number("ttl", self.ttl, above=0)
        require_count("max_hosts", self.max_hosts, at_least=1)
        require_number("stale", self.stale)


def require_dns_cache(value: object) -> None:
    """Raise ``TypeError`` unless ``value`` is a ``DnsCache`` or None."""
    if value is not None and not isinstance(value, DnsCache):
        raise TypeError(
            f"dns_cache must be a DnsCache or None, got {value!r}: pass DnsCache(ttl=...)"
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Remembered(Generic[AddressT]):
    """What is known of a host.

    Attributes:
        addresses: its addresses, in the order in which they are tried.
        needs_refresh: whether the caller must start a lookup in the background, and ``store()``
            its answer. It is true for one caller at a time.
    """

    addresses: tuple[AddressT, ...]
    needs_refresh: bool = False


@dataclasses.dataclass(slots=True)
class _Entry(Generic[AddressT]):
    addresses: tuple[AddressT, ...]
    expires: float
    refresh_at: float  #: when the next refresh may start


class CachedAddresses(Generic[AddressT]):
    """The remembered addresses of hosts.

    Args:
        options: for how long, and of how many hosts.

    Example:
        >>> known = CachedAddresses[str](DnsCache(ttl=60.0, stale=0.0))
        >>> known.store("api.test", ["192.0.2.1", "192.0.2.2"], now=0.0)
        >>> known.demote("api.test", "192.0.2.1")
        >>> known.find("api.test", now=59.0).addresses
        ('192.0.2.2', '192.0.2.1')
    """

    __slots__ = ("_entries", "_options", "_pause")

    def __init__(self, options: DnsCache) -> None:
        self._entries: OrderedDict[str, _Entry[AddressT]] = OrderedDict()
        self._options = options
        self._pause = min(options.ttl, _MAX_PAUSE)

    def __len__(self) -> int:
        """Return how many hosts are remembered, those that have expired included."""
        return len(self._entries)

    def find(self, host: str, now: float) -> Remembered[AddressT] | None:
        """Return what is known of a host; None if it must be looked up first.

        Args:
            host: the name; upper and lower case are the same.
            now: monotonic seconds.
        """
        name = host.lower()
        entry = self._entries.get(name)
        if entry is None:
            return None
        if now >= entry.expires + self._options.stale:
            del self._entries[name]
            return None
        self._entries.move_to_end(name)
        if now < entry.refresh_at:
            return Remembered(entry.addresses)
        entry.refresh_at = now + self._pause
        return Remembered(entry.addresses, needs_refresh=True)

    def store(self, host: str, addresses: Iterable[AddressT], now: float) -> None:
        """Remember the answer of a lookup, each address once; one without addresses is ignored.

        Args:
            host: the name.
            addresses: its addresses, preferred ones first.
            now: monotonic seconds.
        """
        name, found = host.lower(), tuple(dict.fromkeys(addresses))
        if not found:
            return
        expires = now + self._options.ttl
        self._entries[name] = _Entry(found, expires, refresh_at=expires)
        if len(self._entries) > self._options.max_hosts:
            self._entries.popitem(last=False)

    def demote(self, host: str, address: AddressT) -> None:
        """Try an address of a host last from now on; the others keep their order."""
        entry = self._entries.get(host.lower())
        if entry is not None and address in entry.addresses:
            others = (each for each in entry.addresses if each != address)
            entry.addresses = (*others, address)

    def forget(self, host: str) -> None:
        """Forget a host, so that it is looked up again."""
        self._entries.pop(host.lower(), None)

    def clear(self) -> None:
        """Forget every host."""
        self._entries.clear()
