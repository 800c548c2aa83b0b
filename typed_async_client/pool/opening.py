"""The steps in which a connection is opened, reported to traces and logs as httpcore reports them.

A dialer takes these steps: to the origin itself (here), or through a proxy (``forward.py``, ``tunnel.py``
and ``socks.py``). The first of them leads to the origin, or to the proxy.
"""

import contextlib
import dataclasses
import logging
import ssl
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias

import httpcore

from typed_async_client.net.deadline import Deadline
from typed_async_client.pool.options import ConnectionOptions
from typed_async_client.wire.messages import timeout_of
from typed_async_client.wire.trace import CONNECTION_LOGGER, Trace

__all__ = ["Dialer", "DirectDialer", "Hop", "Opening", "Prepare", "is_secure"]

Prepare: TypeAlias = Callable[[httpcore.Request], httpcore.Request]
"""Returns what is sent for a request."""

_SECURE = (b"https", b"wss")

_OPTIONS = ("local_address", "socket_options")

_BACKOFF = 0.5
"""Seconds before the third connect attempt, doubled for each later one; the second is made at once."""


def is_secure(origin: httpcore.Origin) -> bool:
    """Whether an origin, or a proxy, is reached over TLS."""
    return origin.scheme in _SECURE


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """The first machine that a connection leads to: the origin, or a proxy.

    Attributes:
        origin: its scheme, host and port. TLS follows if the scheme is that of TLS.
        ssl_context: for TLS; httpcore's default if None.
        server_name: what its certificate has to be valid for.
        allow_http2: whether to negotiate HTTP/2 with it.
        path: of its Unix socket; None for TCP.
        is_socks: whether it is a SOCKS proxy.
    """

    origin: httpcore.Origin
    ssl_context: ssl.SSLContext | None = None
    server_name: str = ""
    allow_http2: bool = False
    path: str | None = None
    is_socks: bool = False

    @classmethod
    def of_proxy(cls, proxy: httpcore.Proxy) -> "Hop":
        """Return the hop to an HTTP proxy; no name that a request wants verified is the proxy's."""
        origin = proxy.url.origin
        name = origin.host.decode("ascii")
        return cls(origin=origin, ssl_context=proxy.ssl_context, server_name=name)


