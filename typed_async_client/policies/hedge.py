"""When a slow request is sent once more, beside the attempt that is still running.

Pure: the time is an argument. The idea is J. Dean and L. A. Barroso's, "The Tail at Scale", CACM 2013;
the delay by percentile and the budget are Finagle's.
"""

import dataclasses
import math
import re
from typing import Final

from typed_async_client.policies.checks import require_count, require_number, wrong_option
from typed_async_client.policies.hosts import Retention
from typed_async_client.policies.latency import LatencyHistogram

__all__ = ["TIME_TO_END", "Hedge", "HedgePlan", "HedgeState", "is_cheap_to_read"]

TIME_TO_END: Final = 1.0
"""Seconds that an attempt which was overtaken may still take, to save its connection."""

_MOST_READ: Final = 64 * 1024
"""Bytes of its answer that are worth reading for that."""

_PERCENTILE: Final = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,6})?)", re.ASCII)

_MINIMUM_SAMPLES: Final = 20
_MINIMUM_DELAY: Final = 0.001
"""Seconds; below that, a copy can't be faster than the attempt that it follows."""

_TOKENS: Final = 1_000_000
"""What a copy costs, so that shares of it are integers."""

_MAX_COPIES_SAVED: Final = 10
"""How many copies a quiet time, or the start, allows at once."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hedge:
    """Send a copy of a request that takes longer than most, and use the answer that comes first.

    Only a request that may be sent twice is: it is idempotent, and its body can be sent again.

    Args:
        after: seconds from when an attempt was sent until a copy is, > 0. Or a percentile of the
            recent response times of the host, such as ``"p95"`` or ``"p99.9"``, at least a
            millisecond; until enough of them are known, 20 at least, no copy is sent.
        max_copies: copies beside the first attempt, >= 1, each sent so much later than the last.
        budget: how many copies may be sent per request on average, > 0 and <= 1; unused ones are
            saved up to 10, which is also what a client starts with. None for no limit.

    Raises:
        ValueError: a value is out of range; the message names it.

    Example:
        >>> plan = Hedge(after=0.5).start().plan(idempotent=True, replayable=True)
        >>> plan.next_copy(last_sent=10.0, copies=0)
        10.5
    """

    after: float | str = "p95"
    max_copies: int = 1
    budget: float | None = 0.1

    def __post_init__(self) -> None:
        if isinstance(self.after, int | float):
            require_number("after", self.after, above=0)
        else:
            self._check_percentile(self.after)
        require_count("max_copies", self.max_copies, at_least=1)
        if self.budget is not None:
            require_number("budget", self.budget, above=0, at_most=1)

    @property
    def percentile(self) -> float | None:
        """The percentile as a number between 0 and 1; None if the delay is fixed."""
        return float(self.after[1:]) / 100 if isinstance(self.after, str) else None

    def start(self) -> "HedgeState":
        """Return the state of a host, which knows no response times yet."""
        return HedgeState(self)

    @staticmethod
    def _check_percentile(after: object) -> None:
        found = _PERCENTILE.fullmatch(after) if isinstance(after, str) else None
        if found is None or float(found[1]) == 0:
            expected = 'a number of seconds, or a percentile between "p0" and "p100" such as "p95"'
            raise wrong_option("after", expected, after)


@dataclasses.dataclass(frozen=True, slots=True)
class HedgePlan:
    """When the copies of one request are due.

    Attributes:
        delay: seconds from one of its attempts to the next.
        max_copies: copies beside the first attempt.
    """

    delay: float
    max_copies: int

    def next_copy(self, *, last_sent: float, copies: int) -> float | None:
        """Return when the next copy is due, in monotonic seconds; None if no more may be sent.

        The caller waits until then for an answer, and asks ``HedgeState.spend()`` before it sends.

        Args:
            last_sent: when the latest attempt or copy was sent, in monotonic seconds.
            copies: how many copies were sent beside the first attempt.
        """
        return last_sent + self.delay if copies < self.max_copies else None


class HedgeState:
    """The response times of a host, and how many copies it may be sent.

    Args:
        options: what to obey.
    """

    __slots__ = ("_deposit", "_histogram", "_minimum", "_options", "_tokens")

    def __init__(self, options: Hedge) -> None:
        percentile = options.percentile
        self._options = options
        self._histogram = None if percentile is None else LatencyHistogram(percentile)
        # Below that number of samples the percentile would be the longest of them.
        rare = 1 if percentile is None else math.ceil(1 / (1 - percentile))
        self._minimum = max(_MINIMUM_SAMPLES, rare)
        self._deposit = None if options.budget is None else math.floor(options.budget * _TOKENS)
        self._tokens = _MAX_COPIES_SAVED * _TOKENS

    def plan(self, *, idempotent: bool, replayable: bool) -> HedgePlan | None:
        """Plan the copies of a new request; None if it must not, or can't yet, have any.

        Args:
            idempotent: whether it may be sent twice, by its method, its key, or the caller's word.
            replayable: whether its body can be sent more than once.
        """
        if not (idempotent and replayable):
            return None
        if self._deposit is not None:
            saved = self._tokens + self._deposit
            self._tokens = min(saved, _MAX_COPIES_SAVED * _TOKENS)
        delay = self.delay()
        return None if delay is None else HedgePlan(delay, self._options.max_copies)

    def delay(self) -> float | None:
        """Return the seconds after which a copy is sent at present; None if unknown."""
        if self._histogram is None:
            return float(self._options.after)
        if self._histogram.samples < self._minimum:
            return None
        return max(self._histogram.value(), _MINIMUM_DELAY)

    def spend(self) -> bool:
        """Take a copy from the budget; return whether it may be sent."""
        if self._deposit is None:
            return True
        if self._tokens < _TOKENS:
            return False
        self._tokens -= _TOKENS
        return True

    def record(self, duration: float) -> None:
        """Learn how long an attempt took until its response began, in seconds.

        Record successes, attempts that timed out, and those that were cancelled because a copy was
        faster, with the time that they had taken: leaving the slow ones out would shorten the delay
        more and more. Don't record failures that came fast.
        """
        if self._histogram is not None:
            self._histogram.record(duration)

    def retention(self, now: float) -> Retention:  # noqa: ARG002 - other states need the time
        """Return how much would be lost if the state were forgotten."""
        has_learnt = self._histogram is not None and self._histogram.samples > 0
        return Retention.USEFUL if has_learnt else Retention.DISPOSABLE


def is_cheap_to_read(size: int | None) -> bool:
    """Whether reading the answer to an attempt that was overtaken costs less than a new connection.

    An attempt that is cancelled loses its connection.

    Args:
        size: bytes in the answer that came first; None if unknown: at most so many are read then.
    """
    return size is None or size <= _MOST_READ
