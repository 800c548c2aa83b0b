"""Slots of a rate limit that are reserved at once, for attempts that keep no queue together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.gates import Rejected, RejectionReason
from typed_async_client.policies.rate_limit import RateGate, RateLimit, Slot


def reserved(gate: RateGate, now: float) -> Slot:
    """Return the slot of an attempt that must get one."""
    slot = gate.reserve(now)
    assert isinstance(slot, Slot)
    return slot


def test_each_attempt_is_told_its_turn() -> None:
    """Those of the burst begin at once."""
    gate = RateLimit(rate=4, burst=2).start()
    assert [reserved(gate, now=1.0).wait for _ in range(4)] == [0.0, 0.0, 0.25, 0.5]
    assert reserved(gate, now=1.5).wait == 0.25
    assert reserved(gate, now=9.0).wait == 0.0


def test_a_slot_that_would_come_too_late_is_not_reserved() -> None:
    """The estimate says when to try again."""
    gate = RateLimit(rate=1, max_wait=1.5).start()
    reserved(gate, now=0.0)
    expected = Rejected(reason=RejectionReason.DEADLINE, retry_after=1.0)
    assert gate.reserve(now=0.0, deadline=0.5) == expected
    assert reserved(gate, now=0.0).wait == 1.0
    assert gate.reserve(now=0.0) == Rejected(reason=RejectionReason.TOO_LONG, retry_after=2.0)


@pytest.mark.parametrize(
    ("now", "reserved_there"), [(0.0, 0), (0.9, 0), (1.0, 1), (1.2, 1), (2.0, 2)]
)
def test_the_slots_that_have_not_begun_are_those_that_wait(now: float, reserved_there: int) -> None:
    """The queue has two places, which are free again one after the other."""
    gate = RateLimit(rate=1, max_waiting=2).start()
    for _ in range(3):
        reserved(gate, now=0.0)
    answers = [gate.reserve(now) for _ in range(3)]
    refused = [answer.reason for answer in answers if isinstance(answer, Rejected)]
    assert refused == [RejectionReason.QUEUE_FULL] * (3 - reserved_there)


def test_the_latest_reservation_can_be_cancelled() -> None:
    """The next attempt takes its place."""
    gate = RateLimit(rate=1).start()
    first, second, third = (reserved(gate, now=0.0) for _ in range(3))
    assert not gate.cancel(second)
    assert gate.cancel(third)
    assert reserved(gate, now=0.0).wait == 2.0
    assert first.wait == 0.0


@given(
    rate=st.sampled_from([0.1, 1 / 3, 3, 7.7]),
    burst=st.integers(1, 3),
    pauses=st.lists(st.floats(0, 5), min_size=1, max_size=30),
)
def test_no_period_begins_more_attempts_than_it_may(
    rate: float, burst: int, pauses: list[float]
) -> None:
    """In any ``t`` seconds at most ``burst + t * rate`` of them begin."""
    gate = RateLimit(rate=rate, burst=burst).start()
    now, begins = 0.0, []
    for pause in pauses:
        now += pause
        begins.append(now + reserved(gate, now).wait)
    assert begins == sorted(begins)
    for first, begin in enumerate(begins):
        for last, end in enumerate(begins[first:], start=first):
            assert last - first + 1 <= burst + (end - begin + 1e-5) * rate
