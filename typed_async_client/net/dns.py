"""Resolves host names in threads of its own, so that a slow name can't block the others.

asyncio resolves names in its default executor, which has six threads on a machine with two cores.
Six names whose DNS server doesn't respond would block every other lookup, and the program couldn't
exit before they time out. Here each lookup runs in a daemon thread that nothing waits for on exit.
"""

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections import Counter, deque
from typing import Any, TypeAlias

__all__ = ["HostAddress", "Resolver"]

HostAddress: TypeAlias = tuple[socket.AddressFamily, str]
"""An address family, and an address in it as text."""

_MAX_LOOKUPS = 128


class Resolver:
    """Resolves host names; concurrent requests for the same name share one lookup.

    Args:
        max_lookups: the most lookups that may run at the same time; further ones are queued.
    """

    def __init__(self, *, max_lookups: int = _MAX_LOOKUPS) -> None:
        self._max_lookups = max_lookups
        self._running = 0
        self._queue: deque[str] = deque()
        self._results: dict[str, asyncio.Future[list[HostAddress]]] = {}
        self._waiting: Counter[str] = Counter()  # callers per host

    async def resolve(self, host: str) -> list[HostAddress]:
        """Return the addresses of a host, preferred ones first.

        If the host is already an IP address, it is returned without a lookup.

        Raises:
            OSError: the name is unknown or its DNS server failed; usually ``socket.gaierror``.
            UnicodeError: ``host`` isn't a valid name.
        """
        literal = _parse_literal(host)
        if literal is not None:
            return [literal]
        if host not in self._results:
            self._results[host] = asyncio.get_running_loop().create_future()
            self._queue.append(host)
        result = self._results[host]
        self._waiting[host] += 1
        try:
            self._start_queued()
            return await asyncio.shield(result)
        finally:
            self._stop_waiting(host)
            del result  # its error would refer back to it through this frame

    def _stop_waiting(self, host: str) -> None:
        """Count one caller less; a queued lookup that nobody waits for is dropped."""
        self._waiting[host] -= 1
        if not self._waiting[host]:
            del self._waiting[host]
            if host in self._queue:
                self._queue.remove(host)
                del self._results[host]

    def _start_queued(self) -> None:
        while self._queue and self._running < self._max_lookups:
            self._running += 1
            self._start(self._queue.popleft())

    def _start(self, host: str) -> None:
        """Start a lookup, which runs to its end even if every caller is cancelled."""
        loop = asyncio.get_running_loop()
        result = self._results[host]

        def finish(addresses: list[HostAddress], error: Exception | None) -> None:
            self._running -= 1
            del self._results[host]
            if error is None:
                result.set_result(addresses)
            else:
                result.set_exception(error)
                result.exception()  # mark it as retrieved: every caller may have been cancelled
            self._start_queued()

        def run() -> None:
            addresses: list[HostAddress] = []
            failure: Exception | None = None
            try:
                addresses = _resolve(host)
            except Exception as error:  # noqa: BLE001 - raised in the callers
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(finish, addresses, failure)
            del failure  # it refers to this frame

        try:
            threading.Thread(target=run, name=f"lookup of {host}", daemon=True).start()
        except RuntimeError as error:
            loop.call_soon(finish, [], OSError(f"can't start a thread to resolve {host}: {error}"))


def _resolve(host: str) -> list[HostAddress]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((family, _format(address)) for family, _, _, _, address in found))


def _format(address: tuple[Any, ...]) -> str:
    """Return an address as text, with its scope ID if it has one, as link-local addresses do."""
    scope = address[_SCOPE_ID] if len(address) > _SCOPE_ID else 0
    return f"{address[0]}%{scope}" if scope else str(address[0])


def _parse_literal(host: str) -> HostAddress | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return (socket.AF_INET if address.version == _IPV4 else socket.AF_INET6), host


_SCOPE_ID = 3
"""Index of the scope ID in an IPv6 socket address."""

_IPV4 = 4
