"""Adapts another library's httpx transport: httpx's errors, and httpx's timeouts.

It doesn't know any of these libraries. Each has a file that maps its options and its errors.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import httpx

from typed_async_client.described import with_message
from typed_async_client.httpx_types import CertTypes
from typed_async_client.sources.closing import aclose_source
from typed_async_client.translation import ErrorTranslation
from typed_async_client.transports.backends.body import TranslatedBody
from typed_async_client.transports.backends.timeouts import PhaseTimeouts
from typed_async_client.transports.backends.wrapper import AsyncWrapper
from typed_async_client.unclosed import WarnsUnclosed
from typed_async_client.wire.request_rules import header_error
from typed_async_client.wording import describe_failure, format_server

if TYPE_CHECKING:
    import ssl


__all__ = ["NEVER_RESENDS", "BackendOptions", "ForeignTransport", "refuse"]

NEVER_RESENDS = "no backend sends a request again that may have been processed"
"""Why no backend has the option ``resend_on_closed``."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BackendOptions:
    """The client options that belong to the transport, with httpx's meanings and defaults."""

    verify: "ssl.SSLContext | str | bool" = True
    cert: CertTypes | None = None
    trust_env: bool = True
    http1: bool = True
    http2: bool = False
    limits: httpx.Limits = dataclasses.field(
        default_factory=lambda: httpx.Limits(max_connections=100)
    )
    proxy: httpx.Proxy | None = None

    @property
    def keeps_alive(self) -> bool:
        """Whether connections may be reused."""
        return self.limits.max_keepalive_connections != 0


def refuse(backend: str, option: str, reason: str) -> ValueError:
    """Make the error for an option that a backend doesn't support.

    Args:
        backend: name of the backend.
        option: the option and its value.
        reason: why it isn't supported.
    """
    return ValueError(f"transport={backend!r} does not support {option}: {reason}")


class Connections(Protocol):
    """The connection pool of another library.

    Attributes:
        is_unclosed: whether it may have open connections.
    """

    @property
    def is_unclosed(self) -> bool: ...

    def abandon(self) -> None:
        """Close the idle connections without waiting, from any thread, even if no loop is running."""


class ForeignTransport(WarnsUnclosed, AsyncWrapper):
    """Wraps the httpx transport of another library, so that it behaves like httpx's own.

    Args:
        inner: a transport for httpx on top of the library.
        connections: the connections of the library.
        translate: maps an error of the library to httpx's, with the original as its cause; returns
            any other error unchanged.
        enforces_timeouts: whether the library enforces the connect, read and pool timeouts. The
            write timeout is always enforced here.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        translate: Callable[[Exception], Exception],
        *,
        connections: "Connections",
        enforces_timeouts: bool,
    ) -> None:
        super().__init__(inner)
        self._connections = connections
        self._translate = translate
        self._enforces_timeouts = enforces_timeouts

    @property
    def _is_unclosed(self) -> bool:
        """Whether the library has open connections."""
        return self._connections.is_unclosed

    def _abandon(self) -> None:
        """Close the idle connections, from any thread."""
        self._connections.abandon()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        _check_address(request.url)
        _check_headers(request)
        timeouts = PhaseTimeouts(request, enforced_by_library=self._enforces_timeouts)
        try:
            response = await timeouts.until_response(self._send(request, timeouts))
        except BaseException:
            await aclose_source(request.stream)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - sent async
        translation = self._translation(timeouts, request, in_body=True)
        end = functools.partial(aclose_source, request.stream)  # it may still be sent till then
        response.stream = TranslatedBody(response.stream, translation, timeouts.read, end)
        return response

    async def _send(self, request: httpx.Request, timeouts: "PhaseTimeouts") -> httpx.Response:
        with self._translation(timeouts, request):
            return await self._inner.handle_async_request(timeouts.prepare(request))

    def _translation(
        self, timeouts: "PhaseTimeouts", request: httpx.Request, *, in_body: bool = False
    ) -> ErrorTranslation:
        def translate(error: Exception) -> Exception:
            if timeouts.body_error is not None:
                return timeouts.body_error
            return with_message(self._translate(error), request, in_body=in_body)

        return ErrorTranslation(translate)


def _check_address(url: httpx.URL) -> None:
    """Refuse URLs that every library rejects with a different error."""
    if url.scheme not in {"http", "https"}:
        raise httpx.UnsupportedProtocol(f"cannot send to {url.scheme or 'no scheme'}://")
    if url.port is not None and url.port > _MAX_PORT:
        raise httpx.ConnectError("no such port") from OverflowError("port must be 0-65535")


_MAX_PORT = 65535


def _check_headers(request: httpx.Request) -> None:
    """Refuse what may not be sent, and what the libraries would change: they take text, in UTF-8."""
    if reason := header_error(request.headers.raw):
        url, kind = request.url, httpx.LocalProtocolError
        server = format_server(url.scheme, url.host, url.port)
        raise kind(describe_failure(kind, method=request.method, server=server, reason=reason))
    for name, value in request.headers.raw:
        try:
            b"\n".join((name, value)).decode()
        except UnicodeDecodeError:
            raise ValueError(
                f"header {name!r} contains bytes that this transport cannot send: use UTF-8"
            ) from None
