"""Streams responses line by line, as for NDJSON."""

import contextlib
import difflib
from collections import deque
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, Unpack

from typed_async_client.errors import LineTooLongError
from typed_async_client.facts import request_of
from typed_async_client.options import ClientOptions, RequestOptions
from typed_async_client.policies.checks import require_count
from typed_async_client.spelling import check_names
from typed_async_client.streaming import Streaming
from typed_async_client.streams.parsing.lines import LineSplitter
from typed_async_client.streams.reading import BodyReader

if TYPE_CHECKING:
    import httpx

    from typed_async_client.context import RequestContext

__all__ = ["MOST_BYTES", "LineStream", "LineStreaming", "check_spelling"]

MOST_BYTES: Final = 2**20
"""The most bytes in a line or in an event, unless the caller says otherwise."""


class LineStream(contextlib.AbstractAsyncContextManager["LineStream"], AsyncIterator[str]):
    """The lines of a response, made by ``client.lines()``.

    The request is sent on entering. Leaving closes the response, so that its connection is free for
    other requests, or closed if the body wasn't read to its end.

    Args:
        reader: reads the body.
        max_line_bytes: the most bytes in a line.
    """

    def __init__(self, reader: BodyReader, max_line_bytes: int) -> None:
        self._is_over = False
        self._max_bytes = max_line_bytes
        self._reader = reader
        self._ready: deque[str] = deque()
        self._splitter = LineSplitter(max_bytes=max_line_bytes)

    @property
    def response(self) -> "httpx.Response":
        """The response, for its status and headers.

        Raises:
            RuntimeError: the stream isn't open.
        """
        return self._reader.response

    def __aiter__(self) -> Self:
        _ = self.response  # raises if it isn't open
        return self

    async def __anext__(self) -> str:
        while not self._ready:
            if self._is_over:
                raise StopAsyncIteration
            await self._read()
        return self._ready.popleft()

    async def _read(self) -> None:
        """Read some more lines; an error ends the iteration, as that of a generator."""
        is_over, self._is_over = self._is_over, True
        if self._splitter.is_too_long:
            raise self._too_long()
        part = await self._reader.read()
        self._ready.extend(self._splitter.feed(part) if part else self._splitter.end())
        self._is_over = is_over or not part

    def _too_long(self) -> LineTooLongError:
        reader = self._reader
        error = LineTooLongError(
            f"{reader.name}: line {self._splitter.count + 1} is longer than "
            f"max_line_bytes={self._max_bytes}",
            request=request_of(reader.response),
        )
        reader.fail(error)
        return error

    async def __aenter__(self) -> Self:
        await self._reader.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._reader.__aexit__(exc_type, exc, traceback)


class LineStreaming(Streaming):
    """The part of a client that streams lines."""

    def lines(
        self,
        method: str,
        url: "httpx.URL | str",
        context: "RequestContext | None" = None,
        *,
        max_line_bytes: int = MOST_BYTES,
        **options: Unpack[RequestOptions],
    ) -> LineStream:
        """Send a request, and return the lines of its response as they arrive.

        It is ``stream()`` for text in lines, such as NDJSON. A line ends with LF or CR LF, and with
        nothing else; the last one needs no end. Every line is returned without its end, empty ones
        too. The text is read as UTF-8: invalid bytes become U+FFFD, and a byte order mark before the
        first line is dropped.

        Args:
            method: the HTTP method.
            url: the URL.
            context: the request's id and retry limits.
            max_line_bytes: the most bytes in a line, >= 1.
            **options: as for ``stream()``, except that a status of 400 or above is raised unless
                ``raise_on_status`` is False, and that the client's ``max_response_bytes`` doesn't
                apply: lines needn't be kept.

        Returns:
            A context manager that sends the request on entering, and yields an iterator of the lines.
            Leaving it frees the connection, whether all lines were read or not.

        Raises:
            ValueError: ``max_line_bytes`` isn't an integer >= 1.
            TypeError: an option is unknown; on entering, unless it is misspelt.
            LineTooLongError: a line is longer than that, while iterating.
            Exception: on entering, whatever ``request()`` raises; while iterating, what broke the body.

        Example:
            >>> async def main() -> None:
            ...     async with AsyncResilientClient() as client:
            ...         async with client.lines("GET", "https://example.org/log.ndjson") as lines:
            ...             async for line in lines:
            ...                 print(json.loads(line))
        """
        check_spelling("lines() option", options, ["max_line_bytes"])
        require_count("max_line_bytes", max_line_bytes, at_least=1)
        chosen = {"raise_on_status": True, "max_response_bytes": None, **options}
        reader = BodyReader(lambda: self._launch(method, url, context, chosen, streams=True))
        return LineStream(reader, max_line_bytes)


def check_spelling(kind: str, given: Iterable[str], own: Iterable[str]) -> None:
    """Check that no option is a misspelt one of those that other requests don't have.

    An option that is unknown otherwise is refused when the request is prepared.

    Args:
        kind: what the names are, for the message.
        given: the options that are passed on.
        own: the names that other requests don't have.

    Raises:
        TypeError: one is.
    """
    known = {*own, *RequestOptions.__annotations__, "context"}
    candidates = sorted({*known, *ClientOptions.__annotations__})
    unknown = [name for name in given if name not in known]
    similar = {name: difflib.get_close_matches(name.lower(), candidates, 1) for name in unknown}
    check_names(kind, [name for name in unknown if {*similar[name]} & {*own}], known)
