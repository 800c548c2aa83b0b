"""When to connect to an event stream again after its connection has ended.

Pure: the random number is an argument.
"""

import math

from typed_async_client.policies.backoff import Backoff
from typed_async_client.policies.retry import RetryPolicy
from typed_async_client.policies.retry_decision import GiveUp, GiveUpReason, RetryAfter

__all__ = ["decide_reconnect"]


def decide_reconnect(
    policy: RetryPolicy,
    *,
    failures: int,
    max_retries: int,
    backoff: Backoff,
    random: float,
    asked: float | None = None,
    remaining: float = math.inf,
) -> RetryAfter | GiveUp:
    """Decide whether to connect again, and after which delay.

    The delay is the longer one of the backoff and of what the server has asked for, which is treated
    as in a ``Retry-After`` header. The caller asks the retry budget when the wait starts.

    Args:
        policy: says how long a server may ask to wait, and how far clients are spread out then.
        failures: how many connections in a row have brought no event.
        max_retries: how many of them are allowed to be followed by another.
        backoff: the backoff of the stream.
        random: a number in [0, 1), for the jitter.
        asked: the seconds of the last ``retry`` field; None without one.
        remaining: seconds until the deadline; infinite if there is none.

    Example:
        >>> decide_reconnect(
        ...     RetryPolicy(), failures=0, max_retries=2, backoff=Backoff(1.0, 2.0, 60.0), random=0.5
        ... )
        RetryAfter(delay=1.0, source='backoff')
    """
    if failures > max_retries:
        return GiveUp(GiveUpReason.RETRIES, asked)
    cap = math.inf if policy.retry_after_cap is None else policy.retry_after_cap
    if asked is not None and asked > cap:
        return GiveUp(GiveUpReason.RETRY_AFTER, asked)
    decision = RetryAfter(backoff.delay(max(failures, 1), random=random))
    if asked is not None and asked >= decision.delay:
        spread = min(asked * policy.retry_after_spread, cap - asked)
        decision = RetryAfter(asked + random * spread, "server")
    return decision if decision.delay < remaining else GiveUp(GiveUpReason.DEADLINE, asked)
