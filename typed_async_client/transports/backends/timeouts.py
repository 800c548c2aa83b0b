"""The timeouts of a request to another library, and its body, sent in parts that they can limit."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import httpx

from typed_async_client.described import with_message

__all__ = ["PhaseTimeouts"]

_MAX_PART = 65536
"""Bytes that a backend buffers without waiting for the network."""


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

    async def until_response(self, sending: Awaitable[httpx.Response]) -> httpx.Response:
        """Wait for the response headers, limiting the time since the request began to connect."""
        self._seconds = self._total()
        try:
            async with asyncio.timeout(self._seconds) as self._scope:
                return await sending
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
