"""Opens TCP and Unix connections directly on asyncio.

The addresses of a host race against each other, as RFC 8305 ("Happy Eyeballs") recommends. An
address guard can refuse an address before anything is sent to it.
"""

import asyncio
import functools
import ipaddress
import itertools
from collections.abc import Awaitable, Callable, Iterable
from traceback import clear_frames
from typing import Any, TypeVar

import httpcore

from typed_async_client.errors import AddressRefusedError
from typed_async_client.hosts import lookup_host
from typed_async_client.net.deadline import TURNS, Deadline
from typed_async_client.net.dns import HostAddress, Resolution
from typed_async_client.net.dns_cache import DnsCacheOfPool
from typed_async_client.net.guard import AddressGuard
from typed_async_client.net.protocol import SocketProtocol
from typed_async_client.net.stream import AsyncioStream
from typed_async_client.policies.dns_cache import DnsCache, require_dns_cache
from typed_async_client.reasons import reason_of
from typed_async_client.wording import explained, format_server

__all__ = ["AsyncioBackend"]

_T = TypeVar("_T")

_ATTEMPT_DELAY = 0.25
"""Seconds before the next address is tried as well, RFC 8305 section 5."""


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """A network backend with httpcore's interface, on the running asyncio event loop.

    Args:
        address_guard: returns whether the client may connect to a resolved address; None allows
            every address.
        dns_cache: how to remember the addresses of hosts; None asks the system each time.

    Raises:
        TypeError: ``dns_cache`` isn't a ``DnsCache``.

    Example:
        >>> backend = AsyncioBackend(address_guard=refuse_private_addresses)
    """

    def __init__(
        self, *, address_guard: AddressGuard | None = None, dns_cache: DnsCache | None = None
    ) -> None:
        require_dns_cache(dns_cache)
        self._guard = address_guard
        self._cache = None if dns_cache is None else DnsCacheOfPool(dns_cache)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncioStream:
        """Connect to the first address of ``host`` that accepts the connection.

        Raises:
            httpcore.ConnectTimeout: no address accepted within ``timeout`` seconds, name
                resolution included.
            httpcore.ConnectError: the name can't be resolved, every address failed, or the guard
                refused one. The underlying error is its argument.
        """
        deadline, resolution = Deadline(timeout), self._resolution(lookup_host(host))
        resolving = resolution.addresses()
        addresses = await _until(
            deadline, resolving, resolution.describe, f"cannot resolve {host}: "
        )

        async def connect() -> AsyncioStream:
            self._check_guard(host, addresses)
            local = None if local_address is None else (local_address, 0)
            stream = await _race(
                functools.partial(_try, resolution, address, port, local)
                for address in _interleave(addresses)
            )
            return _set_options(stream, socket_options)

        try:
            return await _until(deadline, connect(), lambda: _describe_connect(host, port))
        except (httpcore.ConnectError, httpcore.ConnectTimeout):
            resolution.discard()
            raise

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> AsyncioStream:
        """Connect to a Unix socket; raises the same errors as ``connect_tcp``."""
        connecting = _connect_unix(path, socket_options)
        return await _until(Deadline(timeout), connecting, lambda: f"connecting to {path}")

    async def sleep(self, seconds: float) -> None:
        """Sleep for ``seconds``."""
        await asyncio.sleep(seconds)

    async def aclose(self) -> None:
        """End the lookups in the background, and forget the addresses of hosts."""
        if self._cache is not None:
            await self._cache.aclose()

    def _resolution(self, host: str) -> Resolution:
        return Resolution(host) if self._cache is None else self._cache.resolution(host)

    def _check_guard(self, host: str, addresses: list[HostAddress]) -> None:
        if self._guard is None:
            return
        for _, text in addresses:
            if not self._guard(ipaddress.ip_address(text.partition("%")[0])):
                raise AddressRefusedError(
                    f"{host} resolves to {text}, which the client's address guard refuses"
                )