class Opening:
    """One opening of a connection.

    Args:
        backend: opens the socket.
        options: how to connect.
        request: the request that needs the connection, whose timeouts apply.

    Attributes:
        deadline: the end of the connect timeout, counted from the last connect attempt.
        options: how to connect.
        request: the request that needs the connection.
        timeout: the connect timeout in seconds; None is no limit.
    """

    def __init__(
        self,
        backend: httpcore.AsyncNetworkBackend,
        options: ConnectionOptions,
        request: httpcore.Request,
    ) -> None:
        self.deadline: Deadline = Deadline(None)
        self.options: ConnectionOptions = options
        self.request: httpcore.Request = request
        self.timeout: float | None = timeout_of(request, "connect")
        self._backend = backend
        self._details: dict[str, Any] = {}  # of the last step
        self._stream: Any = None

    def abort(self) -> None:
        """Close what was opened, without waiting."""
        if self._stream is not None:
            self._stream.abort()

    async def reach(self, hop: Hop, logger: logging.Logger = CONNECTION_LOGGER) -> Any:
        """Connect to the first hop, with TLS if it needs that, and return the stream.

        Raises:
            httpcore.ConnectError: the last attempt failed.
            httpcore.ConnectTimeout: the last attempt took longer than the connect timeout.
        """
        for delay in _delays(self.options.retries):
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._reach_once(hop, logger)
            async with Trace("retry", logger, self.request, self._details):
                await self._backend.sleep(delay)
        return await self._reach_once(hop, logger)

    async def secure(self, stream: Any, origin: httpcore.Origin, logger: logging.Logger) -> Any:
        """Start TLS with the origin on a stream that leads to it, and return the stream inside."""
        options = self.options
        name = self.server_name(origin)
        return await self._start_tls(
            stream, options.ssl_context, name, logger, allow_http2=options.http2
        )

    def server_name(self, origin: httpcore.Origin) -> str:
        """Return the name that the certificate of the origin has to be valid for."""
        name: str | bytes = self.request.extensions.get("sni_hostname") or origin.host
        return name.decode("ascii") if isinstance(name, bytes) else name

    async def _reach_once(self, hop: Hop, logger: logging.Logger) -> Any:
        self.deadline = Deadline(self.timeout)
        stream = await (
            self._connect_tcp(hop, logger) if hop.path is None else self._connect_unix(hop.path)
        )
        if not is_secure(hop.origin):
            return stream
        return await self._start_tls(
            stream, hop.ssl_context, hop.server_name, logger, allow_http2=hop.allow_http2
        )

    async def _connect_tcp(self, hop: Hop, logger: logging.Logger) -> Any:
        details = {
            "host": hop.origin.host.decode("ascii"),
            "port": hop.origin.port,
            "local_address": self.options.local_address,
            "timeout": self.timeout,
            "socket_options": self.options.socket_options,
        }
        if hop.is_socks:  # httpcore passes no such options to a SOCKS proxy, and reports none
            unset = [name for name in _OPTIONS if details[name] is None]
            details = {name: value for name, value in details.items() if name not in unset}
        return await self._step("connect_tcp", logger, details, self._backend.connect_tcp)

    async def _connect_unix(self, path: str) -> Any:
        details = {
            "path": path,
            "timeout": self.timeout,
            "socket_options": self.options.socket_options,
        }
        connect = self._backend.connect_unix_socket
        return await self._step("connect_unix_socket", CONNECTION_LOGGER, details, connect)

    async def _start_tls(
        self,
        stream: Any,
        context: ssl.SSLContext | None,
        server_name: str,
        logger: logging.Logger,
        *,
        allow_http2: bool,
    ) -> Any:
        context = context or httpcore.default_ssl_context()
        context.set_alpn_protocols(["http/1.1", "h2"] if allow_http2 else ["http/1.1"])
        details = {
            "ssl_context": context,
            "server_hostname": server_name,
            "timeout": self.timeout,
        }
        return await self._step("start_tls", logger, details, stream.start_tls)

    async def _step(
        self, name: str, logger: logging.Logger, details: dict[str, Any], take: Callable[..., Any]
    ) -> Any:
        """Take a step that ends with a stream, and report it."""
        self._details = details
        async with Trace(name, logger, self.request, details) as report:
            report.return_value = self._stream = await take(**details)
        return self._stream


def _delays(retries: int) -> Iterator[float]:
    """Yield the seconds to wait before each connect attempt after the first, as httpcore waits."""
    for number in range(retries):
        yield _BACKOFF * 2 ** (number - 1) if number else 0.0


class Dialer(Protocol):
    """Opens the stream of a connection.

    Attributes:
        logger: its closing is reported there; None if it isn't reported.
        origin: what an HTTP/1.1 exchange on the stream sends its requests to: a proxy or the origin.
    """

    logger: logging.Logger | None
    origin: httpcore.Origin

    @property
    def prepare(self) -> Prepare | None:
        """Makes the request for a proxy of one for the origin; None if they are the same."""

    async def dial(self, opening: Opening) -> Any:
        """Open the stream, on which the next bytes are those of HTTP."""


class DirectDialer:
    """Reaches an origin without a proxy.

    Args:
        origin: the origin to connect to.
        path: of a Unix socket to connect to instead; None for TCP.
    """

    logger: logging.Logger | None = CONNECTION_LOGGER
    prepare: Prepare | None = None

    def __init__(self, origin: httpcore.Origin, path: str | None) -> None:
        self.origin: httpcore.Origin = origin
        self._path = path

    async def dial(self, opening: Opening) -> Any:
        """Connect, with TLS if the origin needs that."""
        options = opening.options
        return await opening.reach(
            Hop(
                origin=self.origin,
                ssl_context=options.ssl_context,
                server_name=opening.server_name(self.origin),
                allow_http2=options.http2,
                path=self._path,
            )
        )
