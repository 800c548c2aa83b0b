"""Decisions as values: the script to run in Redis, what its reply means, and what to do without it.

Pure: nothing is sent here. The drivers, one asynchronous and one synchronous, carry a decision out.
"""

import dataclasses
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.gates import Rejected, RejectionReason
from typed_async_client.policies.health import Health
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.policies.transitions import CircuitState, Transition, TransitionReason
from typed_async_client.policies.windows import BUCKETS
from typed_async_client.stores.local import SyncLocalStore
from typed_async_client.stores.lua.budget import DEPOSIT, REFUND, WITHDRAW
from typed_async_client.stores.lua.circuit import ADMIT, REPORT
from typed_async_client.stores.lua.rate_limit import CANCEL_SLOT, TAKE_SLOT
from typed_async_client.stores.lua.script import Script
from typed_async_client.stores.protocol import Admission, Reservation, StateKey, Withdrawal

__all__ = [
    "Decision",
    "admit",
    "cancel_slot",
    "deposit",
    "refund",
    "report",
    "take_slot",
    "withdraw",
]

_NO_LIMIT: Final = sys.float_info.max
"""Infinity for Lua, whose spelling of it depends on the platform."""

_SLICES: Final = 10
"""Parts of the window of a budget, as in ``policies/budget.py``."""

_ROUNDING: Final = 1e-9
"""What rounding may take from five deposits of 0.2."""

_SPARE: Final = 60.0
"""Seconds for which a closed circuit is kept after its window, for attempts that take long."""

_DAY: Final = 86_400.0
"""Seconds for which the latest calls are kept, if a window counts calls however old they are."""

T = TypeVar("T")


class _Receipt:
    """What Redis gave, which can be given back once."""

    __slots__ = ("is_spent", "values")

    def __init__(self, *values: Any) -> None:
        self.values = values
        self.is_spent = False

    def spend(self) -> bool:
        """Return whether it was still to be given back; it isn't any more."""
        was_spent, self.is_spent = self.is_spent, True
        return not was_spent


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Generic[T]):
    """A decision to be made by Redis, or by a local store where Redis doesn't answer.

    Attributes:
        script: the script.
        key: the key that it touches, without the prefix.
        arguments: its other arguments.
        decode: what its reply means.
        locally: makes the decision in a local store, at a time in monotonic seconds.
        undo: the decision that gives back what this one took; None if it took nothing.
        gives_back: whether it gives back what another took, which must be done in any case.
    """

    script: Script
    key: str
    arguments: tuple[str | int | float, ...]
    decode: Callable[[Any], T]
    locally: Callable[[SyncLocalStore, float], T]
    undo: Callable[[T], "Decision[Any] | None"] = lambda _: None
    gives_back: bool = False


def take_slot(
    key: StateKey, limit: RateLimit, *, now: float, deadline: float
) -> Decision[Reservation | Rejected]:
    """Reserve the next slot of a rate limit."""
    interval = limit.per / limit.rate * 1e6
    return Decision(
        script=TAKE_SLOT,
        key=_key("rate", key),
        arguments=(
            interval,
            (limit.burst - 1) * interval,
            -1 if limit.max_waiting is None else limit.max_waiting,
            _finite(limit.max_wait),
            _finite(deadline - now),
        ),
        decode=_decode_slot,
        locally=lambda local, at: local.take_slot(key, limit, now=at, deadline=deadline),
        undo=lambda slot: None if isinstance(slot, Rejected) else cancel_slot(key, limit, slot),
    )


def cancel_slot(key: StateKey, limit: RateLimit, reservation: Reservation) -> Decision[bool] | None:
    """Give a slot back; None if Redis didn't give it, or it was given back before."""
    receipt = reservation.receipt
    if not isinstance(receipt, _Receipt) or not receipt.spend():
        return None
    return Decision(
        script=CANCEL_SLOT,
        gives_back=True,
        key=_key("rate", key),
        arguments=receipt.values,
        decode=bool,
        locally=lambda local, at: local.cancel_slot(key, limit, reservation, now=at),
    )


def admit(key: StateKey, breaker: CircuitBreaker) -> Decision[Admission | Rejected]:
    """Ask a circuit for a new attempt."""
    return Decision(
        script=ADMIT,
        key=_circuit_key(key, breaker),
        arguments=(breaker.probes, breaker.reset_timeout, breaker.max_reset_timeout),
        decode=_decode_admission,
        locally=lambda local, at: local.admit(key, breaker, now=at),
        undo=lambda answer: _forget(key, breaker, answer),
    )


def report(
    key: StateKey,
    breaker: CircuitBreaker,
    admission: Admission,
    health: Health,
    *,
    duration: float,
    random: float,
) -> Decision[Transition | None] | None:
    """Report an attempt; None if Redis didn't admit it, or it was reported before."""
    receipt = admission.receipt
    if not isinstance(receipt, _Receipt) or not receipt.spend():
        return None
    is_slow = breaker.slow_duration is not None and duration > breaker.slow_duration
    outcome = (int(health is not Health.UNKNOWN), int(health.is_failure), int(is_slow), random)
    return Decision(
        script=REPORT,
        gives_back=True,
        key=_circuit_key(key, breaker),
        arguments=(*receipt.values, *outcome, *_limits(breaker)),
        decode=lambda reply: _decode_transition(*reply) if reply else None,
        locally=lambda local, at: None,  # noqa: ARG005 - its circuit hasn't admitted the attempt
    )


