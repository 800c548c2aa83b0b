"""When a copy of a slow request is sent."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.hedge import Hedge, HedgePlan, HedgeState
from typed_async_client.policies.hosts import Retention


def planned(state: HedgeState) -> HedgePlan | None:
    """Return the plan of a request that may be sent twice."""
    return state.plan(idempotent=True, replayable=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"after": 0}, "after must be a finite number > 0, got 0"),
        ({"after": math.inf}, "after must be a finite number > 0, got inf"),
        ({"after": None}, "after must be a number of seconds, or a percentile .* got None"),
        ({"max_copies": 0}, "max_copies must be an integer >= 1, got 0"),
        ({"budget": 0}, "budget must be a finite number > 0 and <= 1, got 0"),
        ({"budget": 10}, "budget must be a finite number > 0 and <= 1, got 10"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    """The message names the option and the value."""
    with pytest.raises(ValueError, match=f"^{message}$"):
        Hedge(**options)


@pytest.mark.parametrize(
    "after", ["", "95", "p", "p0", "p0.0", "p100", "p-5", "P95", "p95 ", "p\u0669\u0665"]
)
def test_a_percentile_is_between_0_and_100(after: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(ValueError, match=r'such as "p95", got ') as refused:
        Hedge(after=after)
    assert str(refused.value).endswith(repr(after))


@pytest.mark.parametrize(
    ("after", "expected"), [("p50", 0.5), ("p95", 0.95), ("p99.9", 0.999), (0.3, None)]
)
def test_a_percentile_is_read(after: float | str, expected: float | None) -> None:
    """A fixed delay has none."""
    assert Hedge(after=after).percentile == (
        expected if expected is None else pytest.approx(expected)
    )


def test_copies_are_due_one_after_the_other() -> None:
    """Each after the delay, up to the number allowed."""
    plan = planned(Hedge(after=0.25, max_copies=2).start())
    assert plan == HedgePlan(delay=0.25, max_copies=2)
    assert plan.next_copy(last_sent=10.0, copies=0) == 10.25
    assert plan.next_copy(last_sent=10.5, copies=1) == 10.75
    assert plan.next_copy(last_sent=11.0, copies=2) is None


@pytest.mark.parametrize(
    ("idempotent", "replayable"), [(False, True), (True, False), (False, False)]
)
def test_a_request_that_must_not_be_sent_twice_has_no_copies(
    *, idempotent: bool, replayable: bool
) -> None:
    """Nor does it pay for those of others."""
    state = Hedge(after=0.1, budget=1.0).start()
    while state.spend():
        pass
    assert state.plan(idempotent=idempotent, replayable=replayable) is None
    assert not state.spend()


def test_the_budget_limits_copies_to_a_share_of_requests() -> None:
    """Ten are saved at most; those were there from the start."""
    state = Hedge(after=0.1, budget=0.25).start()
    assert sum(state.spend() for _ in range(20)) == 10
    sent = 0
    for _ in range(100):
        planned(state)
        sent += state.spend()
    assert sent == 25
    for _ in range(1000):
        planned(state)
    assert sum(state.spend() for _ in range(20)) == 10


def test_there_may_be_no_budget() -> None:
    """Then every copy may be sent."""
    state = Hedge(after=0.1, budget=None).start()
    planned(state)
    assert all(state.spend() for _ in range(1000))


@pytest.mark.parametrize(("after", "needed"), [("p50", 20), ("p95", 20), ("p99", 100)])
def test_a_percentile_needs_enough_response_times(after: str, needed: int) -> None:
    """Before that, the longest of them would decide."""
    state = Hedge(after=after).start()
    for _ in range(needed - 1):
        state.record(1.0)
    assert planned(state) is None
    state.record(1.0)
    plan = planned(state)
    assert plan is not None
    assert plan.delay == pytest.approx(1.0, rel=0.1)


def test_the_delay_follows_the_response_times() -> None:
    """One in ten takes two seconds, the others a tenth of one."""
    state = Hedge(after="p90").start()
    for number in range(1000):
        state.record(2.0 if number % 10 == 0 else 0.1)
    assert state.delay() == pytest.approx(0.1, rel=0.1)
    for _ in range(100):
        state.record(2.0)
    assert state.delay() == pytest.approx(2.0, rel=0.1)


def test_the_delay_is_at_least_a_millisecond() -> None:
    """However fast the host is."""
    state = Hedge(after="p50").start()
    for _ in range(20):
        state.record(0.0)
    assert state.delay() == 0.001


def test_response_times_that_were_learnt_are_kept_if_possible() -> None:
    """A fixed delay learns nothing."""
    fixed, learning = Hedge(after=0.1).start(), Hedge(after="p95").start()
    assert learning.retention(now=0.0) is Retention.DISPOSABLE
    for state in (fixed, learning):
        state.record(1.0)
    assert learning.retention(now=0.0) is Retention.USEFUL
    assert fixed.retention(now=0.0) is Retention.DISPOSABLE


@given(st.lists(st.sampled_from(["request", "copy"])), st.sampled_from([0.05, 0.1, 0.3, 1.0]))
def test_the_budget_is_never_exceeded(actions: list[str], budget: float) -> None:
    """Ten, and the share of the requests so far."""
    state = Hedge(after=0.1, budget=budget).start()
    requests = copies = 0
    for action in actions:
        if action == "request":
            requests += 1
            planned(state)
        else:
            copies += state.spend()
        assert copies <= 10 + budget * requests
