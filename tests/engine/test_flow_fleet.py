"""Requests whose rate limit, circuit and budget are kept in a store, driven by hand."""

import asyncio
from typing import Any

import pytest
from flow_kit import Play, assert_all_are_on_record, play
from run_kit import ORIGIN, START, Clock

from typed_async_client import EventType, Resilience
from typed_async_client.engine.shared import SharedPolicies
from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.bulkhead import Bulkhead
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.health import Health
from typed_async_client.policies.hedge import Hedge
from typed_async_client.policies.pushback import Pushback
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.policies.retry import RetryPolicy
from typed_async_client.stores.local import SyncLocalStore
from typed_async_client.stores.protocol import StateKey

LIMIT = RateLimit(rate=1.0)
BREAKER = CircuitBreaker(minimum_calls=2, failure_rate=0.1, reset_timeout=5.0)
BUDGET = RetryBudget(ratio=0.0, min_per_second=1.0, ttl=3600.0)
LIMITED = Resilience(
    rate_limit=LIMIT,
    circuit=BREAKER,
    budget=BUDGET,
    bulkhead=Bulkhead(max_concurrent=5),
    pushback=Pushback(spread=0.0),
    retry=RetryPolicy(jitter="none", max_retries=3),
)
HEDGED = Resilience(
    budget=BUDGET,
    circuit=BREAKER,
    hedge=Hedge(after=1.0, budget=None),
    retry=RetryPolicy(jitter="none"),
)
SCRIPTS: dict[str, tuple[Resilience, list[Any]]] = {
    "answered": (LIMITED, ["open"]),
    "retried": (LIMITED, ["open 503", "open"]),
    "held back": (LIMITED, ["wait 5", "open"]),
    "the circuit opens": (LIMITED, ["open 503", "broken"]),
    "hedged": (HEDGED, [(9.0, "open"), (0.5, "open")]),
    "hedged, and let go": (HEDGED, [(2.0, "open"), (0.5, "open")]),
}


class Counted(SyncLocalStore):
    """A store that counts what was granted and not given back."""

    def __init__(self) -> None:
        super().__init__()
        self.admitted = 0
        self.deposited = 0
        self.reserved: list[Any] = []
        self.withdrawn = 0

    def take_slot(self, *args: Any, **options: Any) -> Any:
        """Reserve a slot."""
        self.reserved.append(super().take_slot(*args, **options))
        return self.reserved[-1]

    def cancel_slot(self, key: Any, limit: Any, reservation: Any, *, now: float) -> bool:
        """Give a slot back."""
        self.reserved.remove(reservation)
        return super().cancel_slot(key, limit, reservation, now=now)

    def admit(self, *args: Any, **options: Any) -> Any:
        """Admit an attempt."""
        answer = super().admit(*args, **options)
        self.admitted += hasattr(answer, "receipt")
        return answer

    def report(self, *args: Any, **options: Any) -> Any:
        """Report an attempt."""
        self.admitted -= 1
        return super().report(*args, **options)

    def deposit(self, *args: Any, **options: Any) -> None:
        """Count a request."""
        self.deposited += 1
        super().deposit(*args, **options)

    def withdraw(self, *args: Any, **options: Any) -> Any:
        """Take an extra request."""
        answer = super().withdraw(*args, **options)
        self.withdrawn += answer is not None
        return answer

    def refund(self, *args: Any, **options: Any) -> None:
        """Give an extra request back."""
        self.withdrawn -= 1
        super().refund(*args, **options)


def played(
    name: str, at: int | None = None, error: BaseException | None = None
) -> tuple[Play, Counted]:
    """Drive a request, and interrupt it at a step; return it and the store."""
    resilience, script = SCRIPTS[name]
    store = Counted()
    run = play(
        resilience,
        *script,
        shared=SharedPolicies(store),
        wanted=frozenset(EventType),
        http1="let go" in name,
        interrupt_at=at,
        interruption=error,
    )
    return run, store


@pytest.mark.parametrize(
    ("name", "kinds", "withdrawn"),
    [
        ("answered", ["started", "success"], 0),
        ("retried", ["started", "retry", "throttled", "started", "circuit_opened", "success"], 0),
        ("held back", ["started", "retry", "throttled", "started", "success"], 0),
        ("the circuit opens", ["started", "retry", "throttled", "started", "circuit_opened"], 1),
        ("hedged", ["started", "hedged", "started", "success"], 1),
        ("hedged, and let go", ["started", "hedged", "started", "success"], 1),
    ],
)
def test_a_store_decides_like_the_policies(name: str, kinds: list[str], withdrawn: int) -> None:
    """What it granted is reported, used up, or given back."""
    run, store = played(name)
    if name in {"retried", "held back"}:
        kinds = [kind for kind in run.kinds if kind in kinds]
    assert run.kinds[: len(kinds)] == kinds
    assert (store.admitted, store.deposited) == (0, 1)
    assert len(store.reserved) == (0 if "hedged" in name else len(run.sent))
    assert store.withdrawn == withdrawn