def deposit(key: StateKey, budget: RetryBudget) -> Decision[None]:
    """Count a request in a retry budget."""
    return Decision(
        script=DEPOSIT,
        key=_budget_key(key, budget),
        arguments=(budget.ttl / _SLICES,),
        decode=lambda reply: None,  # noqa: ARG005 - nothing is answered
        locally=lambda local, at: local.deposit(key, budget, now=at),
    )


def withdraw(key: StateKey, budget: RetryBudget) -> Decision[Withdrawal | None]:
    """Take an extra request out of a retry budget."""
    reserve = budget.min_per_second * budget.ttl
    return Decision(
        script=WITHDRAW,
        key=_budget_key(key, budget),
        arguments=(budget.ttl / _SLICES, budget.ratio, _finite(reserve), _ROUNDING),
        decode=lambda reply: Withdrawal(receipt=_Receipt(_text(reply))) if reply else None,
        locally=lambda local, at: local.withdraw(key, budget, now=at),
        undo=lambda taken: None if taken is None else refund(key, budget, taken),
    )


def refund(key: StateKey, budget: RetryBudget, withdrawal: Withdrawal) -> Decision[None] | None:
    """Give an extra request back; None if Redis didn't give it, or it was given back before."""
    receipt = withdrawal.receipt
    if not isinstance(receipt, _Receipt) or not receipt.spend():
        return None
    return Decision(
        script=REFUND,
        gives_back=True,
        key=_budget_key(key, budget),
        arguments=(budget.ttl / _SLICES, *receipt.values),
        decode=lambda reply: None,  # noqa: ARG005 - nothing is answered
        locally=lambda local, at: local.refund(key, budget, withdrawal, now=at),
    )


def _forget(
    key: StateKey, breaker: CircuitBreaker, answer: Admission | Rejected
) -> Decision[Any] | None:
    if isinstance(answer, Rejected):
        return None
    return report(key, breaker, answer, Health.UNKNOWN, duration=0.0, random=0.5)


def _limits(breaker: CircuitBreaker) -> tuple[int | float, ...]:
    """Return what a circuit is judged by, in the order of the script's arguments."""
    calls = breaker.window_calls
    never = 2  # a share that no attempt reaches
    return (
        breaker.minimum_calls if calls is None else min(breaker.minimum_calls, calls),
        breaker.failure_rate,
        never if breaker.slow_duration is None else breaker.slow_rate,
        breaker.probes,
        breaker.reset_timeout,
        breaker.reset_factor,
        breaker.max_reset_timeout,
        breaker.window / BUCKETS,
        calls or 0,
        1000 * (_DAY if calls else breaker.window + _SPARE),
    )


def _key(kind: str, key: StateKey) -> str:
    return f"{kind}:{quote(key.name, safe='')}:{key.host}"


def _circuit_key(key: StateKey, breaker: CircuitBreaker) -> str:
    """Return a key that changes with the window, since its counts mean nothing in another one."""
    calls = breaker.window_calls
    return _key("circuit", key) + (f":{float(breaker.window)}s" if calls is None else f":{calls}")


def _budget_key(key: StateKey, budget: RetryBudget) -> str:
    return f"{_key('budget', key)}:{float(budget.ttl)}s"


def _finite(value: float | None) -> float:
    return _NO_LIMIT if value is None or value == math.inf else value


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _decode_slot(reply: Sequence[Any]) -> Reservation | Rejected:
    kind, *rest = map(_text, reply)
    if kind == "rejected":
        reason, wait = rest
        return Rejected(reason=RejectionReason(reason), retry_after=float(wait))
    wait, before, after = rest
    return Reservation(wait=float(wait), receipt=_Receipt(before, after))


def _decode_admission(reply: Sequence[Any]) -> Admission | Rejected:
    if _text(reply[0]) == "rejected":
        return Rejected(reason=RejectionReason.CIRCUIT_OPEN, retry_after=float(reply[1]))
    _, epoch, is_probe, rates = reply
    return Admission(
        is_probe=bool(is_probe),
        transition=_decode_transition(CircuitState.HALF_OPEN, rates) if rates else None,
        receipt=_Receipt(_text(epoch)),
    )


def _decode_transition(state: Any, rates: Sequence[Any]) -> Transition:
    previous, reason, calls, failures, slow, retry_after = rates
    count = int(calls)
    return Transition(
        state=CircuitState(_text(state)),
        previous=CircuitState(_text(previous)),
        reason=TransitionReason(_text(reason)),
        calls=count,
        failure_rate=int(failures) / count if count else 0.0,
        slow_rate=int(slow) / count if count else 0.0,
        retry_after=float(retry_after) if retry_after else None,
    )
