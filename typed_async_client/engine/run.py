"""The state of one request: its counters and its records.

It decides nothing and waits for nothing. The order of the steps is up to ``flow.py``.
"""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from typed_async_client.attempts import Attempt, AttemptRecord
from typed_async_client.engine.run_events import RunEvents
from typed_async_client.events import EventType
from typed_async_client.outcome import AttemptHistory, Outcome
from typed_async_client.policies.deadline import attempt_end
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.retry import GiveUp, RetryAfter
from typed_async_client.redact import error_line

if TYPE_CHECKING:
    from typed_async_client.context import RequestContext
    from typed_async_client.engine.grants import Grants
    from typed_async_client.engine.shared import Policies
    from typed_async_client.record import RequestRecord

__all__ = ["Run"]

_NO_STATES: Mapping[str, Any] = {}
_NO_DETAILS: Mapping[str, Any] = {}


class Run(RunEvents):
    """The state of one request.

    Args:
        context: the request's context.
        policies: the policies that apply to it.
        now: returns monotonic seconds.
        random: returns a number in [0, 1), for the jitter.
        record: the request's method and URL.
        idempotent: whether it may be sent twice, by its method or the caller's key.
        wanted: the event types that somebody listens to.
        deadline: when it must have ended, in monotonic seconds; infinite for never.
        key: the idempotency key to send with each attempt; None for none.
        may_copy: whether two attempts can run at the same time, as far as its body is concerned.
        client: the client of httpx or httpx2 that sends it; None if that isn't known.
        raise_on_status: whether it ends with an error if the last status is 400 or above.
        decode: returns what the caller gets for the last response, or else the error that the
            request ends with; None if the caller gets the response itself.

    Attributes:
        admissions: what the policies have granted to its attempts, until it is given back.
        attempts: attempts started so far.
        history: the attempts that have ended, in order.
        latest: the attempt that was started last; None before the first.
        retry: the decision that led to the current attempt; None for the first.
        started: when it began, in monotonic seconds.
        states: the states of its policies for its origin, by the name of the policy.
        wanted: the same.
        is_deposited: whether the budget has counted it, if that is shared or it has middleware.
        refundable: what a shared budget gets back when it ends.
        withdrawal: what it has taken from its budget for an extra request that no attempt stands
            for yet; None for nothing.
    """

    __slots__ = (
        "admissions",
        "attempts",
        "client",
        "context",
        "deadline",
        "decode",
        "history",
        "idempotent",
        "is_deposited",
        "key",
        "latest",
        "may_copy",
        "now",
        "policies",
        "raise_on_status",
        "random",
        "record",
        "refundable",
        "retry",
        "started",
        "states",
        "wanted",
        "withdrawal",
    )

    def __init__(  # noqa: PLR0917 - positional for speed: called for every request
        self,
        context: "RequestContext",
        policies: "Policies",
        now: Callable[[], float],
        random: Callable[[], float],
        record: "RequestRecord",
        idempotent: bool,  # noqa: FBT001 - positional for speed
        wanted: frozenset[EventType],
        *,
        deadline: float = math.inf,
        key: str | None = None,
        may_copy: bool = False,
        client: Any = None,
        raise_on_status: bool = False,
        decode: "Callable[[Any], tuple[Any, Any]] | None" = None,
    ) -> None:
        self.admissions: list[Grants] = []
        self.attempts: int = 0
        self.client: Any = client
        self.context: RequestContext = context
        self.deadline: float = deadline
        self.decode: Callable[[Any], tuple[Any, Any]] | None = decode
        self.history: tuple[AttemptRecord, ...] = ()
        self.idempotent: bool = idempotent
        self.key: str | None = key
        self.latest: Attempt | None = None
        self.may_copy: bool = may_copy
        self.now: Callable[[], float] = now
        self.policies: Policies = policies
        self.raise_on_status: bool = raise_on_status
        self.random: Callable[[], float] = random
        self.record: RequestRecord = record
        self.retry: RetryAfter | None = None
        self.started: float = now()
        self.states: Mapping[str, Any] = _NO_STATES
        self.wanted: frozenset[EventType] = wanted
        self.is_deposited: bool = False
        self.refundable: tuple[Any, ...] = ()
        self.withdrawal: Any = None
        self._seq = 0

    def remaining(self) -> float:
        """Return the seconds until the deadline; infinite without one."""
        return self.deadline - self.now()

    def release(self) -> None:
        """Give back everything that the policies have granted and that wasn't given back yet."""
        for admission in [*self.admissions]:
            admission.release()
        self.refund(self.take_withdrawal())

    def enter_policies(self) -> None:
        """Look the states of the policies up, for each attempt: idle hosts may be forgotten.

        The budget counts the request at its first attempt.
        """
        now = self.now()
        self.states = self.policies.states_at(self.record.origin, now)
        if self.attempts == 0 and "budget" in self.states and not self.is_deposited:
            self.states["budget"].deposit(now)

    def count_attempt(self, by: int = 1) -> None:
        """Count an attempt that is about to be made; -1 if it wasn't."""
        self.attempts += by

    def new_attempt(self, copy: int = 0) -> Attempt:
        """Prepare an attempt, which starts now."""
        policies, now = self.policies, self.now()
        attempt = Attempt(self.attempts, copy, self.idempotent, self.deadline, started=now)
        self.latest = attempt
        if policies.is_plain and self.deadline == math.inf and self.key is None:
            return attempt
        limit = policies.options.attempt_timeout
        attempt.until = attempt_end(limit, now=now, deadline=self.deadline)
        attempt.is_last_moment = attempt.until == self.deadline
        began = self.started if attempt.is_last_moment else now
        attempt.limit = attempt.until - began
        if not policies.is_plain:
            attempt.phases = {}
        if policies.adds_headers or self.key is not None:
            attempt.headers = policies.headers_of(attempt, self.key, self.deadline - now)
        return attempt

    def keep(self, outcome: Outcome, decision: RetryAfter | GiveUp | None = None) -> None:
        """Add the record of an attempt that has ended.

        Args:
            outcome: what it ended with.
            decision: what follows; None after a success, and for a copy that came too late.
        """
        attempt = cast("Attempt", outcome.attempt)
        details = {} if outcome.admission is None else outcome.admission.details()
        if decision is not None:
            details["decision"] = decision
        if self.retry is not None and attempt.copy == 0:
            details["delay"], details["delay_source"] = self.retry.delay, self.retry.source
        if attempt.phases:
            details["phases"] = attempt.phases
        if attempt.copy:
            details["copy"] = attempt.copy
        error = outcome.error or outcome.interruption
        if error is not None:
            details["error"] = _described(error)
        if "budget" in self.states:
            details["budget_left"] = self.states["budget"].balance(outcome.ended)
        kept = AttemptRecord.of(
            attempt.number,
            attempt.started - self.started,
            outcome.ended - attempt.started,
            outcome.facts,
            details,
        )
        self.history = (*self.history, kept)

    def keep_interrupted(self, attempt: Attempt, interruption: BaseException) -> None:
        """Add the record of an attempt that was interrupted, as by a cancellation."""
        facts = Facts(fault=None, sent=Sent.UNANSWERED, idempotent=attempt.idempotent, local=True)
        self.keep(Outcome(facts, None, None, "", attempt, self.now(), interruption=interruption))

    def keep_latest(self, interruption: BaseException) -> None:
        """Add the record of the latest attempt, which was interrupted, unless it has one."""
        attempt, last = self.latest, self.history[-1:]
        if attempt is not None and all(each.number < attempt.number for each in last):
            self.keep_interrupted(attempt, interruption)

    def keep_success(self, outcome: Outcome) -> None:
        """Add the record of an attempt that needs no other, and give its retry back to the budget."""
        if outcome.admission is not None or self.retry is not None:
            self.refund_success(outcome)
            self.keep(outcome)
            return
        attempt = cast("Attempt", outcome.attempt)
        started = attempt.started
        kept = AttemptRecord.of(
            1, started - self.started, outcome.ended - started, outcome.facts, _NO_DETAILS
        )
        self.history = (kept,)

    def refund_success(self, outcome: Outcome) -> None:
        """Give back what a retry took that was answered well.

        What a copy took isn't given back: if copies that are answered cost nothing, every slow
        request could have one.
        """
        if outcome.admission is not None and cast("Attempt", outcome.attempt).copy == 0:
            outcome.admission.refund()

    def withdraw(self) -> bool:
        """Take an extra request from the budget, when its wait starts; return whether it may be sent."""
        if "budget" not in self.states:
            return True
        now = self.now()
        if not self.states["budget"].withdraw(now):
            return False
        self.withdrawal = now
        return True

    def take_withdrawal(self) -> Any:
        """Return what no attempt stands for yet; the caller gives it back."""
        withdrawal, self.withdrawal = self.withdrawal, None
        return withdrawal

    def refund(self, withdrawal: Any) -> None:
        """Give back what an extra request took, because it succeeded or was never sent.

        Args:
            withdrawal: what it took; None for nothing.
        """
        if withdrawal is None:
            return
        if "budget" in self.states:
            self.states["budget"].refund(withdrawal, now=self.now())
        else:
            self.refundable = (*self.refundable, withdrawal)

    def as_history(self) -> AttemptHistory:
        """Return the attempts so far, for an extension of the response."""
        elapsed = self.now() - self.started
        return AttemptHistory.of(
            self.context.request_id, self.history, elapsed, self.record.resends
        )


def _described(error: BaseException) -> str:
    return ": ".join(filter(None, (type(error).__name__, error_line(error))))