def _describe_connect(host: str, port: int) -> str:
    return f"connecting to {format_server('', host, port)}"


async def _until(
    deadline: Deadline, doing: Awaitable[_T], describe: Callable[[], str], prefix: str = ""
) -> _T:
    """Wait for something; raise httpcore's errors, which say what was being done and why it failed.

    Not a context manager: those of ``contextlib`` refer to the error that its own frames lead to.
    """
    try:
        async with deadline.limit():
            return await doing
    except TimeoutError as error:
        raise httpcore.ConnectTimeout(f"timed out while {describe()}") from error
    except (OSError, OverflowError, UnicodeError) as error:
        clear_frames(error.__traceback__)  # those of asyncio refer to the error
        raise explained(httpcore.ConnectError(error), prefix + reason_of(error)) from error


async def _connect_unix(path: str, socket_options: Iterable[Any] | None) -> AsyncioStream:
    _, protocol = await asyncio.get_running_loop().create_unix_connection(SocketProtocol, path)
    return _set_options(AsyncioStream(protocol), socket_options)


async def _try(
    resolution: Resolution, address: HostAddress, port: int, local: tuple[str, int] | None
) -> AsyncioStream:
    try:
        return await _connect(address, port, local)
    except OSError as error:
        resolution.record_failure(address, error)
        raise


async def _connect(address: HostAddress, port: int, local: tuple[str, int] | None) -> AsyncioStream:
    family, text = address
    _, protocol = await asyncio.get_running_loop().create_connection(
        SocketProtocol, text, port, family=family, local_addr=local
    )
    return AsyncioStream(protocol)


def _set_options(stream: AsyncioStream, options: Iterable[Any] | None) -> AsyncioStream:
    try:
        for option in options or ():
            stream.get_extra_info("socket").setsockopt(*option)
    except BaseException:
        stream.abort()
        raise
    return stream


def _interleave(addresses: list[HostAddress]) -> list[HostAddress]:
    """Alternate between the address families, the preferred one first, RFC 8305 section 4."""
    preferred = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    pairs = itertools.zip_longest(preferred, others)
    return [address for pair in pairs for address in pair if address is not None]


async def _race(attempts: Iterable[Callable[[], Awaitable[AsyncioStream]]]) -> AsyncioStream:
    """Return the first stream that connects, starting the attempts one after another.

    The next attempt starts when the last one has failed, or hasn't connected within
    ``_ATTEMPT_DELAY``.

    Raises:
        OSError: every attempt failed. If there was only one, its own error is raised.
    """
    pending = list(attempts)
    if len(pending) == 1:
        return await pending[0]()
    racing: set[asyncio.Task[AsyncioStream]] = set()
    failures: list[BaseException] = []
    try:
        while pending or racing:
            if pending:
                racing.add(asyncio.ensure_future(pending.pop(0)()))
            for task in await _first_done(racing, _ATTEMPT_DELAY if pending else None):
                racing.discard(task)
                error = task.exception()
                if error is None:
                    return task.result()
                failures.append(error)
        reasons = ", ".join(dict.fromkeys(map(reason_of, failures)))
        raise OSError(f"all {len(failures)} addresses failed: {reasons}") from failures[-1]
    finally:
        for task in racing:
            task.add_done_callback(_abort_late)
            task.cancel()


async def _first_done(
    racing: set["asyncio.Task[AsyncioStream]"], delay: float | None
) -> set["asyncio.Task[AsyncioStream]"]:
    """Wait for the first attempts to end, for at most ``delay`` seconds; None is no limit."""
    done, _ = await asyncio.wait(racing, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
    turns = 0
    while not done and turns < TURNS:  # the loop may have been blocked during the delay
        await asyncio.sleep(0)
        done = {task for task in racing if task.done()}
        turns += 1
    return done


def _abort_late(task: "asyncio.Task[AsyncioStream]") -> None:
    """Close a stream that connected after the race was over."""
    if not task.cancelled() and task.exception() is None:
        task.result().abort()
