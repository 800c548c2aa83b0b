"""Summaries of runs, from hand-made results and events."""

import random
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client import AsyncEvent, EventType, RequestContext, RequestResult, ResultStatus
from typed_async_client.cli.plan import MAX_RETRIES, Kind, PlannedRequest, make_plan
from typed_async_client.cli.summary import Row, RunProgress, percentile, summarize
from typed_async_client.results import ResultBase

GOOD = PlannedRequest("good", Kind.ANSWERED)
LATE = PlannedRequest("late", Kind.RECOVERING, refusals=1)
CUT = PlannedRequest("cut", Kind.RESET)


def _result(request_id: str, attempts: int = 1, error: Exception | None = None) -> RequestResult:
    status = ResultStatus.SUCCESS if error is None else ResultStatus.ERROR
    result = ResultBase(request_id, status, None, error, attempts, total_time=attempts / 10)
    return cast("RequestResult", result)


def _event(request_id: str, event_type: EventType) -> AsyncEvent:
    return AsyncEvent(event_type, RequestContext(request_id=request_id))


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


def test_a_run_is_counted_by_kind_and_in_total() -> None:
    """Results, attempts, retries and errors are all counted."""
    summary = summarize([GOOD, LATE, CUT], RESULTS, EVENTS)
    success, error = {ResultStatus.SUCCESS: 1}, {ResultStatus.ERROR: 1}
    assert summary.rows == {
        Kind.ANSWERED: Row(requests=1, by_status=success, attempts=1, retries=0),
        Kind.RECOVERING: Row(requests=1, by_status=success, attempts=2, retries=1),
        Kind.RESET: Row(requests=1, by_status=error, attempts=1, retries=0),
    }
    by_status = {ResultStatus.SUCCESS: 2, ResultStatus.ERROR: 1}
    assert summary.total == Row(requests=3, by_status=by_status, attempts=4, retries=1)
    assert summary.failures == {"ConnectionResetError": 1}
    assert summary.times == (0.1, 0.1, 0.2)
    assert summary.violations == ()


def test_a_request_without_a_result_is_a_violation() -> None:
    """The violation names the request."""
    summary = summarize([GOOD, CUT], {"good": RESULTS["good"]}, EVENTS[1:3])
    assert summary.violations == ("cut has no result",)
    assert summary.rows[Kind.RESET].requests == 1
    assert summary.rows[Kind.RESET].attempts == 0


@pytest.mark.parametrize("count", [0, 2])
def test_any_number_of_terminal_events_but_one_is_a_violation(count: int) -> None:
    """A single result can hide a second end; only the events reveal it."""
    events = [_event("good", EventType.SUCCESS)] * count
    summary = summarize([GOOD], {"good": RESULTS["good"]}, events)
    assert summary.violations == (f"good has {count} terminal events",)


def test_an_unplanned_request_is_a_violation() -> None:
    """This applies to unexpected results and unexpected events."""
    summary = summarize([GOOD], {"good": RESULTS["good"], "cut": RESULTS["cut"]}, EVENTS[1:])
    assert summary.violations == ("cut was never planned", "late was never planned")


@pytest.mark.parametrize(
    ("share", "value"), [(0.01, 1.0), (0.5, 2.0), (0.51, 3.0), (0.75, 3.0), (0.9, 4.0), (1.0, 4.0)]
)
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    """It uses the nearest rank, without interpolation."""
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == value


def test_progress_follows_the_events() -> None:
    """Requests in flight are those that have started and haven't ended."""
    progress = RunProgress(total=3).after_start().after_start().after_event(EventType.RETRY)
    assert (progress.in_flight, progress.retries, progress.finished) == (2, 1, 0)
    progress = progress.after_event(EventType.SUCCESS).after_event(EventType.TIMEOUT)
    assert progress == RunProgress(total=3, started=2, finished=2, retries=1, failures=1)


@given(st.integers(), st.integers(1, 50))
def test_a_seed_always_gives_the_same_plan(seed: int, requests: int) -> None:
    """Its ids are unique, and the retries suffice for its refusals."""
    plan = make_plan(requests, seed)
    random.random()  # other users of the global generator must not matter
    assert make_plan(requests, seed) == plan
    assert len({planned.request_id for planned in plan}) == requests
    for planned in plan:
        low, high = (1, MAX_RETRIES) if planned.kind is Kind.RECOVERING else (0, 0)
        assert low <= planned.refusals <= high


def test_the_plan_of_a_default_run_contains_every_kind() -> None:
    """The demo shows every kind of fault."""
    assert {planned.kind for planned in make_plan(300, 7)} == set(Kind)
