"""The bounded results."""

from typing import Any

import pytest

from typed_async_client import AsyncEvent, EventType, RequestContext, ResultStatus
from typed_async_client.engine.ledger import Ledger


class Clockwork:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        monkeypatch.setattr("time.time", lambda: self.now + 1e9)


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> Clockwork:
    return Clockwork(monkeypatch)


def ending(request_id: str, kind: EventType = EventType.SUCCESS, attempts: int = 1) -> AsyncEvent:
    """Make a terminal event."""
    context = RequestContext(request_id=request_id)
    return AsyncEvent.adopt(kind, context, None, None, 0, attempts, 0.5)


def test_a_result_says_what_its_terminal_event_said(clock: Clockwork) -> None:
    """Status, attempts and time are read off the event."""
    ledger = Ledger(max_results=10, max_age=3600)
    ledger.record(ending("a", EventType.TIMEOUT, attempts=3))
    result = ledger.get("a")
    assert result is not None
    assert (result.status, result.attempts, result.total_time) == (ResultStatus.TIMEOUT, 3, 0.5)
    clock.now += 5
    assert result.age == 5


def test_an_unknown_id_has_no_result() -> None:
    """None, not an error: it may have been dropped."""
    assert Ledger(max_results=1, max_age=1).get("nobody") is None


def test_the_oldest_result_makes_room_for_the_newest() -> None:
    """The number of results is bounded."""
    ledger = Ledger(max_results=3, max_age=3600)
    for name in "abcde":
        ledger.record(ending(name))
    assert list(ledger.all()) == ["c", "d", "e"]
    assert len(ledger) == 3


def test_a_later_result_of_the_same_id_replaces_the_earlier_and_is_the_newest() -> None:
    """The order is that of the latest ends."""
    ledger = Ledger(max_results=3, max_age=3600)
    for name, attempts in [("a", 1), ("b", 1), ("a", 2), ("c", 1), ("d", 1)]:
        ledger.record(ending(name, attempts=attempts))
    assert {name: result.attempts for name, result in ledger.all().items()} == {
        "a": 2,
        "c": 1,
        "d": 1,
    }


def test_results_grow_old_and_are_dropped(clock: Clockwork) -> None:
    """Age is bounded too, whether or not anything new comes."""
    ledger = Ledger(max_results=10, max_age=60)
    ledger.record(ending("old"))
    clock.now += 50
    ledger.record(ending("new"))
    clock.now += 11
    assert ledger.get("old") is None
    assert list(ledger.all()) == ["new"]
    clock.now += 60
    assert ledger.all() == {}


def test_a_result_that_comes_drops_those_that_have_grown_old(clock: Clockwork) -> None:
    """They take no room, though nobody looks."""
    ledger = Ledger(max_results=10, max_age=60)
    ledger.record(ending("old"))
    clock.now += 61
    ledger.record(ending("new"))
    assert len(ledger) == 1


def test_a_result_is_as_old_as_its_event(clock: Clockwork) -> None:
    """Whenever it is written down."""
    event = ending("late")
    clock.now += 50
    ledger = Ledger(max_results=10, max_age=60)
    ledger.record(event)
    result = ledger.all()["late"]
    assert (result.age, result.created_at) == (50.0, 1e9 + 1000.0)


def test_what_is_done_to_the_results_given_is_not_done_to_the_ledger() -> None:
    """The mapping is the caller's own."""
    ledger = Ledger(max_results=10, max_age=60)
    ledger.record(ending("a"))
    ledger.all().clear()
    assert list(ledger.all()) == ["a"]


def test_clearing_tells_how_many_results_it_dropped(clock: Clockwork) -> None:
    """Those older than the age asked for, and no others."""
    ledger = Ledger(max_results=10, max_age=3600)
    for name in "abc":
        ledger.record(ending(name))
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
def test_a_ledger_without_bounds_is_refused(field: str, value: Any) -> None:
    """The message names the option and its value."""
    options: dict[str, Any] = {"max_results": 1, "max_age": 1, field: value}
    with pytest.raises(ValueError, match=repr(value)):
        Ledger(**options)
