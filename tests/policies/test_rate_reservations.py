"""Slots of a rate limit that are reserved at once, for attempts that keep no queue together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.gates import Rejected, RejectionReason
from typed_async_client.policies.hosts import Retention
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.policies.reservations import ReservedSlot, SlotBook


def reserved(book: SlotBook, now: float) -> ReservedSlot:
    """Return the slot of an attempt that must get one."""
    slot = book.reserve(now)
    assert isinstance(slot, ReservedSlot)
    return slot


def test_each_attempt_is_told_its_turn() -> None:
    """Those of the burst begin at once."""
    book = SlotBook(RateLimit(rate=4, burst=2))
    assert [reserved(book, now=1.0).wait for _ in range(4)] == [0.0, 0.0, 0.25, 0.5]
    assert reserved(book, now=1.5).wait == 0.25
    assert reserved(book, now=9.0).wait == 0.0


def test_a_slot_that_would_come_too_late_is_not_reserved() -> None:
    """The estimate says when to try again."""
    book = SlotBook(RateLimit(rate=1, max_wait=1.5))
    reserved(book, now=0.0)
    expected = Rejected(reason=RejectionReason.DEADLINE, retry_after=1.0)
    assert book.reserve(now=0.0, deadline=0.5) == expected
    assert reserved(book, now=0.0).wait == 1.0
    assert book.reserve(now=0.0) == Rejected(reason=RejectionReason.TOO_LONG, retry_after=2.0)


@pytest.mark.parametrize(
    ("now", "reserved_there"), [(0.0, 0), (0.9, 0), (1.0, 1), (1.2, 1), (2.0, 2)]
)
def test_the_slots_that_have_not_begun_are_those_that_wait(now: float, reserved_there: int) -> None:
    """The queue has two places, which are free again one after the other."""
    book = SlotBook(RateLimit(rate=1, max_waiting=2))
    for _ in range(3):
        reserved(book, now=0.0)
    answers = [book.reserve(now) for _ in range(3)]
    refused = [answer.reason for answer in answers if isinstance(answer, Rejected)]
    assert refused == [RejectionReason.QUEUE_FULL] * (3 - reserved_there)


def test_the_latest_reservation_can_be_cancelled() -> None:
    """The next attempt takes its place."""
    book = SlotBook(RateLimit(rate=1))
    first, second, third = (reserved(book, now=0.0) for _ in range(3))
    assert not book.give_back(second)
    assert book.give_back(third)
    assert reserved(book, now=0.0).wait == 2.0
    assert not book.give_back(third)  # it is another's by now
    assert first.wait == 0.0


def test_a_book_with_slots_to_come_is_kept_if_possible() -> None:
    """If it were forgotten, some would be given twice."""
    book = SlotBook(RateLimit(rate=1))
    reserved(book, now=0.0)
    assert book.retention(now=0.5) is Retention.USEFUL
    assert book.retention(now=1.0) is Retention.DISPOSABLE


@given(
    rate=st.sampled_from([0.1, 1 / 3, 3, 7.7]),
    burst=st.integers(1, 3),
    pauses=st.lists(st.floats(0, 5), min_size=1, max_size=30),
)
def test_no_period_begins_more_attempts_than_it_may(
    rate: float, burst: int, pauses: list[float]
) -> None:
    """In any ``t`` seconds at most ``burst + t * rate`` of them begin."""
    book = SlotBook(RateLimit(rate=rate, burst=burst))
    now, begins = 0.0, []
    for pause in pauses:
        now += pause
        begins.append(now + reserved(book, now).wait)
    assert begins == sorted(begins)
    for first, begin in enumerate(begins):
        for last, end in enumerate(begins[first:], start=first):
            assert last - first + 1 <= burst + (end - begin + 1e-5) * rate
