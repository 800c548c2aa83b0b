"""When a request must have ended, and what that leaves for its waits and attempts.

Pure: the time is an argument. A deadline is an instant, so it needs no adjustment when a request
waits, is retried, or is passed on.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Final, Self

from typed_async_client.policies.checks import require_number

__all__ = ["NO_DEADLINE", "Deadline"]


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """The instant at which a request must have ended.

    Attributes:
        at: monotonic seconds; infinite for no deadline.

    Example:
        >>> deadline = Deadline.after(30.0, now=100.0)
        >>> deadline.remaining(now=128.0), deadline.allows(2.0, now=128.0)
        (2.0, False)
    """

    at: float

    @classmethod
    def after(cls, seconds: float | None, *, now: float) -> Self:
        """Return the deadline that is a number of seconds from now.

        Args:
            seconds: > 0; None for no deadline.
            now: monotonic seconds.

        Raises:
            ValueError: ``seconds`` isn't a finite number > 0.
        """
        if seconds is None:
            return cls(math.inf)
        require_number("deadline", seconds, above=0)
        return cls(now + seconds)

    def remaining(self, now: float) -> float:
        """Return the seconds that are left: 0 if it has passed, infinite without a deadline."""
        return max(0.0, self.at - now)

    def has_passed(self, now: float) -> bool:
        """Whether no time is left."""
        return now >= self.at

    def allows(self, wait: float, *, now: float) -> bool:
        """Whether time is left after a wait; a wait for which there isn't must fail now.

        Args:
            wait: seconds >= 0.
            now: monotonic seconds.
        """
        return now + wait < self.at

    def for_attempt(self, timeout: float | None, *, now: float) -> Self:
        """Return when an attempt that starts now must have ended, which is never later than this.

        Args:
            timeout: seconds that an attempt may take; None for no limit but the deadline.
            now: monotonic seconds.
        """
        if timeout is None or now + timeout >= self.at:
            return self
        return type(self)(now + timeout)

    def shrink(
        self, timeouts: Mapping[str, float | None], *, now: float
    ) -> dict[str, float | None]:
        """Return the timeouts of an attempt, none of them longer than what is left.

        Each phase may use up all of it, so this doesn't replace the deadline: it makes the error of
        a phase come from the phase.

        Args:
            timeouts: seconds by phase (``connect``, ``read``, ``write``, ``pool``), as in httpx's
                ``timeout`` extension; None for no limit.
            now: monotonic seconds.
        """
        if self.at == math.inf:
            return dict(timeouts)
        left = self.remaining(now)
        return {
            phase: left if timeout is None else min(timeout, left)
            for phase, timeout in timeouts.items()
        }


NO_DEADLINE: Final = Deadline(math.inf)
"""The deadline of a request that may take any time."""
