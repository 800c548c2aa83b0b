"""Request bodies that record in the log of an attempt that they are being sent, and refuse to be sent empty."""

import functools
import traceback
from collections.abc import AsyncIterator, Iterator
from typing import Any, Self

import httpx

from typed_async_client.errors import RequestBodyConsumedError
from typed_async_client.form_files import parts_of
from typed_async_client.libraries import is_fork_instance
from typed_async_client.private import source_of
from typed_async_client.sent import SentLog
from typed_async_client.sources.closing import aclose_source
from typed_async_client.sources.files import is_file, position_of
from typed_async_client.sources.kinds import ADVICE, is_single_use, kind_of, refused_difference
from typed_async_client.sources.readings import Readings
from typed_async_client.sources.streamed import StreamedBody

__all__ = ["WatchedBody", "came_through_body", "watch_body", "watched_body_class"]

_REPLAYABLE = type(httpx.Request("POST", "http://a.test/", files={"a": b""}).stream)
"""The body of a form, which httpx encodes again for each attempt."""


def watch_body(request: httpx.Request, log: SentLog) -> None:
    """Record in ``log`` when a body that is generated on the way starts to be sent.

    Raises:
        RequestBodyConsumedError: the body was sent before, and can be read only once.
    """
    if not isinstance(request.stream, httpx.ByteStream):
        request.stream = WatchedBody.of(request, log)


class WatchedBody(httpx.AsyncByteStream, httpx.SyncByteStream):
    """A body generated on the way, recorded in the log once it has started.

    Attributes:
        log: the log of the attempt that sends it.
    """

    def __init__(self, body: Any, log: SentLog) -> None:
        self._body = body
        self.log = log
        self._has_started = False
        self._readings = Readings()
        self._source = source_of(body)
        self._start = position_of(self._source) if is_file(self._source) else None

    @classmethod
    def of(cls, request: Any, log: SentLog) -> Self:
        """Watch the body of a request of httpx or httpx2.

        A redirect or an authentication challenge sends the body of the request before it. If that
        was an iterator, nothing is left of it, and an empty body would be sent.

        Raises:
            RequestBodyConsumedError: the body was sent before, and can be read only once.
        """
        body = request.stream
        if isinstance(body, WatchedBody) and body.is_consumed:
            reason = _REFUSED.format(request.method, request.url.host, body.kind, ADVICE)
            raise RequestBodyConsumedError(reason, request=request)
        return cls(body, log)

    @property
    def source(self) -> Any:
        """The body that is watched."""
        return self._body

    @property
    def kind(self) -> str:
        """What it is read from, in words."""
        if isinstance(self._body, WatchedBody):
            return self._body.kind
        if isinstance(self._source, StreamedBody):
            return self._source.kind
        if _is_form(self._body):
            return "a form with a file that can't be rewound"
        return kind_of(self._body if self._source is None else self._source)

    @property
    def is_consumed(self) -> bool:
        """Whether it was read, and can't be read again."""
        if isinstance(self._body, WatchedBody):
            return self._body.is_consumed
        return self._has_started and self._is_single_use

    @property
    def is_replayable(self) -> bool:
        """Whether it is known to start over each time it is read."""
        if isinstance(self._body, WatchedBody):
            return self._body.is_replayable
        is_known = self._source is not None or _is_form(self._body)
        return is_known and not self._is_single_use

    @property
    def _is_single_use(self) -> bool:
        if isinstance(self._source, StreamedBody):
            return self._source.is_single_use
        return self._start is None and is_single_use(self._body)

    def __iter__(self) -> Iterator[bytes]:
        self._begin()
        size = 0
        for part in self._body:
            self._refuse_if(self._readings.difference(size, part))
            size += len(part)
            yield part
        self._refuse_if(self._readings.difference_at_end(size))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._begin()
        size = 0
        compares_itself = isinstance(self._source, StreamedBody)
        parts = aiter(self._source) if compares_itself else parts_of(self._body)
        try:
            async for part in parts:
                if not compares_itself:
                    self._refuse_if(self._readings.difference(size, part))
                    size += len(part)
                yield part
        finally:
            await aclose_source(self._body, parts)
        self._refuse_if(self._readings.difference_at_end(size))

    def close(self) -> None:
        """Close the body sent by a synchronous client."""
        self._body.close()

    async def aclose(self) -> None:
        """Close the body sent by an asynchronous client."""
        await self._body.aclose()

    def _begin(self) -> None:
        """Record that it is sent; rewind a file that was sent before."""
        if self._has_started and self._start is not None:
            self._source.seek(self._start)
        self._has_started = True
        self.log.body_started = True
        if not self.is_replayable:
            self.log.body_consumed, self.log.body_kind = True, self.kind

    def _refuse_if(self, difference: str) -> None:
        """Refuse to send what isn't the same as before.

        Not every source that can be read only once can be told before it is read.
        """
        if difference:
            reason = refused_difference(self.kind, difference)
            raise RequestBodyConsumedError(reason, request=self._body)


@functools.cache
def watched_body_class(*bases: type) -> type[WatchedBody]:
    """Return a ``WatchedBody`` class that a library accepts as one of its own streams."""
    missing = [base for base in bases if not issubclass(WatchedBody, base)]
    return type("WatchedBody", (WatchedBody, *missing), {}) if missing else WatchedBody


_READERS = (WatchedBody.__iter__.__code__, WatchedBody.__aiter__.__code__)


def came_through_body(error: BaseException) -> bool:
    """Whether an error was raised while a watched body was read, by its source."""
    return any(frame.f_code in _READERS for frame, _ in traceback.walk_tb(error.__traceback__))


def _is_form(body: Any) -> bool:
    return isinstance(body, _REPLAYABLE) or is_fork_instance(body, _REPLAYABLE.__name__)


_REFUSED = (
    "can't send the body again with {} {}: a redirect or an authentication challenge asks for it, but "
    "it comes from {}, which can be read only once, and was read for the request before; {}"
)
