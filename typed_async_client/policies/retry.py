"""Whether a failed attempt is followed by another, and when.

Pure: the engine passes the verdict, the counters and a random number, and performs the answer.
"""

import dataclasses

from typed_async_client.policies.backoff import Backoff
from typed_async_client.policies.classify import Verdict

__all__ = ["GiveUp", "RetryAfter", "decide"]


@dataclasses.dataclass(frozen=True, slots=True)
class RetryAfter:
    """Make one more attempt after ``delay`` seconds."""

    delay: float


@dataclasses.dataclass(frozen=True, slots=True)
class GiveUp:
    """Make no more attempts; ``exhausted`` when only the number of retries forbids one."""

    exhausted: bool


def decide(
    verdict: Verdict, *, retry: int, max_retries: int, backoff: Backoff, random: float
) -> RetryAfter | GiveUp:
    """Say what follows a failed attempt.

    Args:
        verdict: what the failure means.
        retry: number that the next retry would have, >= 1.
        max_retries: retries allowed, >= 0.
        backoff: gives the delay.
        random: a number in [0, 1) for the jitter.
    """
    if verdict is Verdict.FATAL:
        return GiveUp(exhausted=False)
    if retry > max_retries:
        return GiveUp(exhausted=True)
    return RetryAfter(backoff.delay(retry, random=random))
