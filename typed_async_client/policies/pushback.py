"""How long nothing is sent to a host that asked its clients to wait.

Pure: the time and a random number are arguments. Without it, one request learns from a 429 how long
to wait, and all the others find out for themselves, which keeps the server overloaded.
"""

import dataclasses
import math
from collections.abc import Collection
from typing import Final, get_args

from typed_async_client.policies.checks import checked_statuses, require_number, require_one_of
from typed_async_client.policies.facts import Facts
from typed_async_client.policies.gates import Rejected, RejectionReason
from typed_async_client.policies.hosts import Retention, Scope

__all__ = ["PUSHBACK_STATUSES", "Pushback", "PushbackState"]

PUSHBACK_STATUSES: Final = frozenset({429, 503})
"""Statuses whose ``Retry-After`` concerns every request to the host."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pushback:
    """Hold back all requests to a host after one was answered with ``Retry-After``.

    Requests that arrive meanwhile wait, and their waits end at different times, not all at once. A
    request that would miss its deadline fails now, and nothing is sent.

    Args:
        max_hold: longest hold in seconds, >= 0, whatever the server asks for: one resource that is
            gone for hours shouldn't make its whole host unavailable.
        spread: how long the release takes, as a fraction of the hold, >= 0.
        statuses: statuses whose ``Retry-After`` counts.
        per: ``"host"`` to hold back the requests to that host, ``"client"`` to hold back all.

    Raises:
        ValueError: a value is out of range; the message names the option and the value.

    Example:
        >>> from typed_async_client.policies.facts import Sent
        >>> throttled = Facts(fault=None, sent=Sent.ANSWERED, status=429, retry_after=10.0)
        >>> pushback = Pushback(spread=0.2).start()
        >>> pushback.report(throttled, now=100.0)
        >>> pushback.admit(now=104.0, random=0.5)
        7.0
    """

    max_hold: float = 60.0
    spread: float = 0.2
    statuses: Collection[int] = PUSHBACK_STATUSES
    per: Scope = "host"

    def __post_init__(self) -> None:
        require_number("max_hold", self.max_hold)
        require_number("spread", self.spread)
        object.__setattr__(self, "statuses", checked_statuses("statuses", self.statuses))
        require_one_of("per", self.per, get_args(Scope))

    def start(self) -> "PushbackState":
        """Return the state of a host, or of the whole client, which holds nothing back yet."""
        return PushbackState(self)


class PushbackState:
    """Until when the requests to a host are held back.

    Attributes:
        until: when the hold ends, in monotonic seconds; in the past, or minus infinity, without.
    """

    __slots__ = ("_options", "_window", "until")

    def __init__(self, options: Pushback) -> None:
        self._options = options
        self._window = 0.0
        self.until: float = -math.inf

    def admit(self, now: float, *, random: float, deadline: float = math.inf) -> "float | Rejected":
        """Return how long a request must wait before it asks again; 0 if it may be sent now.

        The waits of several requests end at different times, spread over the release.

        Args:
            now: monotonic seconds.
            random: a number in [0, 1).
            deadline: when the request must have ended, in monotonic seconds.
        """
        if now >= self.until:
            return 0.0
        if self.until >= deadline:
            return Rejected(reason=RejectionReason.DEADLINE, retry_after=self.until - now)
        window = min(self._window, (deadline - self.until) / 2)  # the request needs time as well
        return self.until - now + random * window

    def report(self, facts: Facts, now: float) -> None:
        """Hold requests back if the server asked for that.

        A hold is never cut short: a request that was answered earlier may report later.

        Args:
            facts: what is known about an attempt.
            now: monotonic seconds.
        """
        if facts.retry_after is None or facts.status not in self._options.statuses:
            return
        hold = min(facts.retry_after, self._options.max_hold)
        if now + hold > self.until:
            self.until = now + hold
            self._window = hold * self._options.spread

    def retention(self, now: float) -> Retention:
        """Return whether anything would be lost if this state were forgotten at ``now``."""
        return Retention.USEFUL if now < self.until else Retention.DISPOSABLE
