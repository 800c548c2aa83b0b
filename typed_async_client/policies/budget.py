"""How many extra requests a client may send: retries, hedged copies and resumed streams.

Pure: the time is an argument. A limit on the retries of each request doesn't protect a server that
is down, because every request then sends its maximum. The budget limits the extra requests to a
share of the recent requests (Finagle's ``RetryBudget``; "Handling Overload" in Google's SRE book).
"""

import dataclasses
from typing import Final, get_args

from typed_async_client.policies.checks import require_number, require_one_of
from typed_async_client.policies.hosts import Retention, Scope

__all__ = ["BudgetState", "RetryBudget"]

_SLICES: Final = 10
"""Parts of the window, which are forgotten one at a time."""

_ROUNDING: Final = 1e-9
"""What rounding may take from five deposits of 0.2."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudget:
    """Limits retries, hedged copies and resumed streams together.

    What was saved up can't be spent at once, because the burst alone could overload a server that
    has just recovered. In each tenth of ``ttl``, extra requests are limited to ``ratio`` times the
    requests of its busiest tenth, or to one; what exceeds that is limited to
    ``min_per_second * ttl`` in all.

    Args:
        ratio: extra requests allowed per request of the last ``ttl`` seconds, >= 0 and <= 10.
        min_per_second: extra requests allowed besides, per second, averaged over ``ttl``, >= 0;
            without them, a client that sends few requests could hardly ever retry.
        ttl: seconds after which a request no longer counts, >= 1 and <= 3600.
        per: ``"host"`` for one budget for each host, so that one that is down doesn't use up the
            retries of the others; ``"client"`` for one in all.

    Raises:
        ValueError: a value is out of range; the message names the option and the value.

    Example:
        >>> budget = RetryBudget(ratio=0.2, min_per_second=0.1, ttl=10.0).start()
        >>> budget.withdraw(now=0.0), budget.withdraw(now=0.0)
        (True, False)
    """

    ratio: float = 0.2
    min_per_second: float = 1.0
    ttl: float = 10.0
    per: Scope = "host"

    def __post_init__(self) -> None:
        require_number("ratio", self.ratio, at_most=10)
        require_number("min_per_second", self.min_per_second)
        require_number("ttl", self.ttl, at_least=1, at_most=3600)
        require_one_of("per", self.per, get_args(Scope))

    def start(self) -> "BudgetState":
        """Create a full budget, to be shared by all that must stay within it together."""
        return BudgetState(self)


class BudgetState:
    """What is left of a budget.

    It starts at ``min_per_second * ttl``. A request deposits ``ratio``, an extra request withdraws
    1, and each is forgotten between 0.9 and 1 times ``ttl`` later.
    """

    __slots__ = (
        "_deposits",
        "_newest",
        "_ratio",
        "_reserve",
        "_slice",
        "_total_deposits",
        "_total_withdrawals",
        "_withdrawals",
    )

    def __init__(self, options: RetryBudget) -> None:
        self._ratio = options.ratio
        self._reserve = options.min_per_second * options.ttl
        self._slice = options.ttl / _SLICES
        self._newest = 0  # number of the current slice since the clock's zero
        self._deposits = [0] * _SLICES
        self._withdrawals = [0] * _SLICES
        self._total_deposits = 0
        self._total_withdrawals = 0

    def deposit(self, now: float) -> None:
        """Count a request; its retries aren't counted again.

        Args:
            now: monotonic seconds.
        """
        self._deposits[self._advance(now)] += 1
        self._total_deposits += 1

    def withdraw(self, now: float) -> bool:
        """Take 1 for an extra request; return False if there isn't enough left.

        To be called before the wait that precedes the request: if it were called after, all of the
        requests that wait at the moment would be missing from the balance.

        Args:
            now: monotonic seconds.
        """
        position = self._advance(now)
        is_burst = self._burst(position) > self._reserve + _ROUNDING
        if is_burst or self._balance() < 1 - _ROUNDING:
            return False
        self._withdrawals[position] += 1
        self._total_withdrawals += 1
        return True

    def refund(self, withdrawn: float, *, now: float) -> None:
        """Give back what an extra request took, because it succeeded or was never sent.

        Args:
            withdrawn: the ``now`` of its withdrawal.
            now: monotonic seconds.
        """
        self._advance(now)
        number = int(withdrawn // self._slice)
        position = number % _SLICES
        if number > self._newest - _SLICES and self._withdrawals[position] > 0:
            self._withdrawals[position] -= 1
            self._total_withdrawals -= 1

    def balance(self, now: float) -> float:
        """Return how many extra requests could be sent from ``now`` on, if not at once.

        It is negative while withdrawals count whose deposits have been forgotten.
        """
        self._advance(now)
        return self._balance()

    def retention(self, now: float) -> Retention:
        """Return whether anything would be lost if this state were forgotten at ``now``."""
        self._advance(now)
        is_full = self._total_withdrawals == 0
        return Retention.DISPOSABLE if is_full else Retention.USEFUL

    def _balance(self) -> float:
        return self._reserve + self._ratio * self._total_deposits - self._total_withdrawals

    def _burst(self, position: int) -> float:
        """Return how many withdrawals, one more included, are above the pace of the requests."""
        pace = max(1.0, self._ratio * max(self._deposits))
        withdrawals = self._withdrawals.copy()
        withdrawals[position] += 1
        return sum([each - pace for each in withdrawals if each > pace])

    def _advance(self, now: float) -> int:
        """Forget what is older than the window; return the position of the current slice."""
        number = int(now // self._slice)
        passed = number - self._newest
        if passed > 0:
            for each in range(max(self._newest + 1, number - _SLICES + 1), number + 1):
                self._forget(each % _SLICES)
            self._newest = number
        return self._newest % _SLICES

    def _forget(self, position: int) -> None:
        self._total_deposits -= self._deposits[position]
        self._total_withdrawals -= self._withdrawals[position]
        self._deposits[position] = self._withdrawals[position] = 0
