"""Resolves hosts with a cache, whose expired answers are refreshed in the background.

``policies/dns_cache.py`` decides what is remembered. This module performs the lookups, and ends those
that nobody waits for together with their pool.
"""

import asyncio
import contextlib
import contextvars
import errno
import time
from collections.abc import Callable

from typed_async_client.net.dns import HostAddress, Resolution, needs_lookup
from typed_async_client.net.lookups import Lookups
from typed_async_client.policies.dns_cache import CachedAddresses, DnsCache

__all__ = ["CachedResolution", "DnsCacheOfPool"]

_UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EAFNOSUPPORT})


class DnsCacheOfPool:
    """The answers that one pool remembers, and the lookups that refresh them.

    Args:
        options: for how long, and of how many hosts.
        lookups: looks names up; those of the process by default.
        now: returns monotonic seconds.
    """

    def __init__(
        self,
        options: DnsCache,
        *,
        lookups: Lookups[list[HostAddress]] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lookups = lookups
        self._now = now
        self._refreshes: set[asyncio.Task[None]] = set()
        self.known: CachedAddresses[HostAddress] = CachedAddresses(options)
        """What is remembered."""

    def resolution(self, host: str) -> Resolution:
        """Return what resolves a host once; an address isn't remembered."""
        if not needs_lookup(host):
            return Resolution(host, lookups=self._lookups)
        return CachedResolution(host, self, lookups=self._lookups)

    def find(self, host: str) -> list[HostAddress]:
        """Return the remembered addresses of a host, and refresh them if need be; empty if none."""
        remembered = self.known.find(host, self._now())
        if remembered is None:
            return []
        if remembered.needs_refresh:
            self._start_refresh(host)
        return list(remembered.addresses)

    def store(self, host: str, addresses: list[HostAddress]) -> None:
        """Remember the answer of a lookup."""
        self.known.store(host, addresses, self._now())

    async def aclose(self) -> None:
        """End the lookups in the background, and forget everything."""
        self.known.clear()
        running = asyncio.get_running_loop()
        refreshes = [task for task in self._refreshes if task.get_loop() is running]
        self._refreshes.clear()  # those of a loop that was closed can't run any more
        for task in refreshes:
            task.cancel()
        if refreshes:
            await asyncio.wait(refreshes)

    def _start_refresh(self, host: str) -> None:
        context = contextvars.Context()  # it must not keep the variables of the request alive
        task = context.run(asyncio.ensure_future, self._refresh(host))
        self._refreshes.add(task)
        task.add_done_callback(self._refreshes.discard, context=context)

    async def _refresh(self, host: str) -> None:
        with contextlib.suppress(OSError):  # what is remembered stays
            self.store(host, await Resolution(host, lookups=self._lookups).addresses())


class CachedResolution(Resolution):
    """Resolves one host for one connection, and learns which of its addresses work.

    Args:
        host: a name.
        cache: what is remembered.
        lookups: looks names up; those of the process by default.
    """

    def __init__(
        self,
        host: str,
        cache: DnsCacheOfPool,
        *,
        lookups: Lookups[list[HostAddress]] | None = None,
    ) -> None:
        super().__init__(host, lookups=lookups)
        self._cache = cache
        self._name = host

    async def addresses(self) -> list[HostAddress]:
        """Return the addresses of the host: the remembered ones, or those of a lookup."""
        if known := self._cache.find(self._name):
            return known
        found = await super().addresses()
        self._cache.store(self._name, found)
        return found

    def record_failure(self, address: HostAddress, error: OSError) -> None:
        """Try an address last from now on if it can't be connected to."""
        if isinstance(error, ConnectionError | TimeoutError) or error.errno in _UNREACHABLE:
            self._cache.known.demote(self._name, address)

    def discard(self) -> None:
        """Look the host up again for the next connection: none of its addresses is of use."""
        self._cache.known.forget(self._name)
