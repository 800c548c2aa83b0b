"""The headers in which a server says whether to send a request again, and when.

Pure: raw headers and the wall time in, seconds out. A server may send anything: what can't be read
is ignored, and nothing is raised.
"""

import dataclasses
import datetime as dt
import re
from collections.abc import Iterable, Iterator
from typing import Final

__all__ = ["MAX_SECONDS", "RetryAdvice", "parse_retry_after", "read_retry_headers"]

MAX_SECONDS: Final = 1e9
"""The longest wait that is reported: 31 years. Longer ones would overflow the system's timers."""

_EPOCH_FROM: Final = 1e9
"""From this number on, a reset is an instant in seconds since 1970, not a number of seconds."""
_MILLISECONDS_FROM: Final = 1e11
"""From this number on, that instant is in milliseconds."""

_RETRY_AFTER: Final = b"retry-after"
_RETRY_AFTER_MS: Final = b"retry-after-ms"
_SHOULD_RETRY: Final = b"x-should-retry"
_RESET: Final = b"x-ratelimit-reset"
_REMAINING: Final = b"x-ratelimit-remaining"
_NAMES: Final = frozenset({_RETRY_AFTER, _RETRY_AFTER_MS, _SHOULD_RETRY, _RESET, _REMAINING})

_TOO_MANY_REQUESTS: Final = 429
_BOOLEANS: Final = {b"true": True, b"false": False}

_NUMBER: Final = re.compile(rb"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")

_MONTHS: Final = (b"jan feb mar apr may jun jul aug sep oct nov dec").split()
_MONTH: Final = rb"(?P<month>[a-z]{3})"
_TIME: Final = rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_ZONE: Final = rb"(?: (?:gmt|utc?|[+-]0000))?"
_DATES: Final = (
    re.compile(rb"[a-z]{3}, (?P<day>\d\d?) " + _MONTH + rb" (?P<year>\d{4}) " + _TIME + _ZONE),
    re.compile(rb"[a-z]{6,9}, (?P<day>\d\d)-" + _MONTH + rb"-(?P<year>\d\d) " + _TIME + _ZONE),
    re.compile(rb"[a-z]{3} " + _MONTH + rb" +(?P<day>\d\d?) " + _TIME + rb" (?P<year>\d{4})"),
)
"""The three formats of RFC 9110 section 5.6.7, in lower case; a missing zone can only be GMT."""
_LEAP_SECOND: Final = 60


@dataclasses.dataclass(frozen=True, slots=True)
class RetryAdvice:
    """What a server said about sending a request again.

    Attributes:
        retry_after: seconds to wait, between 0 and ``MAX_SECONDS``; None if it didn't say.
        should_retry: whether to send it again; None if it didn't say.
    """

    retry_after: float | None = None
    should_retry: bool | None = None


def read_retry_headers(
    headers: Iterable[tuple[bytes, bytes]], *, status: int, wall: float
) -> RetryAdvice:
    """Read what a server says about sending a request again.

    The wait is that of ``retry-after-ms`` (milliseconds), else ``Retry-After`` (RFC 9110 section
    10.2.3: seconds, fractions included, or a date), else ``X-RateLimit-Reset``. If a header is
    repeated, the longest wait counts. Servers send ``X-RateLimit-Reset`` with every response, so
    it counts only if ``X-RateLimit-Remaining`` is 0, or is missing from a 429.

    Args:
        headers: raw names, in any case, and values.
        status: the status of the response.
        wall: seconds since the epoch, for headers that contain a date.

    Example:
        >>> read_retry_headers([(b"Retry-After", b"1.5")], status=503, wall=0.0)
        RetryAdvice(retry_after=1.5, should_retry=None)
    """
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        key = name.lower()
        if key in _NAMES:
            found.setdefault(key, []).append(value.strip(b" \t"))
    if not found:
        return _NO_ADVICE
    return RetryAdvice(
        retry_after=_wait(found, status=status, wall=wall),
        should_retry=_BOOLEANS.get(found.get(_SHOULD_RETRY, [b""])[-1].lower()),
    )


_NO_ADVICE: Final = RetryAdvice()


def parse_retry_after(value: bytes, *, wall: float) -> float | None:
    """Return the seconds that the value of a ``Retry-After`` header asks for.

    Args:
        value: a number of seconds or a date; of a list of numbers, the largest counts.
        wall: seconds since the epoch.

    Returns:
        Seconds between 0 and ``MAX_SECONDS``, 0 for a date in the past; None if the value is
        malformed.
    """
    number = _number(value)
    if number is None:
        instant = _date(value.strip(b" \t").lower(), wall=wall)
        return None if instant is None else _limited(instant - wall)
    return _limited(number)


def _wait(found: dict[bytes, list[bytes]], *, status: int, wall: float) -> float | None:
    milliseconds = _longest(_number(value) for value in found.get(_RETRY_AFTER_MS, ()))
    if milliseconds is not None:
        return _limited(milliseconds / 1000)
    waits = (parse_retry_after(value, wall=wall) for value in found.get(_RETRY_AFTER, ()))
    asked = _longest(waits)
    if asked is None and _is_spent(found, status):
        return _longest(_reset(value, wall=wall) for value in found.get(_RESET, ()))
    return asked


def _longest(waits: Iterator[float | None]) -> float | None:
    return max((wait for wait in waits if wait is not None), default=None)


def _is_spent(found: dict[bytes, list[bytes]], status: int) -> bool:
    """Whether the client has used up what the server allows until the reset."""
    remaining = _longest(_number(value) for value in found.get(_REMAINING, ()))
    return status == _TOO_MANY_REQUESTS if remaining is None else remaining == 0


def _reset(value: bytes, *, wall: float) -> float | None:
    """Return the seconds until a reset, which servers give in seconds or as an instant."""
    number = _number(value)
    if number is None or number < _EPOCH_FROM:
        return number
    return _limited((number / 1000 if number >= _MILLISECONDS_FROM else number) - wall)


def _number(value: bytes) -> float | None:
    """Return a decimal number, or the largest in a list: a proxy may combine repeated headers."""
    numbers = [item.strip(b" \t") for item in value.split(b",")]
    if all(map(_NUMBER.fullmatch, numbers)):
        return max(map(float, numbers))
    return None


def _limited(seconds: float) -> float:
    return min(max(0.0, seconds), MAX_SECONDS)


def _date(value: bytes, *, wall: float) -> float | None:
    """Return the instant of a date in seconds since the epoch; None if it is malformed."""
    matched = next(filter(None, (form.fullmatch(value) for form in _DATES)), None)
    if matched is None or matched["month"] not in _MONTHS:
        return None
    year, second = int(matched["year"]), int(matched["second"])
    try:
        if len(matched["year"]) == 2:  # noqa: PLR2004 - the digits of a year
            year = _full_year(year, wall)
        moment = dt.datetime(
            year,
            _MONTHS.index(matched["month"]) + 1,
            int(matched["day"]),
            int(matched["hour"]),
            int(matched["minute"]),
            second - (second == _LEAP_SECOND),
            tzinfo=dt.UTC,
        )
        return moment.timestamp()
    except (ValueError, OverflowError):  # no such day; a clock beyond the year 9999
        return None


def _full_year(year: int, wall: float) -> int:
    """Return a year of two digits in full: at most 50 years from now, RFC 9110 section 5.6.7."""
    this_year = dt.datetime.fromtimestamp(wall, dt.UTC).year
    full = this_year - this_year % 100 + 100 + year
    while full > this_year + 50:
        full -= 100
    return full
