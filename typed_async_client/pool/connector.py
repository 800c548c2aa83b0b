"""Chooses how a pool reaches an origin, and the parser that reads its responses.

Requests are checked for both parsers alike, see ``wire/request_rules.py``. Of responses, both accept what
RFC 9112 allows: folded lines, the same length twice, bare line feeds at the end of every line, interim
responses with any header, a higher minor version, blanks and extensions after a chunk size, trailers. A
connection with bytes left over behind a response isn't reused. Both refuse conflicting lengths, invalid
lengths and chunk sizes, every transfer coding except ``chunked``, NUL bytes, spaces in or before a header
name, a major version other than 1, more than 20 interim responses, and anything that doesn't start with a
status line. Bodies are read by the same code. Heads differ here, for the reason given:

=================================  ============  =============  ===================================
a head with                        llhttp        h11            reason
=================================  ============  =============  ===================================
both Content-Length and chunked    refused       chunked; the   an intermediary may use the other,
                                                 connection is  RFC 9112 section 6.3
                                                 closed
some bare line feeds, among CRLF   refused       accepted       somebody may have injected a line
control characters, except NUL     refused       accepted       invalid, RFC 9110 section 5.5
a length above 2**64               refused       20 digits      what the parser can count
101 without Upgrade, or without    refused       accepted       invalid, RFC 9110 sections 7.8 and
``Connection: upgrade``                                         15.2.2
=================================  ============  =============  ===================================
"""

import functools
import weakref
from collections.abc import Callable
from typing import Literal, TypeAlias

import httpcore

from typed_async_client.http1.connection import Http11Connection, ParserFactory
from typed_async_client.http1.h11_parser import H11Parser
from typed_async_client.net.backend import AsyncioBackend
from typed_async_client.pool.connection import PoolConnection
from typed_async_client.pool.forward import ForwardDialer
from typed_async_client.pool.opening import Dialer, DirectDialer
from typed_async_client.pool.options import ConnectionOptions, ExchangeFactory
from typed_async_client.pool.recorder import Recorder
from typed_async_client.pool.slot import DIRECT, Origin, Route, Slot
from typed_async_client.pool.tunnel import TunnelDialer
from typed_async_client.wording import format_server

__all__ = ["Connector", "Http11", "load_exchange", "load_parser"]

Http11: TypeAlias = Literal["auto", "h11", "llhttp"]
"""The HTTP/1.1 parser; ``"auto"`` is llhttp where httptools is installed."""


class Connector:
    """Creates connections, without opening them yet.

    Args:
        options: how to connect.
        backend: opens the sockets.
        http11: the HTTP/1.1 parser.

    Raises:
        ImportError: llhttp is requested and httptools isn't installed.
        ValueError: ``http11`` isn't a valid value.
    """

    def __init__(self, options: ConnectionOptions, backend: AsyncioBackend, http11: Http11) -> None:
        self._backend = backend
        self._exchange = load_exchange(http11)
        self._options = options

    def for_slot(self, slot: Slot) -> PoolConnection:
        """Create the connection of a slot, which has its streams recorded, and learns of more room."""
        options = self._options.for_origin(slot.origin).for_server(slot.key[1])
        slot.route = _route(options)
        connection = self._connection(slot.origin, Recorder(self._backend, slot), options)
        connection.on_room = _room_notice(slot)
        return connection

    def unpooled(self, origin: Origin) -> PoolConnection:
        """Create a connection that has no slot."""
        return self._connection(origin, self._backend, self._options.for_origin(origin))

    def _connection(
        self, origin: Origin, backend: httpcore.AsyncNetworkBackend, options: ConnectionOptions
    ) -> PoolConnection:
        served, exchange = httpcore.Origin(*origin), self._exchange
        dialer = _dialer(served, options, exchange)
        return PoolConnection(served, backend, dialer, exchange, options)


def _room_notice(slot: Slot) -> Callable[[], None]:
    """Return what tells the pool that a connection may serve more requests than before."""
    reference = weakref.ref(slot)  # it holds the connection

    def notify() -> None:
        living = reference()
        if living is not None and living.on_room is not None:
            living.on_room(living)

    return notify


def _dialer(
    origin: httpcore.Origin, options: ConnectionOptions, exchange: ExchangeFactory
) -> Dialer:
    """Return what opens connections to an origin.

    Requests for http go to the proxy itself, unless HTTP/1.1 isn't allowed: HTTP/2 needs a tunnel.
    """
    proxy = options.proxy
    if proxy is None:
        return DirectDialer(origin, options.uds)
    if proxy.url.scheme.startswith(b"socks"):
        from typed_async_client.pool.socks import SocksDialer  # noqa: PLC0415 - needs an extra

        return SocksDialer(origin, proxy)
    if origin.scheme == b"http" and options.http1:
        return ForwardDialer(proxy)
    return TunnelDialer(origin, proxy, exchange)


def _route(options: ConnectionOptions) -> Route:
    if options.proxy is not None:
        url = options.proxy.url
        scheme, host = url.scheme.decode("ascii"), url.host.decode("ascii")
        return Route(through=f"the proxy {format_server(scheme, host, url.port)}")
    return DIRECT if options.uds is None else Route(through=f"the Unix socket {options.uds}")


def load_exchange(http11: Http11) -> ExchangeFactory:
    """Return what creates HTTP/1.1 exchanges on the requested parser.

    Raises:
        ImportError: llhttp is requested and httptools isn't installed.
        ValueError: ``http11`` isn't a valid value.
    """
    if http11 not in ("auto", "h11", "llhttp"):
        raise ValueError(f"http11 must be 'auto', 'h11' or 'llhttp', got {http11!r}")
    return functools.partial(Http11Connection, new_parser=load_parser(http11))


def load_parser(http11: Http11) -> ParserFactory:
    """Return what creates the requested parser; ``"auto"`` is llhttp where httptools is installed.

    Raises:
        ImportError: llhttp is requested and httptools isn't installed.
    """
    if http11 == "h11":
        return H11Parser
    try:
        from typed_async_client.http1.parser import ResponseParser  # noqa: PLC0415 - not on every platform
    except ImportError as error:
        if http11 == "auto":
            return H11Parser
        raise ImportError(
            "http11='llhttp' needs httptools, which isn't installed: pip install httptools"
        ) from error
    return ResponseParser
