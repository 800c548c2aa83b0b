"""What a request takes from its retry budget, and what comes back."""

import pytest
from flow_kit import Play, play
from run_kit import START, Clock

from typed_async_client import EventType, Resilience
from typed_async_client.engine.shared import SharedPolicies
from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.hedge import Hedge
from typed_async_client.policies.retry import RetryPolicy

BUDGET = RetryBudget(ratio=0.0, min_per_second=1.0, ttl=10.0)
RETRYING = Resilience(retry=RetryPolicy(jitter="none"), budget=BUDGET)


def left(resilience: Resilience, shared: SharedPolicies) -> float:
    """Return what is left of a budget of ten."""
    balance: float = (
        shared.of(resilience).states_at("http://a.test", START)["budget"].balance(START)
    )
    return balance


@pytest.mark.parametrize(
    ("script", "balance"),
    [
        (["ok"], 10.0),
        (["503", "ok"], 10.0),
        (["503", "404"], 10.0),
        (["503", "503", "ok"], 9.0),
        (["503", "503", "503"], 8.0),
        (["broken", "broken", "broken"], 8.0),
        (["broken", "bug"], 9.0),
    ],
)
def test_only_a_retry_that_succeeds_costs_nothing(script: list[str], balance: float) -> None:
    """The attempts before it have cost one each."""
    shared = SharedPolicies()
    play(RETRYING, *script, shared=shared)
    assert left(RETRYING, shared) == balance


def test_the_budget_is_charged_when_the_wait_starts() -> None:
    """So requests that wait at the same time see each other's retries; the record tells the rest."""
    shared = SharedPolicies()
    seen: list[float] = []
    played = play(
        RETRYING, "503", "ok", shared=shared, on_step=lambda _: seen.append(left(RETRYING, shared))
    )
    names = [type(step).__name__ for step in played.steps]
    assert names == ["Send", "Publish", "Discard", "Sleep", "Send", "Publish"]
    assert seen == [10.0, 9.0, 9.0, 9.0, 9.0, 10.0]
    first, second = played.events[-1].history
    assert (first.budget_left, second.budget_left) == (9.0, 10.0)


def test_a_retry_that_a_policy_refuses_costs_nothing() -> None:
    """The circuit has opened while the request waited."""
    refusing = Resilience(
        retry=RetryPolicy(jitter="none"), budget=BUDGET, circuit=CircuitBreaker(minimum_calls=1)
    )
    shared = SharedPolicies()
    played = play(refusing, "503", shared=shared)
    assert played.kinds == ["circuit_opened", "retry", "rejected"]
    assert left(refusing, shared) == 10.0


@pytest.mark.parametrize(
    ("at", "balance"), [("retry", 10.0), ("discard", 10.0), ("sleep", 10.0), ("send", 9.0)]
)
def test_a_retry_that_is_never_sent_costs_nothing(at: str, balance: float) -> None:
    """It is cancelled before its attempt; what has left is paid for."""
    shared = SharedPolicies()
    index = ["first", "retry", "discard", "sleep", "send"].index(at)
    played = play(RETRYING, "503", "ok", shared=shared, interrupt_at=index)
    assert played.kinds[-1] == "cancelled"
    assert left(RETRYING, shared) == balance


def test_a_retry_whose_time_is_over_before_it_could_start_costs_nothing() -> None:
    """A stalled process slept for longer than it wanted to."""
    shared, clock = SharedPolicies(), Clock()

    def oversleep(step: object) -> None:
        if type(step).__name__ == "Sleep":
            clock.now += 60.0

    played = play(RETRYING, "503", shared=shared, clock=clock, seconds=9.0, on_step=oversleep)
    assert played.kinds == ["retry", "timeout"]
    budget = shared.of(RETRYING).states_at("http://a.test", clock.now)["budget"]
    assert budget.balance(clock.now) == 10.0


def hedged(*script: str | tuple[float, str], interrupt_at: int | None = None) -> tuple[Play, float]:
    """Send a request with a copy after a second; return it and what is left of the budget."""
    resilience = Resilience(
        retry=RetryPolicy(jitter="none"), budget=BUDGET, hedge=Hedge(after=1.0, budget=None)
    )
    shared = SharedPolicies()
    wanted = frozenset({EventType.STARTED})
    played = play(resilience, *script, shared=shared, wanted=wanted, interrupt_at=interrupt_at)
    return played, left(resilience, shared)


def test_a_copy_costs_the_same_as_a_retry_even_if_it_wins() -> None:
    """Otherwise every request to a slow host could be sent twice."""
    played, balance = hedged((9.0, "ok"), (0.5, "ok"))
    assert played.kinds == ["started", "hedged", "started", "success"]
    assert balance == 9.0


def test_a_copy_that_is_never_sent_costs_nothing() -> None:
    """The request is cancelled when the copy is announced, or just about to start."""
    played, _ = hedged((9.0, "ok"), (0.5, "ok"))
    for index, step in enumerate(played.own_steps):
        if type(step).__name__ == "Publish" and step.event.event_type is EventType.HEDGED:
            assert hedged((9.0, "ok"), interrupt_at=index)[1] == 10.0
            assert hedged((9.0, "ok"), interrupt_at=index + 1)[1] == 10.0


def test_no_copy_is_sent_without_budget() -> None:
    """Neither that of the client nor that of the policy."""
    broke = RetryBudget(ratio=0.0, min_per_second=0.0)
    played = play(Resilience(budget=broke, hedge=Hedge(after=1.0)), (9.0, "ok"))
    assert (played.kinds, len(played.sent)) == (["success"], 1)
    rich = RetryBudget(ratio=0.0, min_per_second=2.0, ttl=10.0)
    few = Resilience(budget=rich, hedge=Hedge(after=1.0, budget=1e-6))
    shared = SharedPolicies()
    kinds = [
        play(few, (9.0, "ok"), (9.0, "ok"), shared=shared, clock=Clock()).kinds for _ in range(11)
    ]
    assert kinds[0] == ["hedged", "success"]
    assert kinds[-1] == ["success"]
    assert left(few, shared) == 10.0
