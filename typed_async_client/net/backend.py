"""Opens connections: names, addresses, sockets, straight on asyncio.

It races the addresses of a host against each other, and lets a guard refuse an address before
anything is sent to it.
"""

import asyncio
import contextlib
import functools
import ipaddress
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import httpcore

from typed_async_client.errors import AddressRefusedError
from typed_async_client.net.dns import Lookup, Target
from typed_async_client.net.guard import AddressGuard
from typed_async_client.net.protocol import SocketProtocol
from typed_async_client.net.stream import AsyncioStream

__all__ = ["AsyncioBackend"]

_HEAD_START = 0.25
"""Seconds that an address has for itself before the next one is tried, RFC 8305 section 5."""


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """The network, for a pool of httpcore's interface, on the running asyncio loop.

    Args:
        address_guard: tells whether a resolved address may be connected to; None allows all.

    Example:
        >>> backend = AsyncioBackend(address_guard=refuse_private_addresses)
    """

    def __init__(self, *, address_guard: AddressGuard | None = None) -> None:
        self._guard = address_guard
        self._lookup = Lookup()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncioStream:
        """Connect to the first address of ``host`` that answers.

        Raises:
            httpcore.ConnectTimeout: none did within ``timeout`` seconds, lookup included.
            httpcore.ConnectError: the name is unknown, every address failed, or the guard
                refused one; the error behind it is its argument.
        """
        async with _as_connect_errors(timeout):
            targets = await self._lookup.resolve(host)
            self._check(host, targets)
            local = None if local_address is None else (local_address, 0)
            stream = await _race(
                functools.partial(_connect, target, port, local) for target in _interleaved(targets)
            )
            return _with_options(stream, socket_options)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> AsyncioStream:
        """Connect to a Unix socket; raises as ``connect_tcp`` does."""
        async with _as_connect_errors(timeout):
            _, protocol = await asyncio.get_running_loop().create_unix_connection(
                SocketProtocol, path
            )
            return _with_options(AsyncioStream(protocol), socket_options)

    async def sleep(self, seconds: float) -> None:
        """Wait for some seconds."""
        await asyncio.sleep(seconds)

    def _check(self, host: str, targets: list[Target]) -> None:
        if self._guard is None:
            return
        for _, text in targets:
            if not self._guard(ipaddress.ip_address(text.partition("%")[0])):
                raise AddressRefusedError(
                    f"{host} resolves to {text}, which the client's address guard refuses"
                )


@contextlib.asynccontextmanager
async def _as_connect_errors(timeout: float | None) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(timeout):
            yield
    except TimeoutError as error:
        raise httpcore.ConnectTimeout(str(error)) from error
    except (OSError, OverflowError, UnicodeError) as error:
        raise httpcore.ConnectError(error) from error


async def _connect(target: Target, port: int, local: tuple[str, int] | None) -> AsyncioStream:
    family, address = target
    _, protocol = await asyncio.get_running_loop().create_connection(
        SocketProtocol, address, port, family=family, local_addr=local
    )
    return AsyncioStream(protocol)


def _with_options(stream: AsyncioStream, options: Iterable[Any] | None) -> AsyncioStream:
    try:
        for option in options or ():
            stream.get_extra_info("socket").setsockopt(*option)
    except BaseException:
        stream.abort()
        raise
    return stream


def _interleaved(targets: list[Target]) -> list[Target]:
    """Let the families take turns, the preferred one first, RFC 8305 section 4."""
    first = [target for target in targets if target[0] == targets[0][0]]
    others = [target for target in targets if target[0] != targets[0][0]]
    pairs = itertools.zip_longest(first, others)
    return [target for pair in pairs for target in pair if target is not None]


async def _race(attempts: Iterable[Callable[[], Awaitable[AsyncioStream]]]) -> AsyncioStream:
    """Give the first stream that connects; each attempt has a head start over the next.

    Raises:
        OSError: all of them failed; the last error when there was one attempt.
    """
    waiting = list(attempts)
    if len(waiting) == 1:
        return await waiting[0]()
    racing: set[asyncio.Task[AsyncioStream]] = set()
    failures: list[BaseException] = []
    try:
        while waiting or racing:
            if waiting:
                racing.add(asyncio.ensure_future(waiting.pop(0)()))
            done, _ = await asyncio.wait(
                racing,
                timeout=_HEAD_START if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                racing.discard(task)
                error = task.exception()
                if error is None:
                    return task.result()
                failures.append(error)
        raise OSError("all connection attempts failed") from failures[-1]
    finally:
        for task in racing:
            task.add_done_callback(_drop)
            task.cancel()


def _drop(late: "asyncio.Task[AsyncioStream]") -> None:
    """Close what connected although the race was over."""
    if not late.cancelled() and late.exception() is None:
        late.result().abort()
