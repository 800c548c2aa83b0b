"""What a server says about sending a request again."""

import datetime as dt
import email.utils

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from typed_async_client.policies.retry_headers import (
    MAX_SECONDS,
    RetryAdvice,
    parse_retry_after,
    read_retry_headers,
)

WALL = dt.datetime(2026, 3, 1, 12, 0, 0, tzinfo=dt.UTC).timestamp()
ARABIC_SEVEN = "\u0667".encode()

Headers = list[tuple[bytes, bytes]]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"5", 5.0),
        (b"0", 0.0),
        (b"-1", None),
        (b"1.5", 1.5),
        (b".5", 0.5),
        (b"3.", 3.0),
        (b".", None),
        (b"1e9", None),
        (b"1000000000", 1e9),
        (b"1000000000000", MAX_SECONDS),
        (b"9" * 400, MAX_SECONDS),
        (b"NaN", None),
        (b"inf", None),
        (b"", None),
        (b" 7 ", 7.0),
        (b"\t7", 7.0),
        (b"0x10", None),
        (ARABIC_SEVEN, None),
        (b"+5", None),
        (b"1_000", None),
        (b"5, 10", 10.0),
        (b"5, soon", None),
        (b"5,", None),
        (b"soon", None),
        (b"\xff\x00", None),
        (b"Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        (b"Sun, 01 Mar 2026 11:59:30 GMT", 0.0),
        (b"Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        (b" Sun, 01 Mar 2026 12:00:30 GMT\t", 30.0),
        (b"sun, 1 mar 2026 12:00:30 utc", 30.0),
        (b"Sun, 01 Mar 2026 12:00:30 +0000", 30.0),
        (b"Sun, 01 Mar 2026 12:00:30 -0000", 30.0),
        (b"Sun, 01 Mar 2026 12:00:30", 30.0),
        (b"Sun, 01 Mar 2026 12:00:30 EST", None),
        (b"Sun, 01 Mar 2026 12:00:60 GMT", 59.0),
        (b"Sun, 01 Mar 2026 12:00:61 GMT", None),
        (b"Sun, 01 Mar 2026 24:00:00 GMT", None),
        (b"Mon, 30 Feb 2026 12:00:30 GMT", None),
        (b"Sun, 01 Foo 2026 12:00:30 GMT", None),
        (b"Sun, 01 Mar 0000 12:00:30 GMT", None),
        (b"Fri, 31 Dec 9999 23:59:59 GMT", MAX_SECONDS),
        (b"Fri, 31 Dec 99999 23:59:59 GMT", None),
        (b"Sunday, 01-Mar-26 12:00:30 GMT", 30.0),
        (b"Saturday, 01-Mar-76 12:00:00 GMT", MAX_SECONDS),
        (b"Tuesday, 01-Mar-77 12:00:00 GMT", 0.0),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", 0.0),
        (b"Sun Mar  1 12:00:30 2026", 30.0),
        (b"Sun Mar 01 12:00:30 2026", 30.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: bytes, expected: float | None) -> None:
    """What isn't is ignored, and a wait is never longer than the system's timers allow."""
    assert parse_retry_after(value, wall=WALL) == expected


def test_a_two_digit_year_is_at_most_50_years_from_now() -> None:
    """Also shortly before the turn of a century (RFC 9110, section 5.6.7)."""
    wall = dt.datetime(2099, 12, 31, 23, 59, 50, tzinfo=dt.UTC).timestamp()
    assert parse_retry_after(b"Friday, 01-Jan-00 00:00:00 GMT", wall=wall) == 10.0


@pytest.mark.parametrize("wall", [float("nan"), float("inf"), float("-inf"), 1e30, -1e30])
def test_a_wall_clock_that_makes_no_sense_raises_nothing(wall: float) -> None:
    """The wait stays within its limits."""
    for value in (b"Sunday, 01-Mar-26 12:00:30 GMT", b"Sun, 01 Mar 2026 12:00:30 GMT"):
        wait = parse_retry_after(value, wall=wall)
        assert wait is None or 0 <= wait <= MAX_SECONDS


@pytest.mark.parametrize(
    ("headers", "status", "expected"),
    [
        ([], 503, None),
        ([(b"Retry-After", b"5")], 503, 5.0),
        ([(b"retry-after", b"5"), (b"RETRY-AFTER", b"3")], 503, 5.0),
        ([(b"retry-after", b"soon"), (b"retry-after", b"3")], 503, 3.0),
        ([(b"Retry-After-Ms", b"1500"), (b"Retry-After", b"7")], 429, 1.5),
        ([(b"Retry-After-Ms", b"soon"), (b"Retry-After", b"7")], 429, 7.0),
        ([(b"retry-after-ms", b"9" * 400)], 429, MAX_SECONDS),
        ([(b"X-RateLimit-Reset", b"30")], 429, 30.0),
        ([(b"X-RateLimit-Reset", b"30"), (b"Retry-After", b"7")], 429, 7.0),
        ([(b"X-RateLimit-Reset", b"30"), (b"Retry-After", b"soon")], 429, 30.0),
        ([(b"X-RateLimit-Reset", b"soon")], 429, None),
        ([(b"X-RateLimit-Reset", b"30")], 503, None),
        ([(b"X-RateLimit-Reset", b"30"), (b"X-RateLimit-Remaining", b"0")], 503, 30.0),
        ([(b"X-RateLimit-Reset", b"30"), (b"X-RateLimit-Remaining", b"41")], 429, None),
        ([(b"X-RateLimit-Reset", b"%d" % (WALL + 30))], 429, 30.0),
        ([(b"X-RateLimit-Reset", b"%d" % ((WALL + 30) * 1000))], 429, 30.0),
        ([(b"X-RateLimit-Reset", b"%d" % (WALL - 30))], 429, 0.0),
        ([(b"X-RateLimit-Reset", b"9" * 400)], 429, MAX_SECONDS),
    ],
)
def test_the_wait_is_read_from_the_first_header_that_has_one(
    headers: Headers, status: int, expected: float | None
) -> None:
    """A reset counts only if it says when the client may send again."""
    advice = read_retry_headers(headers, status=status, wall=WALL)
    assert advice == RetryAdvice(retry_after=expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"true", True), (b"False", False), (b" true ", True), (b"1", None), (b"", None)],
)
def test_a_server_may_say_whether_to_retry(value: bytes, *, expected: bool | None) -> None:
    """Anything but "true" and "false" says nothing."""
    advice = read_retry_headers([(b"X-Should-Retry", value)], status=500, wall=WALL)
    assert advice == RetryAdvice(should_retry=expected)


