"""The state of one request: its counters, and the events created from them.

It asks the policies what follows a failed attempt. The order of the steps is up to ``flow.py``.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from typed_async_client.events import AsyncEvent, EventType, RetryDetails
from typed_async_client.facts import raw_headers
from typed_async_client.outcome import Failed, Outcome, Succeeded
from typed_async_client.policies.classify import Fault, Verdict, classify, is_idempotent
from typed_async_client.policies.retry import GiveUp, RetryAfter, decide

if TYPE_CHECKING:
    import httpx

    from typed_async_client.context import RequestContext
    from typed_async_client.httpx_types import HeaderTypes
    from typed_async_client.record import RequestRecord

__all__ = ["RequestState"]


class RequestState:
    """The state of one request.

    Args:
        context: the request's context.
        now: returns monotonic seconds.
        random: returns a number in [0, 1), for the jitter.
        record: the request's method and URL.
        headers: the headers that the caller passed with the request, in any form httpx accepts.
        request: the request that is sent, for error messages; None if it isn't known here.

    Attributes:
        context: the request's current context.
        attempts: attempts started so far.
        record: the request's method and URL.
        request: the request that is sent; None if unknown.
    """

    __slots__ = (
        "_headers",
        "_now",
        "_random",
        "_seq",
        "_started",
        "attempts",
        "context",
        "record",
        "request",
    )

    def __init__(
        self,
        context: "RequestContext",
        *,
        now: Callable[[], float],
        random: Callable[[], float],
        record: "RequestRecord",
        headers: "HeaderTypes | None" = None,
        request: "httpx.Request | None" = None,
    ) -> None:
        self.request: httpx.Request | None = request
        self.context: RequestContext = context
        self.attempts: int = 0
        self.record: RequestRecord = record
        self._headers = headers
        self._now = now
        self._random = random
        self._seq = 0
        self._started = now()

    def handle_failure(self, failed: Failed) -> RetryAfter | GiveUp:
        """Count a failed attempt and decide what follows it."""
        is_late = failed.fault is Fault.CONNECT_LATER  # no other fault depends on idempotency
        verdict = classify(failed.fault, idempotent=is_late and self._is_idempotent())
        if verdict is Verdict.TRANSIENT:
            self.context = self.context.increment_attempt()
        return decide(
            verdict,
            retry=self.context.current_attempt,
            max_retries=self.context.max_retries,
            backoff=self.context.backoff,
            random=self._random(),
        )

    def _is_idempotent(self) -> bool:
        """Whether the request may be sent twice.

        Only a key that the caller passed counts: one that a hook or an auth class generates would
        differ in each attempt.
        """
        return is_idempotent(self.record.method, raw_headers(self._headers))

    def retry_event(self, cause: Exception, delay: float) -> AsyncEvent:
        """Create the event that announces a retry."""
        details = RetryDetails(self.attempts, delay, "backoff", cause)
        return self._event(EventType.RETRY, details, cause)

    def end_event(self, outcome: Outcome) -> AsyncEvent:
        """Create the terminal event of a request that wasn't interrupted."""
        if isinstance(outcome, Succeeded):
            return self._event(EventType.SUCCESS, outcome.response, None)
        kind = EventType.TIMEOUT if outcome.fault is Fault.TIMEOUT else EventType.ERROR
        return self._event(kind, None, outcome.error)

    def cancelled_event(self, interruption: BaseException) -> AsyncEvent:
        """Create the terminal event of a request that was cancelled or interrupted."""
        return self._event(EventType.CANCELLED, None, interruption)

    def _event(self, kind: EventType, data: Any, error: BaseException | None) -> AsyncEvent:
        seq = self._seq
        self._seq = seq + 1
        elapsed = self._now() - self._started
        return AsyncEvent.adopt(
            kind, self.context, data, error, seq, self.attempts, elapsed, self.record
        )
