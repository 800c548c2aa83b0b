"""The state of one request: its counters, its records, and the events created from them.

It decides nothing and waits for nothing. The order of the steps is up to ``flow.py``.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from typed_async_client.attempts import Attempt, AttemptRecord
from typed_async_client.errors import RejectedError
from typed_async_client.events import AsyncEvent, EventType, RetryDetails
from typed_async_client.outcome import AttemptHistory, Outcome
from typed_async_client.policies.classify import Fault
from typed_async_client.policies.retry import GiveUp, RetryAfter
from typed_async_client.redact import error_line

if TYPE_CHECKING:
    from typed_async_client.context import RequestContext
    from typed_async_client.engine.admission import Admission
    from typed_async_client.engine.shared import Policies
    from typed_async_client.record import RequestRecord

__all__ = ["Run"]


class Run:
    """The state of one request.

    Args:
        context: the request's context.
        policies: the policies that apply to it.
        now: returns monotonic seconds.
        random: returns a number in [0, 1), for the jitter.
        record: the request's method and URL.
        idempotent: whether it may be sent twice, by its method or the caller's key.
        deadline: when it must have ended, in monotonic seconds; infinite for never.
        key: the idempotency key to send with each attempt; None for none.
        may_copy: whether two attempts can run at the same time, as far as its body is concerned.

    Attributes:
        admissions: what the policies have granted to its attempts, until it is given back.
        attempts: attempts started so far.
        history: the attempts that have ended, in order.
        retry: the decision that led to the current attempt; None for the first.
        started: when it began, in monotonic seconds.
        wanted: the event types that somebody listens to.
        withdrawn: when it took its last retry from the budget; None if it took none.
    """

    __slots__ = (
        "_seq",
        "admissions",
        "attempts",
        "context",
        "deadline",
        "history",
        "idempotent",
        "key",
        "may_copy",
        "now",
        "policies",
        "random",
        "record",
        "retry",
        "started",
        "wanted",
        "withdrawn",
    )

    def __init__(
        self,
        context: "RequestContext",
        *,
        policies: "Policies",
        now: Callable[[], float],
        random: Callable[[], float],
        record: "RequestRecord",
        idempotent: bool = False,
        deadline: float = math.inf,
        key: str | None = None,
        may_copy: bool = False,
        wanted: frozenset[EventType] = frozenset(),
    ) -> None:
        self.admissions: list[Admission] = []
        self.attempts: int = 0
        self.context: RequestContext = context
        self.deadline: float = deadline
        self.history: tuple[AttemptRecord, ...] = ()
        self.idempotent: bool = idempotent
        self.key: str | None = key
        self.may_copy: bool = may_copy
        self.now: Callable[[], float] = now
        self.policies: Policies = policies
        self.random: Callable[[], float] = random
        self.record: RequestRecord = record
        self.retry: RetryAfter | None = None
        self.started: float = now()
        self.wanted: frozenset[EventType] = wanted
        self.withdrawn: float | None = None
        self._seq = 0

    def remaining(self) -> float:
        """Return the seconds until the deadline; infinite without one."""
        return self.deadline - self.now()

    def release(self) -> None:
        """Give back everything that the policies have granted and that wasn't given back yet."""
        for admission in [*self.admissions]:
            admission.release()

    def new_attempt(self, copy: int = 0) -> Attempt:
        """Prepare an attempt, which starts now."""
        now = self.now()
        options = self.policies.options
        attempt = Attempt(
            self.attempts, copy, idempotent=self.idempotent, until=self.deadline, started=now
        )
        limit = options.attempt_timeout
        if limit is not None and now + limit < self.deadline:
            attempt.until = now + limit
        else:
            attempt.is_last_moment = True
        attempt.headers = self._headers(now)
        return attempt

    def _headers(self, now: float) -> tuple[tuple[str, str], ...]:
        """Return what the policies add to the headers of an attempt that starts now."""
        options = self.policies.options
        headers = []
        if self.key is not None:
            headers.append(("Idempotency-Key", self.key))
        if options.attempt_header is not None:
            headers.append((options.attempt_header, str(self.attempts)))
        if options.deadline_header is not None and self.deadline != math.inf:
            headers.append((options.deadline_header, f"{max(0.0, self.deadline - now):.3f}"))
        return tuple(headers)

    def keep(self, outcome: Outcome, decision: RetryAfter | GiveUp | None = None) -> None:
        """Add the record of an attempt that has ended.

        Args:
            outcome: what it ended with.
            decision: what follows; None for a copy that came too late.
        """
        attempt = cast("Attempt", outcome.attempt)
        started, duration = attempt.started - self.started, outcome.ended - attempt.started
        retry = self.retry if attempt.copy == 0 else None
        if outcome.error is None and retry is None and not outcome.details:
            kept = AttemptRecord.plain(attempt.number, started, duration, outcome.facts)
        else:
            kept = AttemptRecord(
                number=attempt.number,
                copy=attempt.copy,
                started=started,
                duration=duration,
                delay=0.0 if retry is None else retry.delay,
                delay_source=None if retry is None else retry.source,
                facts=outcome.facts,
                error=_described(outcome.error),
                decision=decision,
                budget_left=self.budget_balance(),
                **(outcome.details or {}),
            )
        self.history = (*self.history, kept)

    def budget_withdraw(self) -> bool:
        """Take a retry from the budget, when its wait starts; return whether it may be made."""
        budget, now = self.policies.budget, self.now()
        if budget is None:
            return True
        if not budget.at(self.record.origin, now).withdraw(now):
            return False
        self.withdrawn = now
        return True

    def budget_refund(self) -> None:
        """Give back what the last retry took, because it succeeded or was never sent."""
        budget, now = self.policies.budget, self.now()
        if budget is not None and self.withdrawn is not None:
            budget.at(self.record.origin, now).refund(self.withdrawn, now=now)
            self.withdrawn = None

    def budget_balance(self) -> float | None:
        """Return how many extra requests the budget allows now; None without a budget."""
        budget, now = self.policies.budget, self.now()
        return None if budget is None else budget.at(self.record.origin, now).balance(now)

    def as_history(self) -> AttemptHistory:
        """Return the attempts so far, for an extension of the response."""
        elapsed = self.now() - self.started
        return AttemptHistory(self.context.request_id, self.history, elapsed, self.record.resends)

    def retry_event(self, outcome: Outcome, decision: RetryAfter) -> AsyncEvent:
        """Create the event that announces a retry."""
        details = RetryDetails(
            self.attempts, decision.delay, decision.source, outcome.error, outcome.facts.status
        )
        return self.event(EventType.RETRY, details, outcome.error)

    def end_event(self, outcome: Outcome) -> AsyncEvent:
        """Create the terminal event of a request that wasn't interrupted."""
        if outcome.error is None:
            return self.event(EventType.SUCCESS, outcome.response)
        if isinstance(outcome.error, RejectedError):
            return self.event(EventType.REJECTED, error=outcome.error)
        kind = EventType.TIMEOUT if outcome.facts.fault is Fault.TIMEOUT else EventType.ERROR
        return self.event(kind, error=outcome.error)

    def failed_event(self, error: Exception) -> AsyncEvent:
        """Create the terminal event of a request during which the caller's own code has raised."""
        return self.event(EventType.ERROR, error=error)

    def cancelled_event(self, interruption: BaseException) -> AsyncEvent:
        """Create the terminal event of a request that was cancelled or interrupted."""
        return self.event(EventType.CANCELLED, error=interruption)

    def event(
        self, kind: EventType, data: Any = None, error: BaseException | None = None
    ) -> AsyncEvent:
        """Create the next event of the request."""
        seq = self._seq
        self._seq = seq + 1
        elapsed = self.now() - self.started
        return AsyncEvent.adopt(
            kind, self.context, data, error, seq, self.attempts, elapsed, self.record, self.history
        )


def _described(error: Exception | None) -> str | None:
    if error is None:
        return None
    message = error_line(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