NAMES = st.sampled_from(
    [
        b"Retry-After",
        b"retry-after-ms",
        b"X-RateLimit-Reset",
        b"X-RateLimit-Remaining",
        b"x-should-retry",
        b"date",
    ]
)
DATE_LIKE = st.from_regex(
    rb"[A-Z][a-z]{2,9},? ?\d{0,2}[ -](Jan|Feb|Foo)[ -]\d{1,5} \d\d:\d\d:\d\d( GMT)?", fullmatch=True
)
NUMBER_LIKE = st.from_regex(rb"[-+ ]?[0-9.,e_]{0,500}", fullmatch=True)
VALUES = st.one_of(st.binary(max_size=40), NUMBER_LIKE, DATE_LIKE)
INSTANTS = st.floats(min_value=-1e12, max_value=1e12)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6), st.integers(100, 999), INSTANTS)
@example([(b"retry-after", b"Xxx, 29 Feb 2023 00:00:00 GMT")], 503, 0.0)
def test_no_header_makes_reading_fail(headers: Headers, status: int, wall: float) -> None:
    """A wait is always within its limits."""
    advice = read_retry_headers(headers, status=status, wall=wall)
    assert advice.retry_after is None or 0 <= advice.retry_after <= MAX_SECONDS
    assert advice.should_retry in {None, True, False}


@given(st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2099, 12, 31)), st.integers(0, 4 * 10**9))  # noqa: DTZ001 - hypothesis takes naive limits
def test_every_date_is_read_as_the_instant_it_names(moment: dt.datetime, wall: int) -> None:
    """As the standard library writes it."""
    instant = moment.replace(microsecond=0, tzinfo=dt.UTC)
    value = email.utils.format_datetime(instant, usegmt=True).encode()
    expected = min(max(instant.timestamp() - wall, 0.0), MAX_SECONDS)
    assert parse_retry_after(value, wall=wall) == expected
