"""How chance changes a backoff delay, so that clients don't retry at the same time.

Pure: the random number is an argument. The formulas ``full``, ``equal`` and ``decorrelated`` are
those of M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

import dataclasses
import sys
from collections.abc import Callable
from typing import Final, Literal

from typed_async_client.policies.backoff import Backoff

__all__ = ["FORMULAS", "Draw", "JitterName"]

JitterName = Literal["decorrelated", "equal", "full", "none", "proportional"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What a delay is computed from.

    Attributes:
        retry: number of the retry, >= 1.
        random: a number in [0, 1).
        previous: the delay before the last retry in seconds; None before the first.
    """

    retry: int
    random: float
    previous: float | None = None


def _none(backoff: Backoff, draw: Draw) -> float:
    """The delay itself."""
    return backoff.ceiling(draw.retry)


def _full(backoff: Backoff, draw: Draw) -> float:
    """Anything from 0 to the delay."""
    return draw.random * backoff.ceiling(draw.retry)


def _equal(backoff: Backoff, draw: Draw) -> float:
    """Between half the delay and all of it."""
    return (0.5 + draw.random / 2) * backoff.ceiling(draw.retry)


def _decorrelated(backoff: Backoff, draw: Draw) -> float:
    """Between the base delay and three times the previous delay, whatever the factor."""
    base = backoff.base_delay
    previous = base if draw.previous is None else max(draw.previous, base)
    longest = min(3 * previous, sys.float_info.max)
    return min(base + draw.random * (longest - base), backoff.max_delay)


def _proportional(backoff: Backoff, draw: Draw) -> float:
    """The delay, within 20 % in either direction."""
    return backoff.delay(draw.retry, random=draw.random)


FORMULAS: Final[dict[str, Callable[[Backoff, Draw], float]]] = {
    "decorrelated": _decorrelated,
    "equal": _equal,
    "full": _full,
    "none": _none,
    "proportional": _proportional,
}
"""The delay in seconds, by the name of its jitter; never above the backoff's ``max_delay``."""
