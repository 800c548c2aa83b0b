"""How long to wait before a retry.

Pure: the random number comes in as an argument, the delay goes out.
"""

import dataclasses
import math

__all__ = ["JITTER", "Backoff"]

JITTER = 0.2
"""Share of a delay that is left to chance, on both sides."""


@dataclasses.dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with jitter.

    The delay before retry ``n`` (1 for the first) is ``base_delay * factor ** (n - 1)`` seconds,
    at most ``max_delay``, moved by up to 20 % either way, and again at most ``max_delay``. The
    random part keeps clients that failed together from coming back together (M. Brooker,
    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

    Args:
        base_delay: seconds before the first retry, >= 0.
        factor: growth from one retry to the next, >= 1.
        max_delay: seconds that no delay exceeds, >= 0.

    Example:
        >>> Backoff(base_delay=1.0, factor=2.0, max_delay=60.0).delay(3, random=0.5)
        4.0
    """

    base_delay: float
    factor: float
    max_delay: float

    def delay(self, retry: int, *, random: float) -> float:
        """Give the seconds to wait before ``retry``.

        Args:
            retry: number of the retry; 0 is the first attempt, which never waits.
            random: a number in [0, 1); 0.5 gives the delay without its random part.
        """
        if retry <= 0 or self.base_delay == 0:
            return 0.0
        grown = min(self.base_delay * self._growth(retry - 1), self.max_delay)
        return min(grown * (1 - JITTER + 2 * JITTER * random), self.max_delay)

    def _growth(self, exponent: int) -> float:
        if self.factor == 1:
            return 1.0
        try:
            return float(self.factor) ** exponent
        except OverflowError:
            return math.inf
