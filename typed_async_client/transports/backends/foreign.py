"""Adapts another library's httpx transport: httpx's errors, and httpx's timeouts.

It doesn't know any of these libraries. Each has a file that maps its options and its errors.
"""

import asyncio
import contextlib
import dataclasses
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from typed_async_client.described import with_message
from typed_async_client.httpx_types import CertTypes
from typed_async_client.transports.backends.body import TranslatedBody
from typed_async_client.transports.backends.wrapper import AsyncWrapper
from typed_async_client.unclosed import WarnsUnclosed
from typed_async_client.wire.request_rules import header_error
from typed_async_client.wire.uploads import aclose_generator
from typed_async_client.wording import describe_failure, format_server

if TYPE_CHECKING:
    import ssl


__all__ = ["NEVER_RESENDS", "BackendOptions", "ForeignTransport", "refuse"]

NEVER_RESENDS = "no backend sends a request again that may have been processed"
"""Why no backend has the option ``resend_on_closed``."""

_MAX_PART = 65536
"""Bytes that a backend buffers without waiting for the network."""


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
    """The connections of a library, which the pool of that library holds.

    Attributes:
        is_unclosed: whether any may be open.
    """

    @property
    def is_unclosed(self) -> bool: ...

    def abandon(self) -> None:
        """Close the idle ones, without waiting, from any thread and without a loop that runs."""


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
    def is_unclosed(self) -> bool:
        """Whether the library has open connections."""
        return self._connections.is_unclosed

    def abandon(self) -> None:
        """Close the idle connections, from any thread."""
        self._connections.abandon()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        _check_address(request.url)
        _check_headers(request)
        timeouts = PhaseTimeouts(request, enforced_by_library=self._enforces_timeouts)
        try:
            async with timeouts.until_response():
                with self._translated(timeouts, request):
                    response = await self._inner.handle_async_request(timeouts.prepare(request))
        except BaseException:
            await aclose_generator(request.stream)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - sent async
        translated = functools.partial(self._translated, timeouts, request, in_body=True)
        end = functools.partial(aclose_generator, request.stream)  # it may still be sent till then
        response.stream = TranslatedBody(response.stream, translated, timeouts.read, end)
        return response

    @contextlib.contextmanager
    def _translated(
        self, timeouts: "PhaseTimeouts", request: httpx.Request, *, in_body: bool = False
    ) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raised = timeouts.body_error
            if raised is None:
                raised = with_message(self._translate(error), request, in_body=in_body)
            if raised is error:
                raise
            raise raised from raised.__cause__


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


class PhaseTimeouts:
    """The timeouts of one request.

    If they are enforced here, the phases before the response can't be told apart from outside: they
    share the sum of the timeouts, and a ``ReadTimeout`` reports that it was exceeded.
    """

    def __init__(self, request: httpx.Request, *, enforced_by_library: bool) -> None:
        self._request = request
        self._timeout: dict[str, float | None] = request.extensions.get("timeout", {})
        self._enforced_by_library = enforced_by_library
        self._scope: asyncio.Timeout | None = None
        self._seconds: float | None = None
        self._error_type: type[httpx.TimeoutException] = httpx.ReadTimeout
        #: what the caller's request body raised; a backend may mistake it for a network error
        self.body_error: Exception | None = None
        #: seconds between two parts of the response; None if the library enforces it
        self.read: float | None = None if enforced_by_library else self._timeout.get("read")

    @contextlib.asynccontextmanager
    async def until_response(self) -> AsyncIterator[None]:
        """Limit the time inside, from connecting to the response headers."""
        self._seconds = self._total()
        try:
            async with asyncio.timeout(self._seconds) as self._scope:
                yield
        except TimeoutError as error:
            if self._scope is None or not self._scope.expired():
                raise
            raise with_message(self._error_type(""), self._request, limit=self._seconds) from error
        finally:
            self._scope = None

    def prepare(self, request: httpx.Request) -> httpx.Request:
        """Return a copy of the request for the library, with its body watched."""
        extensions = dict(request.extensions)
        if not self._enforced_by_library:
            extensions.pop("timeout", None)
        body: Any = request.stream
        declared = request.headers.get("content-length", "")
        size = int(declared) if declared.isdecimal() else None
        is_short = isinstance(body, httpx.ByteStream) and len(b"".join(body)) in {0, size}
        is_short = is_short and (size or 0) <= _MAX_PART
        copy = httpx.Request(
            request.method,
            _without_userinfo(request.url),
            headers=request.headers,
            stream=body if is_short else _Upload(body, size, self),
            extensions=extensions,
        )
        copy.headers.encoding = "utf-8"  # the library reads them as text and encodes it as UTF-8
        if is_short:
            copy.read()
        return copy

    def begin_write(self) -> None:
        """Start the write timeout: a part of the body is being sent."""
        self._limit(self._timeout.get("write"), httpx.WriteTimeout)

    def end_write(self) -> None:
        """Stop the write timeout: the caller may take any time to produce the next part."""
        self._limit(None, httpx.WriteTimeout)

    def end_body(self) -> None:
        """Start the read timeout: the whole body has been sent."""
        seconds = None if self._enforced_by_library else self._timeout.get("read")
        self._limit(seconds, httpx.ReadTimeout)

    def _limit(self, seconds: float | None, error_type: type[httpx.TimeoutException]) -> None:
        if self._scope is None:  # the response arrived before the whole body was sent
            return
        self._error_type = error_type
        self._seconds = seconds
        now = asyncio.get_running_loop().time()
        self._scope.reschedule(None if seconds is None else now + seconds)

    def _total(self) -> float | None:
        """Return the sum of the timeouts; a phase without one adds nothing to it."""
        if self._enforced_by_library or self._timeout.get("read") is None:
            return None
        return sum(self._timeout.get(phase) or 0 for phase in ("pool", "connect", "read"))


def _without_userinfo(url: httpx.URL) -> httpx.URL:
    """Remove what httpx has already turned into a header: a backend would add a second one."""
    return url.copy_with(userinfo=b"") if url.userinfo else url


class _Upload(httpx.AsyncByteStream):
    """A request body, checked against its declared length, with a timeout for each part."""

    def __init__(self, body: Any, size: int | None, timeouts: PhaseTimeouts) -> None:
        self._body = body
        self._size = size
        self._timeouts = timeouts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in _parts(self._body, self._size):
                self._timeouts.begin_write()
                yield part
                self._timeouts.end_write()
        except Exception as error:
            self._timeouts.body_error = error
            raise
        self._timeouts.end_body()

    async def aclose(self) -> None:
        await self._body.aclose()


async def _parts(body: Any, size: int | None) -> AsyncIterator[bytes]:
    """Yield a body in parts small enough to time, and check it against its declared length."""
    left = size
    async for chunk in body:
        if left is not None and (left := left - len(chunk)) < 0:
            raise httpx.LocalProtocolError("Too much data for declared Content-Length")
        for start in range(0, len(chunk), _MAX_PART):
            yield chunk[start : start + _MAX_PART]
    if left:
        raise httpx.LocalProtocolError("Too little data for declared Content-Length")
