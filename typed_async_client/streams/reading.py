"""Reads the body of a streamed response part by part, for what makes lines or events of it."""

import asyncio
import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Final, TypeVar, cast

from typed_async_client.engine.drivers import AsyncDriver
from typed_async_client.streaming import ResponseStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpx

    from typed_async_client.engine.run import Run
    from typed_async_client.engine.steps import Flow
    from typed_async_client.httpx_client.streaming import StreamSender

__all__ = ["BodyReader"]

T = TypeVar("T")

_MOST: Final = 16 * 1024
"""Bytes that are handled at once: thousands of tiny events take some milliseconds."""


class BodyReader(ResponseStream):
    """A response whose body is read part by part; it must be entered first."""

    _part: bytes = b""
    _parts: "AsyncGenerator[bytes, None] | None" = None
    _size: int = 0  # bytes returned since other tasks had their turn
    _start: int = 0  # of what hasn't been returned of the part

    @property
    def response(self) -> "httpx.Response":
        """The response.

        Raises:
            RuntimeError: it isn't open: it wasn't entered, or was left.
        """
        if self._response is None:
            raise RuntimeError("the stream isn't open: use it in `async with`, and within it only")
        return self._response

    @property
    def run(self) -> "Run":
        """The state of the request, which was launched."""
        return cast("Run", self._launched.run)

    @property
    def name(self) -> str:
        """The method and the URL of the request, without secrets."""
        record = self._launched.record
        return f"{record.method} {record.url}"

    @property
    def _launched(self) -> "StreamSender":
        return cast("StreamSender", self._sender)

    async def read(self) -> bytes:
        """Return the next part of the decoded body, of at most 16 KiB; empty at its end.

        Other tasks get their turn after so many bytes, also if more has arrived than is read.
        """
        if self._parts is None:
            self._parts = cast("AsyncGenerator[bytes, None]", self.response.aiter_bytes())
        if self._size >= _MOST:
            self._size = 0
            await asyncio.sleep(0)
        if self._start >= len(self._part):
            self._start, self._part = 0, await anext(self._parts, b"")
        part = self._part[self._start : self._start + _MOST]
        self._start += _MOST
        self._size += len(part)
        return part

    def fail(self, error: Exception) -> None:
        """Let the request end with an error, because its body isn't what it should be."""
        delivery = self._launched.delivery
        if delivery is not None:
            delivery.end(error)

    async def drive(self, flow: "Flow[T]") -> T:
        """Perform the steps of a flow that goes on when the request is over; return what it returns."""
        return await AsyncDriver(self._launched, lambda _: None).drive(flow)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._response is None:  # it was left already
            return
        parts, self._parts = self._parts, None
        try:
            if parts is not None:
                with contextlib.suppress(RuntimeError):  # another task is reading: it gets an error
                    await parts.aclose()
        finally:
            await super().__aexit__(exc_type, exc, traceback)
