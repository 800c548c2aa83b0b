"""What follows an attempt: another one, after a delay, or none, and why."""

import dataclasses
import enum
from typing import Literal

__all__ = ["DelaySource", "GiveUp", "GiveUpReason", "RetryAfter"]

DelaySource = Literal["backoff", "server", "custom"]
"""What determined a delay: the backoff, the server's own words, or the caller's function."""


@dataclasses.dataclass(frozen=True, slots=True)
class RetryAfter:
    """Make one more attempt after ``delay`` seconds."""

    delay: float
    source: DelaySource = "backoff"


class GiveUpReason(enum.StrEnum):
    """Why no other attempt follows."""

    FINAL = enum.auto()  #: the outcome won't change: a success, or a failure that would recur
    UNSAFE = enum.auto()  #: the server may have processed the request, which isn't idempotent
    NOT_REPLAYABLE = enum.auto()  #: the body was read, and can be read only once
    RETRIES = enum.auto()  #: every retry that is allowed was made
    RETRY_AFTER = enum.auto()  #: the server asked for a longer wait than is allowed
    DEADLINE = enum.auto()  #: the wait would pass the deadline
    BUDGET = enum.auto()  #: too many recent requests were retries


@dataclasses.dataclass(frozen=True, slots=True)
class GiveUp:
    """Make no more attempts: the last outcome is that of the request.

    Attributes:
        reason: why.
        retry_after: seconds for which the server asked to wait; None if it didn't.
    """

    reason: GiveUpReason
    retry_after: float | None = None

    @property
    def is_counted(self) -> bool:
        """Whether the attempt could have been followed by another, but for a limit."""
        return self.reason in _LIMITS

    @property
    def exhausted(self) -> bool:
        """Whether only the limit on retries prevents another attempt."""
        return self.reason is GiveUpReason.RETRIES


_LIMITS = frozenset(
    {
        GiveUpReason.RETRIES,
        GiveUpReason.RETRY_AFTER,
        GiveUpReason.DEADLINE,
        GiveUpReason.BUDGET,
    }
)
