"""What every engine of another library needs around it: httpx's errors, and its time limits.

It knows no such library: one file for each of them says what it is given, and what its errors
mean.
"""

import asyncio
import contextlib
import dataclasses
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx

from typed_async_client.httpx_types import CertTypes

if TYPE_CHECKING:
    import ssl


__all__ = ["BackendOptions", "ForeignTransport", "refuse"]

_PIECE = 65536
"""Bytes that an engine takes at once without waiting for the network."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BackendOptions:
    """The options of a client that are its transport's, with httpx's meanings and defaults."""

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
        """Whether connections may be used again."""
        return self.limits.max_keepalive_connections != 0


def refuse(engine: str, option: str, reason: str) -> ValueError:
    """Make the error for an option that an engine cannot keep.

    Args:
        engine: name of the engine.
        option: the option with its value.
        reason: why it cannot.
    """
    return ValueError(f"transport={engine!r} cannot keep {option}: {reason}")


class ForeignTransport(httpx.AsyncBaseTransport):
    """An engine of another library, seen from httpx.

    Args:
        inner: the library's own transport for httpx.
        translate: gives httpx's error for one of the library's, with the original as its cause;
            any other is itself.
        keeps_time: whether the library keeps the connect, read and pool timeouts itself. The
            write timeout is kept here for all.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        translate: Callable[[Exception], Exception],
        *,
        keeps_time: bool,
    ) -> None:
        self._inner = inner
        self._translate = translate
        self._keeps_time = keeps_time

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        _check_address(request.url)
        _check_headers(request.headers)
        patience = PhaseTimeouts(request.extensions.get("timeout", {}), keeps_time=self._keeps_time)
        async with patience.until_answered():
            with self._translated(patience):
                response = await self._inner.handle_async_request(patience.applied_to(request))
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - it came async
        translated = functools.partial(self._translated, patience)
        response.stream = TranslatedBody(response.stream, translated, patience.read)
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        await self._inner.aclose()

    @contextlib.contextmanager
    def _translated(self, patience: "PhaseTimeouts") -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raised = patience.error_of_body or self._translate(error)
            if raised is error:
                raise
            raise raised from raised.__cause__


def _check_address(url: httpx.URL) -> None:
    """Refuse what each library refuses in words of its own."""
    if url.scheme not in {"http", "https"}:
        raise httpx.UnsupportedProtocol(f"cannot send to {url.scheme or 'no scheme'}://")
    if url.port is not None and url.port > _LAST_PORT:
        raise httpx.ConnectError("no such port") from OverflowError("port must be 0-65535")


_LAST_PORT = 65535


def _check_headers(headers: httpx.Headers) -> None:
    """Refuse bytes that would not arrive as they are: each library takes text, and writes UTF-8."""
    for name, value in headers.raw:
        if not (_is_utf8(name) and _is_utf8(value)):
            raise ValueError(f"header {name!r} has bytes that this engine cannot send: use UTF-8")


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


