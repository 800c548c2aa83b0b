"""What the flow of one request remembers: its counters, and the events made of them.

It asks the policies and words their answers as events; the order of things is the flow's.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from typed_async_client.events import AsyncEvent, EventType, RetryDetails
from typed_async_client.outcome import Failed, Outcome, Succeeded
from typed_async_client.policies.classify import Fault, Verdict, classify, is_idempotent
from typed_async_client.policies.retry import GiveUp, RetryAfter, decide

if TYPE_CHECKING:
    import httpx

    from typed_async_client.context import RequestContext

__all__ = ["RequestState"]


class RequestState:
    """The counters of one request.

    Args:
        context: the request's context.
        now: returns monotonic seconds.
        random: returns a number in [0, 1).
        method: the request's method, in upper case.
        request: what is sent, where an error does not know it yet.

    Attributes:
        context: the request's context as it stands now.
        attempts: attempts begun so far.
        request: what is sent, where it is known.
    """

    __slots__ = ("_method", "_now", "_random", "_seq", "_started", "attempts", "context", "request")

    def __init__(
        self,
        context: "RequestContext",
        *,
        now: Callable[[], float],
        random: Callable[[], float],
        method: str,
        request: "httpx.Request | None" = None,
    ) -> None:
        self.request: httpx.Request | None = request
        self.context: RequestContext = context
        self.attempts: int = 0
        self._method = method
        self._now = now
        self._random = random
        self._seq = 0
        self._started = now()

    def judge(self, failed: Failed) -> RetryAfter | GiveUp:
        """Count a failed attempt, and ask the policies what follows it."""
        idempotent = failed.has_idempotency_key or is_idempotent(self._method)
        verdict = classify(failed.fault, idempotent=idempotent)
        if verdict is Verdict.TRANSIENT:
            self.context = self.context.increment_attempt()
        return decide(
            verdict,
            retry=self.context.current_attempt,
            max_retries=self.context.max_retries,
            backoff=self.context.backoff,
            random=self._random(),
        )

    def retried(self, cause: Exception, delay: float) -> AsyncEvent:
        """Make the event that announces a retry."""
        details = RetryDetails(self.attempts, delay, "backoff", cause)
        return self._event(EventType.RETRY, details, cause)

    def ended(self, outcome: Outcome) -> AsyncEvent:
        """Make the terminal event of a request that ran to its end."""
        if isinstance(outcome, Succeeded):
            return self._event(EventType.SUCCESS, outcome.response, None)
        kind = EventType.TIMEOUT if outcome.fault is Fault.TIMEOUT else EventType.ERROR
        return self._event(kind, None, outcome.error)

    def cancelled(self, stop: BaseException) -> AsyncEvent:
        """Make the terminal event of a request that something from outside stopped."""
        return self._event(EventType.CANCELLED, None, stop)

    def _event(self, kind: EventType, data: Any, error: BaseException | None) -> AsyncEvent:
        seq = self._seq
        self._seq = seq + 1
        elapsed = self._now() - self._started
        return AsyncEvent.adopt(kind, self.context, data, error, seq, self.attempts, elapsed)
