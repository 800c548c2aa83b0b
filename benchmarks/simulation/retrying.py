"""A simulated client that retries as the policies decide."""

import itertools
from collections.abc import Callable
from random import Random

from simulation.clock import Clock, Process, Wait
from typed_async_client.policies.budget import BudgetState
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.retry import GiveUp, RetryAfter, RetryPolicy

__all__ = ["Client", "answered"]

_FIRST_ERROR = 400


def answered(status: int) -> Facts:
    """Return the facts about a response to an idempotent request."""
    return Facts(fault=None, sent=Sent.ANSWERED, status=status, idempotent=True)


class Client:
    """Makes requests, and retries them.

    Args:
        clock: the virtual clock.
        random: for the jitter.
        attempt: makes an attempt.
        policy: which attempts are followed by another.
        budget: limits the retries of all requests together; None for no limit.
    """

    def __init__(
        self,
        clock: Clock,
        random: Random,
        attempt: Callable[[], Process[Facts]],
        policy: RetryPolicy,
        budget: BudgetState | None = None,
    ) -> None:
        self._clock = clock
        self._random = random
        self._attempt = attempt
        self._policy = policy
        self._budget = budget

    def request(self) -> Process[bool]:
        """Make a request; return whether it succeeded."""
        if self._budget is not None:
            self._budget.deposit(self._clock.now)
        previous: RetryAfter | None = None
        withdrawn = 0.0
        for retry in itertools.count(1):
            facts = yield from self._attempt()
            decision = self._policy.decide(
                facts, retry=retry, random=self._random.random(), previous=previous
            )
            if isinstance(decision, GiveUp):
                break
            if self._budget is not None and not self._budget.withdraw(self._clock.now):
                break
            previous, withdrawn = decision, self._clock.now
            yield Wait(decision.delay)
        is_success = facts.status is not None and facts.status < _FIRST_ERROR
        if is_success and previous is not None and self._budget is not None:
            self._budget.refund(withdrawn, now=self._clock.now)
        return is_success
