"""Whether and when a failed attempt is retried.

Pure: the engine passes in the verdict, the counters and a random number, and acts on the result.
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
    """Make no more attempts; ``exhausted`` if only the limit on retries prevents another."""

    exhausted: bool


def decide(
    verdict: Verdict, *, retry: int, max_retries: int, backoff: Backoff, random: float
) -> RetryAfter | GiveUp:
    """Decide what follows a failed attempt.

    Args:
        verdict: what the failure means.
        retry: number of the next retry, >= 1.
        max_retries: retries allowed, >= 0.
        backoff: computes the delay.
        random: a number in [0, 1) for the jitter.
    """
    if verdict is Verdict.FATAL:
        return GiveUp(exhausted=False)
    if retry > max_retries:
        return GiveUp(exhausted=True)
    return RetryAfter(backoff.delay(retry, random=random))
