"""A connection to an origin, direct or through a proxy: it opens with its first request.

A dialer opens the stream, and an exchange speaks what was negotiated on it. For HTTP/2, that is our
exchange on h2 (``http2/connection.py``). For HTTP/1.1, it is our exchange (``http1/connection.py``), whose
parser is llhttp or, if httptools is missing or h11 is requested, h11.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpcore

from typed_async_client.net.deadline import Deadline
from typed_async_client.pool.opening import Dialer, Opening
from typed_async_client.pool.options import ConnectionOptions, ExchangeFactory
from typed_async_client.wire.messages import timeout_of
from typed_async_client.wire.trace import Trace

__all__ = ["PoolConnection"]


class PoolConnection(httpcore.AsyncConnectionInterface):
    """One connection of a pool.

    Args:
        origin: the origin to connect to.
        backend: opens the socket.
        dialer: opens the stream.
        http11: creates an HTTP/1.1 exchange on a stream.
        options: how to connect.

    Attributes:
        exchange: speaks HTTP on the connection; None until it is open.
        http2: the same, if that is HTTP/2.
        on_room: called when an HTTP/2 server has allowed more streams.
    """

    def __init__(
        self,
        origin: httpcore.Origin,
        backend: httpcore.AsyncNetworkBackend,
        dialer: Dialer,
        http11: ExchangeFactory,
        options: ConnectionOptions,
    ) -> None:
        self._origin = origin
        self._backend = backend
        self._dialer = dialer
        self._http11 = http11
        self._options = options
        self.exchange: Any = None
        self.http2: Any = None
        self.on_room: Callable[[], None] | None = None
        self._failed = False
        self._is_opening = False
        self._waiting: list[asyncio.Future[None]] = []  # until another request has opened it
        self._openers = 0  # requests that open it, or wait for that
        self._prepare = dialer.prepare

    def handle_async_request(
        self, request: httpcore.Request
    ) -> Coroutine[Any, Any, httpcore.Response]:
        """Send a request, after opening the connection if necessary."""
        if self.exchange is None:
            return self._open_and_handle(request)
        if self._prepare is not None:
            request = self._prepare(request)
        response: Coroutine[Any, Any, httpcore.Response] = self.exchange.handle_async_request(
            request
        )
        return response

    async def aclose(self) -> None:
        """Close the exchange, if there is one."""
        if self.exchange is None:
            return
        if self._dialer.logger is None:
            await self.exchange.aclose()
            return
        async with Trace("close", self._dialer.logger, None, {}):
            await self.exchange.aclose()

    def can_handle_request(self, origin: httpcore.Origin) -> bool:
        """Whether it connects to that origin."""
        return origin == self._origin

    def is_available(self) -> bool:
        """Whether it can serve another request; before it is open, whether it might be able to."""
        if self.exchange is None:
            origin = self._origin
            shared = self._options.may_multiplex((origin.scheme, origin.host, origin.port))
            return shared and not self._failed
        available: bool = self.exchange.is_available()
        return available

    def has_expired(self) -> bool:
        """Whether it has expired while idle, or failed to open."""
        return self._failed if self.exchange is None else self.exchange.has_expired()

    def is_idle(self) -> bool:
        """Whether it is open and serves no request."""
        return self.exchange is not None and self.exchange.is_idle()

    def is_closed(self) -> bool:
        """Whether it was closed, or failed to open."""
        return self._failed if self.exchange is None else self.exchange.is_closed()

    def info(self) -> str:
        """Return a short description of its state."""
        if self.exchange is None:
            return "CONNECTION FAILED" if self._failed else "CONNECTING"
        description: str = self.exchange.info()
        return description

    def __repr__(self) -> str:
        return f"<PoolConnection [{self.info()}]>"

    async def open(self, request: httpcore.Request) -> None:
        """Open the connection for later requests, with the timeouts of a request that isn't sent.

        Over HTTP/2, the preface is sent, so that the server may announce its settings.
        """
        await self._ensure_open(request)
        await self.exchange.open(request)

    async def _open_and_handle(self, request: httpcore.Request) -> httpcore.Response:
        await self._ensure_open(request)
        if self._prepare is not None:
            request = self._prepare(request)
        response: httpcore.Response = await self.exchange.handle_async_request(request)
        return response

    async def _ensure_open(self, request: httpcore.Request) -> None:
        """Open it, or wait until another request has; if that one is cancelled, the next one opens it."""
        self._openers += 1
        deadline = Deadline(timeout_of(request, "connect"))
        try:
            while self.exchange is None:
                if self._is_opening:
                    await self._wait_for_opening(deadline)
                else:
                    await self._open_for_all(request)
        finally:
            self._openers -= 1
            self._failed = self._failed or (self.exchange is None and not self._openers)

    async def _wait_for_opening(self, deadline: Deadline) -> None:
        """Wait while another request opens the connection, until the deadline of this one."""
        opened = asyncio.get_running_loop().create_future()
        self._waiting.append(opened)
        try:
            async with deadline.limit():
                await opened
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("another request was still opening it") from error

    async def _open_for_all(self, request: httpcore.Request) -> None:
        """Open the connection; those that wait for it go on in order, all in the same turn."""
        self._is_opening = True
        try:
            await self._open(request)
        finally:
            self._is_opening = False
            waiting, self._waiting = self._waiting, []
            for opened in waiting:
                if not opened.done():
                    opened.set_result(None)

    async def _open(self, request: httpcore.Request) -> None:
        if self._failed:
            raise httpcore.ConnectionNotAvailable
        opening = Opening(self._backend, self._options, request)
        try:
            self.exchange = self._create_exchange(await self._dialer.dial(opening))
        except BaseException as error:
            opening.abort()
            self._failed = not isinstance(error, asyncio.CancelledError)
            raise

    def _create_exchange(self, stream: Any) -> Any:
        if stream.alpn_protocol == "h2" or (self._options.http2 and not self._options.http1):
            from typed_async_client.http2.connection import Http2Connection  # noqa: PLC0415 - h2 is optional

            self.http2 = Http2Connection(
                self._origin, stream, keepalive=self._options.http2_keepalive, on_room=self.on_room
            )
            return self.http2
        return self._http11(self._dialer.origin, stream)
