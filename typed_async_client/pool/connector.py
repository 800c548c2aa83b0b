"""Creates the connections of a pool: direct ones, or through a proxy, on the requested parser.

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
from typing import Any, Literal, TypeAlias

import httpcore

from typed_async_client.hosts import authority_host, without_zone
from typed_async_client.http1.connection import Http11Connection, ParserFactory
from typed_async_client.http1.h11_parser import H11Parser
from typed_async_client.net.backend import AsyncioBackend
from typed_async_client.pool.connection import ConnectionOptions, DirectConnection, ExchangeFactory
from typed_async_client.pool.proxied import with_own_exchange
from typed_async_client.pool.recorder import Recorder
from typed_async_client.pool.slot import DIRECT, Route, Slot
from typed_async_client.pool.socks import SocksBackend, is_socks
from typed_async_client.wording import format_server

__all__ = ["Http11", "connector", "httpcore_connection", "load_exchange"]

Http11: TypeAlias = Literal["auto", "h11", "llhttp"]
"""The HTTP/1.1 parser of a direct connection; ``"auto"`` is llhttp where httptools is installed."""


def connector(
    options: ConnectionOptions, backend: AsyncioBackend, http11: Http11
) -> Callable[[Slot], Any]:
    """Return a function that creates a slot's connection, without opening it yet.

    Raises:
        ImportError: llhttp is requested and httptools isn't installed.
        ValueError: ``http11`` isn't a valid value.
    """
    exchange = load_exchange(http11)

    def connect(slot: Slot) -> Any:
        origin = httpcore.Origin(*slot.origin)
        recorder = Recorder(backend, slot)
        chosen = options.for_origin(slot.origin).for_server(slot.key[1])
        slot.route = _route(chosen)
        if chosen.proxy is None and chosen.retries == 0:
            connection = DirectConnection(origin, recorder, exchange, chosen)
            connection.on_room = _room_notice(slot)
            return connection
        return httpcore_connection(origin, recorder, chosen)

    return connect


def _room_notice(slot: Slot) -> Callable[[], None]:
    """Return what tells the pool that a connection may serve more requests than before."""
    reference = weakref.ref(slot)  # it holds the connection

    def notify() -> None:
        living = reference()
        if living is not None and living.on_room is not None:
            living.on_room(living)

    return notify


def _route(options: ConnectionOptions) -> Route:
    if options.proxy is not None:
        url = options.proxy.url
        scheme, host = url.scheme.decode("ascii"), url.host.decode("ascii")
        layers = 2 if scheme == "https" else 1
        return Route(through=f"the proxy {format_server(scheme, host, url.port)}", layers=layers)
    return DIRECT if options.uds is None else Route(through=f"the Unix socket {options.uds}")


def httpcore_connection(
    origin: httpcore.Origin, backend: httpcore.AsyncNetworkBackend, options: ConnectionOptions
) -> Any:
    """Create a connection with a temporary httpcore pool, which picks the class for the proxy."""
    if is_socks(options.proxy):
        backend = SocksBackend(backend)
        origin = _OriginForProxy(origin, without_zone(origin.host.decode("ascii")))
    elif options.proxy is not None:
        origin = _OriginForProxy(origin, authority_host(origin.host.decode("ascii")))
    pool = httpcore.AsyncConnectionPool(network_backend=backend, **options.arguments)
    return with_own_exchange(pool.create_connection(origin))


class _OriginForProxy(httpcore.Origin):
    """An origin whose host is written as a proxy has to get it, which httpcore doesn't do.

    It equals the origin that it stands for, because httpcore compares it with that of a request.
    """

    def __init__(self, origin: httpcore.Origin, host: str) -> None:
        super().__init__(origin.scheme, host.encode("ascii"), origin.port)
        self._origin = origin

    def __eq__(self, other: object) -> bool:
        return self._origin == other

    __hash__ = None  # type: ignore[assignment]  # as in its base class, which defines only __eq__


def load_exchange(http11: Http11) -> ExchangeFactory:
    """Return what creates HTTP/1.1 exchanges on the requested parser.

    Raises:
        ImportError: llhttp is requested and httptools isn't installed.
        ValueError: ``http11`` isn't a valid value.
    """
    if http11 not in ("auto", "h11", "llhttp"):
        raise ValueError(f"http11 must be 'auto', 'h11' or 'llhttp', got {http11!r}")
    return functools.partial(Http11Connection, new_parser=_load_parser(http11))


def _load_parser(http11: Http11) -> ParserFactory:
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
