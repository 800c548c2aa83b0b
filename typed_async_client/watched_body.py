"""Request bodies that record in the log of an attempt that they are being sent, and refuse to be sent empty."""

import functools
import traceback
from collections.abc import AsyncIterator, Iterator
from typing import Any, Self

import httpx

from typed_async_client.errors import RequestBodyConsumedError
from typed_async_client.form_files import parts_of
from typed_async_client.libraries import is_fork_instance
from typed_async_client.private import is_single_use
from typed_async_client.sent import SentLog
from typed_async_client.sources import aclose_source

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
        self._had_content = False

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
            reason = _REFUSED.format(f" with {request.method} {request.url.host}")
            raise RequestBodyConsumedError(reason, request=request)
        return cls(body, log)

    @property
    def source(self) -> Any:
        """The body that is watched."""
        return self._body

    @property
    def is_consumed(self) -> bool:
        """Whether it was read, and can't be read again."""
        if isinstance(self._body, WatchedBody):
            return self._body.is_consumed
        return self._has_started and is_single_use(self._body)

    @property
    def is_replayable(self) -> bool:
        """Whether it is known to start over each time it is read."""
        if isinstance(self._body, WatchedBody):
            return self._body.is_replayable
        is_form = isinstance(self._body, _REPLAYABLE)
        is_form = is_form or is_fork_instance(self._body, _REPLAYABLE.__name__)
        return is_form and not is_single_use(self._body)

    def __iter__(self) -> Iterator[bytes]:
        self._record()
        has_content = False
        for part in self._body:
            has_content = has_content or bool(part)
            yield part
        self._check(has_content=has_content)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._record()
        has_content = False
        parts = parts_of(self._body)
        try:
            async for part in parts:
                has_content = has_content or bool(part)
                yield part
        finally:
            await aclose_source(self._body, parts)
        self._check(has_content=has_content)

    def close(self) -> None:
        """Close the body sent by a synchronous client."""
        self._body.close()

    async def aclose(self) -> None:
        """Close the body sent by an asynchronous client."""
        await self._body.aclose()

    def _record(self) -> None:
        self._has_started = True
        self.log.body_started = True
        if not self.is_replayable:
            self.log.body_consumed = True

    def _check(self, *, has_content: bool) -> None:
        """Refuse to end a body that had content when it was sent before, and has none now.

        Not every source that can be read only once can be told before it is read.
        """
        if self._had_content and not has_content:
            raise RequestBodyConsumedError(_REFUSED.format(""), request=self._body)
        self._had_content = has_content


@functools.cache
def watched_body_class(*bases: type) -> type[WatchedBody]:
    """Return a ``WatchedBody`` class that a library accepts as one of its own streams."""
    missing = [base for base in bases if not issubclass(WatchedBody, base)]
    return type("WatchedBody", (WatchedBody, *missing), {}) if missing else WatchedBody


_READERS = (WatchedBody.__iter__.__code__, WatchedBody.__aiter__.__code__)


def came_through_body(error: BaseException) -> bool:
    """Whether an error was raised while a watched body was read, by its source."""
    return any(frame.f_code in _READERS for frame, _ in traceback.walk_tb(error.__traceback__))


_REFUSED = (
    "can't send the body again{}: a redirect or an authentication challenge asks for it, but its "
    "source can be read only once, and was read for the request before; pass bytes, or an object "
    "that iterates from the start each time"
)
