"""The ledger of results and its bounds."""

from typing import Any

import pytest

from typed_async_client import AsyncEvent, EventType, RequestContext, ResultStatus
from typed_async_client.engine.ledger import Ledger
from typed_async_client.record import RequestRecord


class FakeClock:
    """Replaces the clocks of ``time``; it only advances when a test advances it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        monkeypatch.setattr("time.time", lambda: self.now + 1e9)


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    return FakeClock(monkeypatch)


def terminal_event(
    request_id: str, kind: EventType = EventType.SUCCESS, attempts: int = 1
) -> AsyncEvent:
    """Create a terminal event."""
    context = RequestContext(request_id=request_id)
    return AsyncEvent.adopt(
        kind, context, None, None, 0, attempts, 0.5, RequestRecord("GET", "http://a.test")
    )


def test_a_result_has_the_facts_of_its_terminal_event(clock: FakeClock) -> None:
    """Status, attempts and time are the event's."""
    ledger = Ledger(max_results=10, max_age=3600)
    ledger.record(terminal_event("a", EventType.TIMEOUT, attempts=3))
    result = ledger.get("a")
    assert result is not None
    assert (result.status, result.attempts, result.total_time) == (ResultStatus.TIMEOUT, 3, 0.5)
    clock.now += 5
    assert result.age == 5


def test_an_unknown_id_has_no_result() -> None:
    """It is None, not an error, as the result may have been dropped."""
    assert Ledger(max_results=1, max_age=1).get("nobody") is None


def test_the_oldest_result_is_dropped_when_the_ledger_is_full() -> None:
    """The number of results is limited."""
    ledger = Ledger(max_results=3, max_age=3600)
    for name in "abcde":
        ledger.record(terminal_event(name))
    assert list(ledger.all()) == ["c", "d", "e"]
    assert len(ledger) == 3


def test_a_later_result_with_the_same_id_replaces_the_earlier_one() -> None:
    """It then counts as the newest."""
    ledger = Ledger(max_results=3, max_age=3600)
    for name, attempts in [("a", 1), ("b", 1), ("a", 2), ("c", 1), ("d", 1)]:
        ledger.record(terminal_event(name, attempts=attempts))
    assert {name: result.attempts for name, result in ledger.all().items()} == {
        "a": 2,
        "c": 1,
        "d": 1,
    }


def test_results_are_dropped_when_they_exceed_the_maximum_age(clock: FakeClock) -> None:
    """Even if no new results are recorded."""
    ledger = Ledger(max_results=10, max_age=60)
    ledger.record(terminal_event("old"))
    clock.now += 50
    ledger.record(terminal_event("new"))
    clock.now += 11
    assert ledger.get("old") is None
    assert list(ledger.all()) == ["new"]
    clock.now += 60
    assert ledger.all() == {}


def test_recording_a_result_drops_expired_ones(clock: FakeClock) -> None:
    """They don't take up memory until somebody reads the results."""
    ledger = Ledger(max_results=10, max_age=60)
    ledger.record(terminal_event("old"))
    clock.now += 61
    ledger.record(terminal_event("new"))
    assert len(ledger) == 1


def test_a_result_is_as_old_as_its_terminal_event(clock: FakeClock) -> None:
    """Regardless of when it's recorded."""
    event = terminal_event("late")
    clock.now += 50
    ledger = Ledger(max_results=10, max_age=60)
    ledger.record(event)
    result = ledger.all()["late"]
    assert (result.age, result.created_at) == (50.0, 1e9 + 1000.0)


def test_changing_the_returned_mapping_does_not_change_the_ledger() -> None:
    """The caller gets a copy."""
    ledger = Ledger(max_results=10, max_age=60)
    ledger.record(terminal_event("a"))
    ledger.all().clear()
    assert list(ledger.all()) == ["a"]


def test_drop_older_than_returns_the_number_of_dropped_results(clock: FakeClock) -> None:
    """Only results older than the given age are dropped."""
    ledger = Ledger(max_results=10, max_age=3600)
    for name in "abc":
        ledger.record(terminal_event(name))
        clock.now += 10
    assert ledger.drop_older_than(15) == 2
    assert ledger.drop_older_than(15) == 0
    assert list(ledger.all()) == ["c"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_results", 0),
        ("max_results", 1.5),
        ("max_results", True),
        ("max_age", 0),
        ("max_age", float("nan")),
    ],
)
def test_invalid_bounds_raise(field: str, value: Any) -> None:
    """The message names the option and its value."""
    options: dict[str, Any] = {"max_results": 1, "max_age": 1, field: value}
    with pytest.raises(ValueError, match=repr(value)):
        Ledger(**options)
