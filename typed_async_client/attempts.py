"""One attempt of a request: what is asked of the sender, and what is kept of it afterwards."""

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from typed_async_client.drafts import draft_class
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.gates import RejectionReason
from typed_async_client.policies.retry_decision import DelaySource, GiveUp, RetryAfter

if TYPE_CHECKING:
    from typed_async_client.policies.transitions import CircuitState

__all__ = ["Attempt", "AttemptRecord"]


@dataclasses.dataclass(slots=True)
class Attempt:
    """One attempt to be made: everything that may differ between the attempts of a request.

    Attributes:
        number: 1 for the first.
        copy: 0, or the number of a hedged copy of that attempt.
        idempotent: whether the request may be sent twice.
        until: when the attempt must have ended, in monotonic seconds.
        limit: the seconds that ``until`` stands for: those of the whole request, or of the attempt.
        is_last_moment: whether that is the deadline of the request, rather than a limit on the
            attempt.
        headers: headers to add to those of the request.
        started: when it was sent, in monotonic seconds.
        phases: filled with the seconds spent by phase; None if nobody asks.
        closes_if_cut: whether all of it was sent, and only the response is missing: cancelling it now
            costs its connection over HTTP/1.1, and over HTTP/2 if it is the only stream. False if
            nobody asks.
    """

    number: int
    copy: int = 0
    idempotent: bool = False
    until: float = math.inf
    limit: float = math.inf
    is_last_moment: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    started: float = 0.0
    phases: dict[str, float] | None = None
    closes_if_cut: bool = False


class _Defaults:
    """Gives fields of a record that weren't set their defaults, so that they needn't be stored."""

    __slots__ = ()

    if not TYPE_CHECKING:  # a type checker would accept any attribute of a record

        def __getattr__(self, name: str) -> Any:
            if name in _DEFAULTS:
                return _DEFAULTS[name]
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord(_Defaults):
    """One attempt of a request, and the decision that followed it.

    The events of a request, its result, its error and its response refer to the same records.

    Attributes:
        number: 1 for the first attempt.
        copy: 0, or the number of a hedged copy of that attempt.
        started: seconds from the start of the request until the attempt was sent.
        duration: seconds until its response had been read, or until it failed; in a transport,
            until the head of the response arrived.
        delay: seconds waited before it because an earlier attempt failed; 0 for the first.
        delay_source: what determined that delay; None for the first.
        gate_wait: seconds that it waited for its turn, at limits and because of a pushback.
        facts: what is known about it: the fault or the status, and how far it got.
        error: type and message of its error, or of what interrupted it; None if it was answered, or
            cancelled because a copy of it was faster.
        decision: what followed: a retry after a delay, or the end, and why; None after a success
            that needed no decision, and for an attempt that a copy has overtaken.
        rejection: why a policy refused it before it was sent; None if it was sent.
        budget_left: extra requests that the budget allowed afterwards; None without a budget.
        circuit: the state of the circuit when it was admitted; None without one.
        phases: seconds by phase, as far as the transport tells them; None if it tells nothing.
    """

    number: int
    copy: int = 0
    started: float = 0.0
    duration: float = 0.0
    delay: float = 0.0
    delay_source: DelaySource | None = None
    gate_wait: float = 0.0
    facts: Facts
    error: str | None = None
    decision: RetryAfter | GiveUp | None = None
    rejection: RejectionReason | None = None
    budget_left: float | None = None
    circuit: "CircuitState | None" = None
    phases: Mapping[str, float] | None = dataclasses.field(default=None, hash=False)

    @staticmethod
    def of(
        number: int,
        started: float,
        duration: float,
        facts: Facts,
        details: Mapping[str, Any],
    ) -> "AttemptRecord":
        """Record an attempt; internal to the engine.

        It is called for nearly every request: only what isn't a default of the class is set.
        """
        record: Any = object.__new__(_RecordDraft)
        record.number = number
        record.started = started
        record.duration = duration
        record.facts = facts
        for name, value in details.items():
            setattr(record, name, value)
        record.__class__ = AttemptRecord
        made: AttemptRecord = record
        return made

    @property
    def status(self) -> int | None:
        """The status of the response; None without one."""
        return self.facts.status

    @property
    def sent(self) -> Sent:
        """How far the attempt got."""
        return self.facts.sent


_DEFAULTS = {
    field.name: field.default
    for field in dataclasses.fields(AttemptRecord)
    if field.default is not dataclasses.MISSING
}

_RecordDraft = draft_class(AttemptRecord)