@pytest.mark.parametrize("error", [asyncio.CancelledError, ValueError])
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_request_with_a_store_may_be_interrupted_at_any_step(
    name: str, error: type[BaseException]
) -> None:
    """There is one terminal event, and only the decision that was interrupted may be lost."""
    index = 0
    while True:
        run, store = played(name, index, error("thrown in"))
        if run.error is None or "thrown in" not in str(run.error):
            break
        assert [event.event_type.is_terminal for event in run.events].count(True) == 1
        assert (run.run.admissions, run.run.withdrawal, run.run.refundable) == ([], None, ())
        interrupted = type(run.own_steps[index]).__name__
        assert abs(store.admitted) <= (interrupted == "Consult")
        assert store.deposited <= 1
        extra = sum(each.number > 1 or each.copy > 0 for each in run.sent)
        assert store.withdrawn <= extra + (interrupted == "Consult")
        assert set(run.answered) == {*run.discarded, *run.delivered}
        assert_all_are_on_record(run)
        index += 1
    assert index > 3


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_flow_with_a_store_may_be_closed_at_any_step(name: str) -> None:
    """No step follows, so that the store isn't told; everything else is given back."""
    for index in range(200):
        run, _ = played(name, index, GeneratorExit())
        if not isinstance(run.error, GeneratorExit):
            break
        for child in run.children:
            child.flow.close()
        assert (run.run.admissions, index) == ([], len(run.own_steps) - 1)
    assert 3 < index < 199


def test_a_store_may_refuse_a_request() -> None:
    """Its circuit is open, or its turn would come too late."""
    store, clock = Counted(), Clock()
    shared = SharedPolicies(store)
    for _ in range(2):
        store.report(
            StateKey("circuit", ORIGIN),
            BREAKER,
            store.admit(StateKey("circuit", ORIGIN), BREAKER, now=START),
            Health.FAILING,
            duration=0.1,
            now=START,
            random=0.5,
        )
    refused = play(LIMITED, shared=shared, clock=clock)
    assert refused.kinds == ["rejected"]
    assert (store.reserved, store.admitted) == ([], 0)
    clock.now += 5.0
    probe = play(LIMITED, "ok", shared=shared, clock=clock)
    assert probe.kinds == ["circuit_half_open", "circuit_closed", "success"]
    assert probe.events[-1].history[0].circuit == "half_open"
    late = play(LIMITED, shared=shared, clock=clock, seconds=0.5)
    assert late.kinds == ["rejected"]


def test_an_exhausted_budget_of_a_store_allows_no_retry() -> None:
    """Nor a copy."""
    poor = RetryBudget(ratio=0.0, min_per_second=0.0)
    retried = Resilience(budget=poor, retry=RetryPolicy(jitter="none"))
    assert play(retried, "503", shared=SharedPolicies(Counted())).kinds == ["success"]
    hedged = Resilience(budget=poor, hedge=Hedge(after=1.0))
    assert play(hedged, (9.0, "ok"), shared=SharedPolicies(Counted())).kinds == ["success"]


def test_a_second_interruption_while_the_store_is_told_is_the_one_that_is_raised() -> None:
    """The request still ends in one terminal event."""

    def interrupt_again(step: Any) -> None:
        if type(step).__name__ == "Consult" and step.function.func.__name__ in {
            "deposit",
            "refund",
        }:
            raise KeyboardInterrupt

    run = play(
        LIMITED,
        "open",
        shared=SharedPolicies(Counted()),
        interrupt_at=2,
        on_step=interrupt_again,
    )
    assert isinstance(run.error, KeyboardInterrupt)
    assert run.kinds == ["cancelled"]


def test_a_store_keeps_only_what_can_be_shared() -> None:
    """Without a budget nothing is counted; a bulkhead stays with its client."""
    store = Counted()
    resilience = Resilience(circuit=BREAKER, bulkhead=Bulkhead(max_concurrent=1))
    assert play(resilience, "ok", shared=SharedPolicies(store)).kinds == ["success"]
    assert (store.deposited, store.admitted) == (0, 0)


def test_a_pushback_that_comes_while_the_store_lets_an_attempt_wait_returns_what_it_granted() -> (
    None
):
    """The attempt asks for everything again afterwards."""
    resilience = Resilience(rate_limit=LIMIT, circuit=BREAKER, pushback=Pushback(spread=0.0))
    store, clock = Counted(), Clock()
    shared = SharedPolicies(store)
    throttled = Facts(fault=None, sent=Sent.ANSWERED, status=429, retry_after=5.0)
    play(resilience, "ok", shared=shared, clock=clock)
    pushback = shared.of(resilience).states_at(ORIGIN, START)["pushback"]

    def while_it_waits(step: Any) -> None:
        if type(step).__name__ == "Sleep" and clock.now == START:
            pushback.report(throttled, START)

    played = play(resilience, "ok", shared=shared, clock=clock, on_step=while_it_waits)
    assert [event.data.reason for event in played.events[:-1]] == ["rate_limit", "pushback"]
    assert (clock.now, store.admitted, len(store.reserved)) == (START + 5.0, 0, 2)


def test_a_flow_may_be_closed_while_the_store_is_told_of_its_end() -> None:
    """No step follows."""

    def close_then(step: Any) -> None:
        if type(step).__name__ == "Consult" and step.function.func.__name__ == "deposit":
            raise GeneratorExit

    run = play(
        LIMITED, "open", shared=SharedPolicies(Counted()), interrupt_at=2, on_step=close_then
    )
    assert isinstance(run.error, GeneratorExit)
    assert run.kinds == []
