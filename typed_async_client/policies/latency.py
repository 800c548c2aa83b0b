"""A live percentile of durations, in bounded memory.

Pure. A histogram with logarithmic buckets, in which the past counts less and less.
"""

import math
from typing import Final

__all__ = ["MAX_ERROR", "LatencyHistogram"]

_PER_DOUBLING: Final = 8
_SHORTEST: Final = 0.0001
_BUCKETS: Final = 26 * _PER_DOUBLING
_LONGEST: Final = _SHORTEST * math.pow(2, (_BUCKETS - 1) / _PER_DOUBLING)
_HALVED_AT: Final = 2000
"""Weight of the samples at which all of it is halved, so that about the last 2,000 count."""

_REFRESHED_EVERY: Final = 16
"""Samples after which the percentile is computed again; until then it is remembered."""

MAX_ERROR: Final = 2 ** (1 / _PER_DOUBLING) - 1
"""By how much a percentile may exceed the exact one, as a fraction of it: 9 %."""


class LatencyHistogram:
    """Counts durations between 0.1 ms and nearly two hours; those outside count as the nearest.

    Args:
        percentile: which percentile to compute, > 0 and < 1.
    """

    __slots__ = ("_counts", "_percentile", "_total", "_value", "_value_at", "samples")

    def __init__(self, percentile: float) -> None:
        self._percentile = percentile
        self._counts = [0.0] * _BUCKETS
        self._total = 0.0
        self._value = 0.0
        self._value_at = 0  # number of samples at which the value was computed
        self.samples: int = 0
        """How many durations were recorded."""

    def record(self, duration: float) -> None:
        """Count a duration in seconds."""
        bucket = 0
        if duration > _SHORTEST:
            doublings = math.log2(min(duration, _LONGEST) / _SHORTEST)
            bucket = min(math.ceil(doublings * _PER_DOUBLING), _BUCKETS - 1)
        self._counts[bucket] += 1
        self._total += 1
        self.samples += 1
        if self._total >= _HALVED_AT:
            self._counts = [count / 2 for count in self._counts]
            self._total /= 2

    def value(self) -> float:
        """Return the percentile of the recent durations in seconds; 0 if there are none.

        It is rounded up to the next bucket, by at most ``MAX_ERROR``, and computed from all but the
        latest 15 durations at least.
        """
        if self._value_at == 0 or self.samples - self._value_at >= _REFRESHED_EVERY:
            self._value = self._compute()
            self._value_at = self.samples
        return self._value

    def _compute(self) -> float:
        """Return the upper bound of the bucket that the percentile is in."""
        above = self._total - math.ceil(self._total * self._percentile)
        for bucket in range(_BUCKETS - 1, -1, -1):
            above -= self._counts[bucket]
            if above < 0:
                return _SHORTEST * math.pow(2, bucket / _PER_DOUBLING)
        return 0.0
