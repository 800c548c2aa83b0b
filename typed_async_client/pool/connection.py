"""A direct connection to an origin: it opens with its first request and speaks what was negotiated.

For HTTP/2, it uses our exchange on h2 (``http2/connection.py``). For HTTP/1.1, it uses our exchange
(``http1/connection.py``), whose parser is llhttp or, if httptools is missing or h11 is requested, h11.
"""

import asyncio
import dataclasses
import ssl
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeAlias

import httpcore

from typed_async_client.net.alpn import OwnAlpnContext
from typed_async_client.net.deadline import time_limit
from typed_async_client.pool.recorder import Recorder
from typed_async_client.pool.slot import Origin
from typed_async_client.wire.messages import timeout_of
from typed_async_client.wire.trace import CONNECTION_LOGGER, Trace

__all__ = ["ChooseProxy", "ConnectionOptions", "DirectConnection", "ExchangeFactory"]

ChooseProxy: TypeAlias = Callable[[Origin], httpcore.Proxy | None]
"""Returns the proxy for an origin; None means that it is reached directly."""

ExchangeFactory: TypeAlias = Callable[[httpcore.Origin, Any], Any]
"""Creates an exchange, which speaks HTTP, on an open stream."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """How to make the connections of a pool; ``ConnectionPool`` documents the fields."""

    ssl_context: ssl.SSLContext | None
    proxy: httpcore.Proxy | None
    http1: bool
    http2: bool
    retries: int
    local_address: str | None
    uds: str | None
    socket_options: Iterable[Any] | None
    http2_keepalive: float | None = None
    proxy_for: ChooseProxy | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The fields as arguments of a pool of httpcore, which has one proxy or none."""
        names = [field.name for field in dataclasses.fields(self)]
        ours = ("proxy_for", "http2_keepalive")
        return {name: getattr(self, name) for name in names if name not in ours}

    def for_origin(self, origin: Origin) -> "ConnectionOptions":
        """Return the options with the proxy that was chosen for an origin."""
        if self.proxy_for is None:
            return self
        return dataclasses.replace(self, proxy=self.proxy_for(origin), proxy_for=None)

    def for_server(self, name: str) -> "ConnectionOptions":
        """Return options for connections to a server that has another name than its host.

        httpcore verifies the host when a tunnel leads to it; an empty name leaves it at that.
        """
        if not name:
            return self
        context = self.ssl_context or httpcore.default_ssl_context()
        own = context if isinstance(context, OwnAlpnContext) else OwnAlpnContext(context)
        return dataclasses.replace(self, ssl_context=own.for_server(name))

    def may_multiplex(self, origin: Origin) -> bool:
        """Whether a connection to that origin may serve several requests at once."""
        return self.http2 and (origin[0] == b"https" or not self.http1)


class DirectConnection(httpcore.AsyncConnectionInterface):
    """One connection without a proxy.

    Args:
        origin: the origin to connect to.
        backend: opens the socket.
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
        backend: Recorder,
        http11: ExchangeFactory,
        options: ConnectionOptions,
    ) -> None:
        self._origin = origin
        self._backend = backend
        self._http11 = http11
        self._options = options
        self.exchange: Any = None
        self.http2: Any = None
        self.on_room: Callable[[], None] | None = None
        self._failed = False
        self._opening = asyncio.Lock()

    def handle_async_request(
        self, request: httpcore.Request
    ) -> Coroutine[Any, Any, httpcore.Response]:
        """Send a request, after opening the connection if necessary."""
        if self.exchange is None:
            return self._open_and_handle(request)
        response: Coroutine[Any, Any, httpcore.Response] = self.exchange.handle_async_request(
            request
        )
        return response

    async def aclose(self) -> None:
        """Close the exchange, if there is one."""
        if self.exchange is not None:
            async with Trace("close", CONNECTION_LOGGER, None, {}):
                await self.exchange.aclose()

    def can_handle_request(self, origin: httpcore.Origin) -> bool:
        """Whether it connects to that origin."""
        return origin == self._origin

    def is_available(self) -> bool:
        """Whether it can serve another request; before it is open, whether it might be able to."""
        if self.exchange is None:
            return self._options.http2 and not self._failed
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
        return f"<DirectConnection [{self.info()}]>"

    async def open(self, request: httpcore.Request) -> None:
        """Open the connection for later requests, with the timeouts of a request that isn't sent.

        Over HTTP/2, the preface is sent, so that the server may announce its settings.
        """
        await self._ensure_open(request)
        await self.exchange.open(request)

    async def _open_and_handle(self, request: httpcore.Request) -> httpcore.Response:
        await self._ensure_open(request)
        response: httpcore.Response = await self.exchange.handle_async_request(request)
        return response

    async def _ensure_open(self, request: httpcore.Request) -> None:
        await self._acquire_opening_lock(request)
        try:
            if self.exchange is None:
                await self._open(request)
        finally:
            self._opening.release()

    async def _acquire_opening_lock(self, request: httpcore.Request) -> None:
        """Wait while another request opens the connection, for at most the connect timeout."""
        timeout = timeout_of(request, "connect")
        try:
            async with time_limit(timeout):
                await self._opening.acquire()
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("another request was still opening it") from error

    async def _open(self, request: httpcore.Request) -> None:
        if self._failed:
            raise httpcore.ConnectionNotAvailable
        try:
            stream = await self._connect(request)
            if self._origin.scheme in (b"https", b"wss"):
                stream = await self._secure(request, stream)
        except asyncio.CancelledError:
            raise  # another request that waits for the connection will open it
        except BaseException:
            self._failed = True
            raise
        self.exchange = self._create_exchange(stream)

    async def _connect(self, request: httpcore.Request) -> Any:
        details: dict[str, Any] = {
            "timeout": timeout_of(request, "connect"),
            "socket_options": self._options.socket_options,
        }
        if self._options.uds is not None:
            details = {"path": self._options.uds, **details}
            async with Trace("connect_unix_socket", CONNECTION_LOGGER, request, details) as report:
                report.return_value = await self._backend.connect_unix_socket(**details)
            return report.return_value
        details = {
            "host": self._origin.host.decode("ascii"),
            "port": self._origin.port,
            "local_address": self._options.local_address,
            **details,
        }
        async with Trace("connect_tcp", CONNECTION_LOGGER, request, details) as report:
            report.return_value = await self._backend.connect_tcp(**details)
        return report.return_value

    async def _secure(self, request: httpcore.Request, stream: Any) -> Any:
        context = self._options.ssl_context or httpcore.default_ssl_context()
        context.set_alpn_protocols(["http/1.1", "h2"] if self._options.http2 else ["http/1.1"])
        hostname = request.extensions.get("sni_hostname") or self._origin.host.decode("ascii")
        details = {
            "ssl_context": context,
            "server_hostname": hostname,
            "timeout": timeout_of(request, "connect"),
        }
        async with Trace("start_tls", CONNECTION_LOGGER, request, details) as report:
            report.return_value = await stream.start_tls(**details)
        return report.return_value

    def _create_exchange(self, stream: Any) -> Any:
        if stream.alpn_protocol == "h2" or (self._options.http2 and not self._options.http1):
            from typed_async_client.http2.connection import Http2Connection  # noqa: PLC0415 - h2 is optional

            self.http2 = Http2Connection(
                self._origin, stream, keepalive=self._options.http2_keepalive, on_room=self.on_room
            )
            return self.http2
        return self._http11(self._origin, stream)