class PhaseTimeouts:
    """The time limits of one request.

    Where they are kept here, the phases before the answer cannot be told apart from outside: they
    share the sum of the limits, and a ``ReadTimeout`` tells that it has passed.
    """

    def __init__(self, timeout: dict[str, float | None], *, keeps_time: bool) -> None:
        self._timeout = timeout
        self._keeps_time = keeps_time
        self._limit: asyncio.Timeout | None = None
        self._kind: type[httpx.TimeoutException] = httpx.ReadTimeout
        #: what the caller's own body failed with; an engine may take it for one of the network
        self.error_of_body: Exception | None = None
        #: seconds between two parts of the answer; None where the library sees to it
        self.read: float | None = None if keeps_time else timeout.get("read")

    @contextlib.asynccontextmanager
    async def until_answered(self) -> AsyncIterator[None]:
        """Limit the time inside, from the connection to the head of the answer."""
        try:
            async with asyncio.timeout(self._until_answered()) as self._limit:
                yield
        except TimeoutError as error:
            if self._limit is None or not self._limit.expired():
                raise
            raise self._kind("the server let the client wait too long") from error
        finally:
            self._limit = None

    def applied_to(self, request: httpx.Request) -> httpx.Request:
        """Give the request as the library gets it: its own to change, its body watched."""
        extensions = dict(request.extensions)
        if not self._keeps_time:
            extensions.pop("timeout", None)
        body: Any = request.stream
        declared = request.headers.get("content-length", "")
        size = int(declared) if declared.isdecimal() else None
        is_short = isinstance(body, httpx.ByteStream) and len(b"".join(body)) in {0, size}
        is_short = is_short and (size or 0) <= _PIECE
        twin = httpx.Request(
            request.method,
            _without_userinfo(request.url),
            headers=request.headers,
            stream=body if is_short else _Upload(body, size, self),
            extensions=extensions,
        )
        twin.headers.encoding = "utf-8"  # as the library writes what it reads here
        if is_short:
            twin.read()
        return twin

    def begin_write(self) -> None:
        """A part of the body goes out from now on."""
        self._allow(self._timeout.get("write"), httpx.WriteTimeout)

    def end_write(self) -> None:
        """The part is out; how long the next takes to come is its maker's affair."""
        self._allow(None, httpx.WriteTimeout)

    def end_body(self) -> None:
        """The body is out; the answer is waited for."""
        self._allow(None if self._keeps_time else self._timeout.get("read"), httpx.ReadTimeout)

    def _allow(self, seconds: float | None, kind: type[httpx.TimeoutException]) -> None:
        if self._limit is None:  # answered before the whole body was sent
            return
        self._kind = kind
        now = asyncio.get_running_loop().time()
        self._limit.reschedule(None if seconds is None else now + seconds)

    def _until_answered(self) -> float | None:
        """Give the sum of the limits; a phase without one adds nothing to it."""
        if self._keeps_time or self._timeout.get("read") is None:
            return None
        return sum(self._timeout.get(phase) or 0 for phase in ("pool", "connect", "read"))


def _without_userinfo(url: httpx.URL) -> httpx.URL:
    """Leave out what httpx has made a header of: an engine would make a second one."""
    return url.copy_with(userinfo=b"") if url.userinfo else url


class _Upload(httpx.AsyncByteStream):
    """A body on its way out: as long as it says, with a limit to the time each part takes."""

    def __init__(self, body: Any, size: int | None, patience: PhaseTimeouts) -> None:
        self._body = body
        self._size = size
        self._patience = patience

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in _parts(self._body, self._size):
                self._patience.begin_write()
                yield part
                self._patience.end_write()
        except Exception as error:
            self._patience.error_of_body = error
            raise
        self._patience.end_body()

    async def aclose(self) -> None:
        await self._body.aclose()


async def _parts(body: Any, size: int | None) -> AsyncIterator[bytes]:
    """Give a body in parts of which each is soon out, and in all as much as it has declared."""
    left = size
    async for chunk in body:
        if left is not None and (left := left - len(chunk)) < 0:
            raise httpx.LocalProtocolError("Too much data for declared Content-Length")
        for start in range(0, len(chunk), _PIECE):
            yield chunk[start : start + _PIECE]
    if left:
        raise httpx.LocalProtocolError("Too little data for declared Content-Length")


class TranslatedBody(httpx.AsyncByteStream):
    """The body of an answer, whose errors are httpx's."""

    def __init__(
        self,
        stream: httpx.AsyncByteStream,
        translated: Callable[[], contextlib.AbstractContextManager[None]],
        read: float | None,
    ) -> None:
        self._stream = stream
        self._translated = translated
        self._read = read

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = aiter(self._stream)
        while (part := await self._next(parts)) is not None:
            yield part

    async def aclose(self) -> None:
        with self._translated():
            await self._stream.aclose()

    async def _next(self, parts: AsyncIterator[bytes]) -> bytes | None:
        limit = asyncio.timeout(self._read)
        try:
            async with limit:
                with self._translated():
                    return await anext(parts, None)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise httpx.ReadTimeout("the answer stopped coming") from error
