"""When an attempt must have ended, and what that leaves for each of its phases.

Pure: the time is an argument. A deadline is an instant in monotonic seconds, infinite for none, so it
needs no adjustment when a request waits, is retried, or is passed on.
"""

import math
from collections.abc import Mapping
from typing import Final

__all__ = ["attempt_end", "deadline_option", "shrunk"]

_MOMENT: Final = 1e-6
"""Seconds that a request gets if no time is left: it fails with an error that says so."""


def attempt_end(timeout: float | None, *, now: float, deadline: float) -> float:
    """Return when an attempt that starts now must have ended, never later than its request.

    Args:
        timeout: seconds that an attempt may take; None for no limit but the deadline.
        now: monotonic seconds.
        deadline: when the request must have ended, in monotonic seconds.

    Example:
        >>> attempt_end(10.0, now=120.0, deadline=125.0)
        125.0
    """
    return deadline if timeout is None else min(now + timeout, deadline)


def deadline_option(remaining: float) -> float | None:
    """Return the ``deadline`` of one of several requests that share a deadline.

    Args:
        remaining: seconds until that, infinite for none; not above 0 if it has passed.

    Returns:
        Seconds > 0; None for no deadline.
    """
    return None if remaining == math.inf else max(remaining, _MOMENT)


def shrunk(
    timeouts: Mapping[str, float | None], *, now: float, until: float
) -> dict[str, float | None]:
    """Return the timeouts of an attempt, none of them longer than what is left for it.

    Each phase may use up all of it, so this doesn't replace the deadline: it makes the error of a
    phase come from the phase.

    Args:
        timeouts: seconds by phase (``connect``, ``read``, ``write``, ``pool``), as in httpx's
            ``timeout`` extension; None for no limit.
        now: monotonic seconds.
        until: when the attempt must have ended, in monotonic seconds.
    """
    if until == math.inf:
        return dict(timeouts)
    left = max(0.0, until - now)
    return {
        phase: left if timeout is None else min(timeout, left)
        for phase, timeout in timeouts.items()
    }
