"""The ledger of results and its bounds."""

from typing import Any

import pytest

from typed_async_client import (
    AsyncEvent,
    EventType,
    RequestContext,
    ResponseEvictedError,
    ResultStatus,
)
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
        kind, context, None, None, 0, attempts, 0.5, RequestRecord("GET", "http://a.test"), ()
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
        ("max_results", -1),
        ("max_results", 1.5),
        ("max_results", True),
        ("max_age", 0),
        ("max_age", float("nan")),
        ("max_age", "60"),
    ],
)
def test_invalid_bounds_raise(field: str, value: Any) -> None:
    """The message names the option and its value."""
    options: dict[str, Any] = {"max_results": 1, "max_age": 1, field: value}
    with pytest.raises(ValueError, match=repr(value)):
        Ledger(**options)


class Body:
    """A packed response of some bytes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.status_code = 200

    def unpack(self) -> str:
        """Return what stands for the response."""
        return "response"


def ledger_of_bodies(**options: Any) -> Ledger:
    """Create a ledger in which the data of an event is the size of its body."""
    limits: dict[str, Any] = {"max_results": 100, "max_age": 3600.0} | options
    return Ledger(pack=lambda size: None if size is None else Body(size), **limits)


def record_body(ledger: Ledger, request_id: str, size: int | None) -> None:
    """Record a success with a body of that size."""
    event = terminal_event(request_id)
    object.__setattr__(event, "data", size)
    ledger.record(event)


def evicted(ledger: Ledger) -> list[str]:
    """Return the ids of the results that lost their response."""
    return [name for name, result in ledger.all().items() if result.response_evicted]


def test_past_the_bytes_the_oldest_results_lose_their_response() -> None:
    """Not their figures; what was evicted is counted."""
    ledger = ledger_of_bodies(max_bytes=100)
    for name in "abcd":
        record_body(ledger, name, 40)
    assert evicted(ledger) == ["a", "b"]
    assert (ledger.evicted, ledger.dropped, len(ledger)) == (2, 0, 4)
    lost = ledger.all()["a"]
    assert (lost.status, lost.attempts, lost.response) == ("success", 1, None)
    assert (lost.method, lost.url, lost.resends) == ("GET", "http://a.test", 0)
    assert str(ledger.all()["c"].response) == "response"
    with pytest.raises(ResponseEvictedError, match="request 'a' was dropped"):
        lost.unwrap()


def test_a_result_that_the_caller_holds_keeps_its_response() -> None:
    """Only the ledger's own loses it."""
    ledger = ledger_of_bodies(max_bytes=50)
    record_body(ledger, "a", 40)
    held = ledger.get("a")
    record_body(ledger, "b", 40)
    assert held is not None
    assert (str(held.response), held.response_evicted) == ("response", False)
    assert evicted(ledger) == ["a"]


def test_a_response_that_alone_is_too_large_is_evicted_at_once() -> None:
    """And costs the others nothing after that."""
    ledger = ledger_of_bodies(max_bytes=50)
    record_body(ledger, "a", 51)
    record_body(ledger, "b", 50)
    record_body(ledger, "c", 0)
    record_body(ledger, "d", None)
    assert evicted(ledger) == ["a"]


def test_results_that_were_dropped_or_replaced_do_not_count() -> None:
    """Whether by number, by age or by a later result with the same id."""
    ledger = ledger_of_bodies(max_bytes=100, max_results=2)
    for name in "abcdefgh":
        record_body(ledger, name, 50)
    assert (evicted(ledger), ledger.dropped) == ([], 6)
    for _ in range(5):
        record_body(ledger, "h", 50)
    assert evicted(ledger) == []
    assert ledger.drop_older_than(-1) == 2
    record_body(ledger, "i", 100)
    assert evicted(ledger) == []


def test_no_results_may_be_kept() -> None:
    """Then there is nothing to look up."""
    ledger = ledger_of_bodies(max_results=0)
    record_body(ledger, "a", 10)
    assert (ledger.all(), ledger.get("a"), ledger.dropped) == ({}, None, 1)


def test_a_packed_error_is_unpacked_when_it_is_read() -> None:
    """And stays the same object from then on."""

    class Error:
        size = 0

        def unpack(self) -> Exception:
            return ValueError("no")

        def without_responses(self) -> "Error":
            return self

    ledger = Ledger(max_results=1, max_age=1, pack_error=lambda _: Error())
    event = terminal_event("a", EventType.ERROR)
    object.__setattr__(event, "error", KeyError())
    ledger.record(event)
    result = ledger.all()["a"]
    assert repr(result.error) == "ValueError('no')"
    assert result.error is result.error
