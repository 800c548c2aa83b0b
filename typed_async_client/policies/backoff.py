"""How long to wait before a retry.

Pure: the random number is an argument.
"""

import dataclasses
import math

__all__ = ["JITTER", "Backoff"]

JITTER = 0.2
"""Largest random change of a delay, as a fraction of it, in either direction."""


@dataclasses.dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with jitter.

    The delay before retry ``n`` (1 for the first) is ``base_delay * factor ** (n - 1)`` seconds,
    capped at ``max_delay``, then changed by up to 20 % in either direction, and capped again. The
    jitter keeps clients that failed at the same time from retrying at the same time (M. Brooker,
    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

    Args:
        base_delay: seconds before the first retry, >= 0.
        factor: multiplier from one retry to the next, >= 1.
        max_delay: upper bound of each delay in seconds, >= 0.

    Example:
        >>> Backoff(base_delay=1.0, factor=2.0, max_delay=60.0).delay(3, random=0.5)
        4.0
    """

    base_delay: float
    factor: float
    max_delay: float

    def delay(self, retry: int, *, random: float) -> float:
        """Return the seconds to wait before a retry.

        Args:
            retry: number of the retry; 0 is the first attempt, which never waits.
            random: a number in [0, 1); 0.5 means no jitter.
        """
        return min(self.ceiling(retry) * (1 - JITTER + 2 * JITTER * random), self.max_delay)

    def ceiling(self, retry: int) -> float:
        """Return the delay without its jitter, in seconds.

        Args:
            retry: number of the retry; 0 is the first attempt, which never waits.
        """
        if retry <= 0 or self.base_delay == 0:
            return 0.0
        return min(self.base_delay * self._growth(retry - 1), self.max_delay)

    def _growth(self, exponent: int) -> float:
        if self.factor == 1:
            return 1.0
        try:
            return float(self.factor) ** exponent
        except OverflowError:
            return math.inf
