"""Counting a run, by hand-made results and events."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client import AsyncEvent, EventType, RequestContext, RequestResult, ResultStatus
from typed_async_client.cli.plan import MAX_RETRIES, Kind, Planned, draw_plan
from typed_async_client.cli.summary import Row, Standing, count_up, percentile

GOOD = Planned("good", Kind.ANSWERED)
LATE = Planned("late", Kind.RECOVERING, refusals=1)
CUT = Planned("cut", Kind.RESET)


def _result(name: str, attempts: int = 1, error: Exception | None = None) -> RequestResult:
    status = ResultStatus.SUCCESS if error is None else ResultStatus.ERROR
    return RequestResult(name, status, None, error, attempts, total_time=attempts / 10)


def _event(name: str, kind: EventType) -> AsyncEvent:
    return AsyncEvent(kind, RequestContext(request_id=name))


RESULTS = {
    "good": _result("good"),
    "late": _result("late", attempts=2),
    "cut": _result("cut", error=ConnectionResetError()),
}
EVENTS = [
    _event("late", EventType.RETRY),
    _event("good", EventType.SUCCESS),
    _event("cut", EventType.ERROR),
    _event("late", EventType.SUCCESS),
]


def test_a_run_is_counted_by_kind_and_in_all() -> None:
    """Results, attempts, retries and errors, each in its place."""
    tally = count_up([GOOD, LATE, CUT], RESULTS, EVENTS)
    success, error = {ResultStatus.SUCCESS: 1}, {ResultStatus.ERROR: 1}
    assert tally.rows == {
        Kind.ANSWERED: Row(requests=1, ends=success, attempts=1, retries=0),
        Kind.RECOVERING: Row(requests=1, ends=success, attempts=2, retries=1),
        Kind.RESET: Row(requests=1, ends=error, attempts=1, retries=0),
    }
    ends = {ResultStatus.SUCCESS: 2, ResultStatus.ERROR: 1}
    assert tally.total == Row(requests=3, ends=ends, attempts=4, retries=1)
    assert tally.failures == {"ConnectionResetError": 1}
    assert tally.times == (0.1, 0.1, 0.2)
    assert tally.faults == ()


def test_a_request_without_a_result_is_a_fault() -> None:
    """It is named; the run is not called good."""
    tally = count_up([GOOD, CUT], {"good": RESULTS["good"]}, EVENTS[1:3])
    assert tally.faults == ("cut has no result",)
    assert tally.rows[Kind.RESET].requests == 1
    assert tally.rows[Kind.RESET].attempts == 0


@pytest.mark.parametrize("ends", [0, 2])
def test_any_number_of_terminal_events_but_one_is_a_fault(ends: int) -> None:
    """One result hides two ends: only the events show them."""
    events = [_event("good", EventType.SUCCESS)] * ends
    tally = count_up([GOOD], {"good": RESULTS["good"]}, events)
    assert tally.faults == (f"good has {ends} terminal events",)


def test_what_nobody_planned_is_a_fault() -> None:
    """Neither a result nor an event may come out of nowhere."""
    tally = count_up([GOOD], {"good": RESULTS["good"], "cut": RESULTS["cut"]}, EVENTS[1:])
    assert tally.faults == ("cut was never planned", "late was never planned")


@pytest.mark.parametrize(
    ("share", "value"), [(0.01, 1.0), (0.5, 2.0), (0.51, 3.0), (0.75, 3.0), (0.9, 4.0), (1.0, 4.0)]
)
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    """The nearest rank, never something in between."""
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == value


def test_a_standing_follows_the_events() -> None:
    """In flight is what was begun and has not ended."""
    now = Standing(total=3).after_begin().after_begin().after(EventType.RETRY)
    assert (now.in_flight, now.retries, now.finished) == (2, 1, 0)
    now = now.after(EventType.SUCCESS).after(EventType.TIMEOUT)
    assert now == Standing(total=3, begun=2, finished=2, retries=1, failures=1)


@given(st.integers(), st.integers(1, 50))
def test_a_seed_draws_the_same_plan_each_time(seed: int, requests: int) -> None:
    """With names that are unique, and refusals that the retries outlast."""
    plan = draw_plan(requests, seed)
    random.random()  # what others draw must not matter
    assert draw_plan(requests, seed) == plan
    assert len({planned.request_id for planned in plan}) == requests
    for planned in plan:
        low, high = (1, MAX_RETRIES) if planned.kind is Kind.RECOVERING else (0, 0)
        assert low <= planned.refusals <= high


def test_the_plan_of_a_default_run_holds_every_kind() -> None:
    """So the demo shows all that it tells of."""
    assert {planned.kind for planned in draw_plan(300, 7)} == set(Kind)
