"""What one attempt has sent so far, whatever its error may say.

One attempt sends more than one request when it follows a redirect or answers an authentication
challenge, and the caller's own code runs within it: hooks, authentication, bodies. An error from any
of these can look like a connect failure, so the error alone doesn't prove that nothing was sent.
"""

import weakref
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

from typed_async_client.record import RequestRecord

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "SentLog",
    "attempt_log",
    "begin_attempt",
    "current_log",
    "end_attempt",
    "keep_attempt",
    "note_consumed_body",
]


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
        body_consumed: whether a body that can be read only once was read, in part or as a whole.
        body_kind: what that body is read from, in words.
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
        "body_kind",
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
        self.body_kind: str = ""
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


def note_consumed_body(kind: str) -> None:
    """Record that the body of the running task's attempt is read, and can be read only once.

    It needn't be sent: authentication may read it, too.

    Args:
        kind: what it is read from, in words.
    """
    log = _log.get(_UNUSED)
    if log is not _UNUSED:
        log.body_consumed, log.body_kind = True, kind


_UNUSED = SentLog()
