"""A direct connection to an origin: it opens at its first request, and speaks what was agreed.

HTTP/2 is httpcore's exchange, mended (``http2/plain2.py``). HTTP/1.1 is ours on llhttp
(``http11.py``) or, where that is missing or unwanted, httpcore's on h11 (``http1/plain11.py``).
Connections through proxies are httpcore's own, on h11.

Both refuse two different lengths, bad lengths and chunk sizes, every transfer coding but ``chunked``,
NUL, spaces in or before a name, and whatever does not begin as a status line. They differ here:

===================================  =======  ==========================================
a response with                      llhttp   h11
===================================  =======  ==========================================
a length beside chunks               refused  by its chunks; the pool closes the connection
the same length twice                refused  taken once
folded lines, bare line feeds        refused  taken
other control characters             refused  taken
a space behind a chunk size          refused  taken
a chunk size of more than 20 digits  taken    refused
an HTTP version beyond 1.1           refused  taken
more than 20 interim responses       refused  taken; a deadline bounds them
keep-alive in HTTP/1.0               kept     closed
trailers                             told     dropped
``Expect: 100-continue``             waits    sends the body at once
===================================  =======  ==========================================
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Literal, TypeAlias

import httpcore

from typed_async_client.transports.exchange import Recorder
from typed_async_client.transports.http1.plain11 import H11Exchange
from typed_async_client.transports.http2.plain2 import Http2Exchange
from typed_async_client.transports.tracing import tell

__all__ = ["DirectConnection", "Http11", "MakeExchange", "load_exchange"]

Http11: TypeAlias = Literal["auto", "h11", "llhttp"]
"""What speaks HTTP/1.1 on a direct connection; ``"auto"`` is llhttp where it is installed."""

MakeExchange: TypeAlias = Callable[[httpcore.Origin, Any], Any]
"""Makes an exchange on an open stream."""


def load_exchange(http11: Http11) -> MakeExchange:
    """Give the HTTP/1.1 exchange on a parser.

    Raises:
        ImportError: llhttp is asked for, and the extra ``fast`` is not installed.
        ValueError: there is no such parser.
    """
    if http11 not in ("auto", "h11", "llhttp"):
        raise ValueError(f"http11 must be 'auto', 'h11' or 'llhttp', got {http11!r}")
    if http11 == "h11":
        return H11Exchange
    try:
        from typed_async_client.transports.http11 import Http11Exchange  # noqa: PLC0415 - an extra
    except ImportError as error:
        if http11 == "auto":
            return H11Exchange
        raise ImportError(
            "http11='llhttp' needs httptools: pip install 'typed-async-client[fast]'"
        ) from error
    return Http11Exchange


class DirectConnection(httpcore.AsyncConnectionInterface):
    """One connection without a proxy.

    Args:
        origin: where it leads.
        backend: opens the socket.
        http11: makes an HTTP/1.1 exchange on a stream.
        ssl_context: for https.
        http1: allow HTTP/1.1.
        http2: allow HTTP/2.
        keepalive_expiry: seconds that an idle HTTP/2 exchange stays open.
        local_address: address to connect from.
        uds: path of a Unix socket to connect to.
        socket_options: set on the socket.
    """

    def __init__(
        self,
        origin: httpcore.Origin,
        backend: Recorder,
        http11: MakeExchange,
        *,
        ssl_context: ssl.SSLContext | None,
        http1: bool,
        http2: bool,
        keepalive_expiry: float | None,
        local_address: str | None,
        uds: str | None,
        socket_options: Iterable[Any] | None,
    ) -> None:
        self._origin = origin
        self._backend = backend
        self._http11 = http11
        self._ssl_context = ssl_context
        self._http1 = http1
        self._http2 = http2
        self._keepalive_expiry = keepalive_expiry
        self._local_address = local_address
        self._uds = uds
        self._socket_options = socket_options
        self._exchange: Any = None
        self._failed = False
        self._opening = asyncio.Lock()

    def handle_async_request(
        self, request: httpcore.Request
    ) -> Coroutine[Any, Any, httpcore.Response]:
        """Send a request, opening the connection first if need be."""
        if self._exchange is None:
            return self._open_and_handle(request)
        sending: Coroutine[Any, Any, httpcore.Response] = self._exchange.handle_async_request(
            request
        )
        return sending

    async def aclose(self) -> None:
        """Close the exchange, if any was begun."""
        if self._exchange is not None:
            await self._exchange.aclose()

    def can_handle_request(self, origin: httpcore.Origin) -> bool:
        """Whether it leads there."""
        return origin == self._origin

    def is_available(self) -> bool:
        """Whether it may take a further request; before it is open, whether it may turn out to."""
        if self._exchange is None:
            return self._http2 and not self._failed
        available: bool = self._exchange.is_available()
        return available

    def has_expired(self) -> bool:
        """Whether it was idle for too long, or failed to open."""
        return self._failed if self._exchange is None else self._exchange.has_expired()

    def is_idle(self) -> bool:
        """Whether it is open and serves no request."""
        return self._exchange is not None and self._exchange.is_idle()

    def is_closed(self) -> bool:
        """Whether it was closed, or failed to open."""
        return self._failed if self._exchange is None else self._exchange.is_closed()

    def info(self) -> str:
        """Tell its state in a few words."""
        if self._exchange is None:
            return "CONNECTION FAILED" if self._failed else "CONNECTING"
        words: str = self._exchange.info()
        return words

    def __repr__(self) -> str:
        return f"<DirectConnection [{self.info()}]>"

    async def _open_and_handle(self, request: httpcore.Request) -> httpcore.Response:
        await self._wait_for_turn(request)
        try:
            if self._exchange is None:
                await self._open(request)
        finally:
            self._opening.release()
        response: httpcore.Response = await self._exchange.handle_async_request(request)
        return response

    async def _wait_for_turn(self, request: httpcore.Request) -> None:
        """Wait while another request opens the connection, as long as this one may for its own."""
        timeout = request.extensions.get("timeout", {}).get("connect")
        try:
            async with asyncio.timeout(timeout):
                await self._opening.acquire()
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"not connected within {timeout} s") from error

    async def _open(self, request: httpcore.Request) -> None:
        if self._failed:
            raise httpcore.ConnectionNotAvailable
        try:
            stream = await self._connect(request)
            if self._origin.scheme in (b"https", b"wss"):
                stream = await self._secure(request, stream)
        except asyncio.CancelledError:
            raise  # whoever waits for it too opens it then
        except BaseException:
            self._failed = True
            raise
        self._exchange = self._begin(stream)

    async def _connect(self, request: httpcore.Request) -> Any:
        timeout = request.extensions.get("timeout", {}).get("connect")
        common = {"timeout": timeout, "socket_options": self._socket_options}
        if self._uds is not None:
            async with tell(request, "connection.connect_unix_socket", path=self._uds) as told:
                told["return_value"] = await self._backend.connect_unix_socket(self._uds, **common)
            return told["return_value"]
        host, port = self._origin.host.decode("ascii"), self._origin.port
        async with tell(request, "connection.connect_tcp", host=host, port=port) as told:
            told["return_value"] = await self._backend.connect_tcp(
                host, port, local_address=self._local_address, **common
            )
        return told["return_value"]

    async def _secure(self, request: httpcore.Request, stream: Any) -> Any:
        context = self._ssl_context or httpcore.default_ssl_context()
        context.set_alpn_protocols(["http/1.1", "h2"] if self._http2 else ["http/1.1"])
        name = request.extensions.get("sni_hostname") or self._origin.host.decode("ascii")
        timeout = request.extensions.get("timeout", {}).get("connect")
        async with tell(request, "connection.start_tls", server_hostname=name) as told:
            told["return_value"] = await stream.start_tls(context, name, timeout)
        return told["return_value"]

    def _begin(self, stream: Any) -> Any:
        agreed = stream.get_extra_info("ssl_object")
        speaks_http2 = agreed is not None and agreed.selected_alpn_protocol() == "h2"
        if speaks_http2 or (self._http2 and not self._http1):
            return Http2Exchange(
                origin=self._origin, stream=stream, keepalive_expiry=self._keepalive_expiry
            )
        return self._http11(self._origin, stream)
