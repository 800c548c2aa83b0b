"""What one attempt has sent so far, whatever its error may say.

One attempt sends more than one request when it follows a redirect or answers an authentication
challenge, and the caller's own code runs within it: hooks, authentication, bodies. An error from any
of these can look like a connect failure, so the error alone doesn't prove that nothing was sent.
"""

import functools
import traceback
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar, Token
from typing import Any, Self

import httpx

from typed_async_client.errors import RequestBodyConsumedError
from typed_async_client.libraries import is_fork_instance
from typed_async_client.private import is_single_use
from typed_async_client.record import RequestRecord
from typed_async_client.sources import aclose_source

__all__ = [
    "SentLog",
    "WatchedBody",
    "attempt_log",
    "begin_attempt",
    "came_through_body",
    "current_log",
    "end_attempt",
    "keep_attempt",
    "watch_body",
    "watched_body_class",
]

_REPLAYABLE = type(httpx.Request("POST", "http://a.test/", files={"a": b""}).stream)
"""The body of a form, which httpx encodes again for each attempt."""


class SentLog:
    """What one attempt has sent.

    Args:
        owner: who keeps the log of an external client, which may report nothing.
        record: the request that the attempt belongs to, which counts what its attempts resend.
        outer: the log of an attempt that contains this one; it counts the same.

    Attributes:
        owner: the same.
        record: the same.
        hops: requests that httpx was about to send.
        is_sending: whether a transport is sending a request of the attempt. Otherwise hooks or
            authentication are running, which may send requests of their own.
        answered: whether one of them was answered.
        in_body: whether the response that arrived last is being read.
        body_started: whether a body that is generated on the way has started to be sent.
        body_consumed: whether that body can be read only once.
        has_sent_nothing: whether our pool knows that no byte of the last request has left.
        is_queued: whether the last request waits for a connection of our pool.
        is_refused: whether the server said that it hasn't processed the last request.
        unrepeatable: whether a request that mustn't be sent twice was answered by a redirect.
        resends: how often our pool sent a request of the attempt twice, although the server may
            have processed it the first time; at most once.
    """

    __slots__ = (
        "_outer",
        "_request",
        "answered",
        "body_consumed",
        "body_started",
        "has_sent_nothing",
        "hops",
        "in_body",
        "is_queued",
        "is_refused",
        "is_sending",
        "owner",
        "record",
        "resends",
        "unrepeatable",
    )

    def __init__(
        self,
        owner: object = None,
        record: RequestRecord | None = None,
        outer: "SentLog | None" = None,
    ) -> None:
        self.owner: object = owner
        self._outer = outer
        self.record: RequestRecord | None = record
        self.hops: int = 0
        self.is_sending: bool = False
        self.answered: bool = False
        self.body_started: bool = False
        self.body_consumed: bool = False
        self.has_sent_nothing: bool = False
        self.in_body: bool = False
        self.is_queued: bool = False
        self.is_refused: bool = False
        self._request: Callable[[], Any] | None = None
        self.resends: int = 0
        self.unrepeatable: bool = False

    @property
    def request(self) -> Any:
        """The request that httpx sent last, or was about to send; None if it is unknown or gone."""
        return None if self._request is None else self._request()

    @property
    def is_nested(self) -> bool:
        """Whether the attempt is part of another one, whose client reports how it ended."""
        return self._outer is not None

    def count_resend(self) -> None:
        """Record that the pool sent a request a second time, after it may have been processed."""
        self.resends += 1
        if self.record is not None:
            self.record.resends += 1
        if self._outer is not None:
            self._outer.count_resend()

    def begin_hop(self, request: Any) -> None:
        """Record that httpx, or httpx2, is about to send a request."""
        self._request = weakref.ref(request)  # the context of its connection outlives it
        self.hops += 1
        self.in_body = False

    def end_hop(self) -> None:
        """Record that the head of its response has arrived."""
        self.answered = self.in_body = True
        self.is_sending = False

    @property
    def may_resend(self) -> bool:
        """Whether no such resend has happened yet, in this attempt and in those around it."""
        return self.resends == 0 and (self._outer is None or self._outer.may_resend)

    @property
    def may_have_been_processed(self) -> bool:
        """Whether the server may have processed anything of the attempt.

        An external client that reported no request may have sent any number of them.
        """
        unreported = self.hops == 0 and self.owner is not None
        return self.answered or self.body_started or self.hops > 1 or unreported


_log: ContextVar[SentLog] = ContextVar("typed_async_client.sent")


def begin_attempt(log: SentLog | None = None) -> "Token[SentLog]":
    """Start a log for the running task; return what ``end_attempt`` takes.

    Args:
        log: the log to start with; a fresh one if None.
    """
    return _log.set(log or SentLog())


def keep_attempt() -> "Token[SentLog]":
    """Return what ``end_attempt`` takes to go back to the log that the running task has now."""
    return _log.set(_log.get(_UNUSED))


def end_attempt(outer: "Token[SentLog]") -> None:
    """Go back to the log that the running task had before ``begin_attempt``."""
    _log.reset(outer)


def current_log() -> SentLog:
    """Return the log of the running task's attempt; outside of any attempt, an unused one."""
    return _log.get(_UNUSED)


def attempt_log() -> SentLog | None:
    """Return the log of the attempt that a transport is sending for; None outside of any attempt.

    A hook, an auth class or an application that is called in process may send requests of its own,
    which aren't part of the attempt.
    """
    log = _log.get(None)
    return log if log is not None and log.is_sending else None


_UNUSED = SentLog()


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
        parts = aiter(self._body)
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
