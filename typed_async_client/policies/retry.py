"""Whether and when a request is sent again after an attempt.

Pure: the engine passes in the facts, the counters and a random number, and acts on the result.
"""

import dataclasses
import math
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, Self

from typed_async_client.policies.backoff import Backoff
from typed_async_client.policies.checks import (
    checked_exceptions,
    checked_members,
    checked_statuses,
    require_bool,
    require_count,
    require_number,
    require_one_of,
    wrong_option,
)
from typed_async_client.policies.classify import Fault
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.jitter import FORMULAS, Draw, JitterName
from typed_async_client.policies.retry_decision import (
    DelaySource,
    GiveUp,
    GiveUpReason,
    RetryAfter,
)

__all__ = [
    "RETRYABLE_FAULTS",
    "RETRYABLE_STATUSES",
    "DelayFunction",
    "DelaySource",
    "GiveUp",
    "GiveUpReason",
    "ResponsePredicate",
    "RetryAfter",
    "RetryPolicy",
]

RETRYABLE_STATUSES: Final = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses of failures that pass: timeouts, overload, throttling, a bad gateway."""

RETRYABLE_FAULTS: Final = frozenset({Fault.CONNECT, Fault.CONNECT_LATER, Fault.TIMEOUT, Fault.LOST})
"""Faults that pass. A bad certificate or an unknown host don't, nor do errors of the caller's code."""

DelayFunction = Callable[[Facts, int], float]
"""Takes what happened and the number of the retry, 1 for the first; returns seconds."""

ResponsePredicate = Callable[[Any], bool | Awaitable[bool | None] | None]
"""Takes a response; returns whether to retry, or None to leave that to the other options."""

_ANSWERED: Final = Sent.ANSWERED  # for every response: looking a member up takes time
_ERRORS_FROM: Final = 400

_GIVE_UPS: Final = {reason: GiveUp(reason) for reason in GiveUpReason}
"""Decisions without a wait; nearly every request ends with the same one."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Which requests are sent again, how often, and after which delay.

    A request that the server may have processed is sent again only if it is idempotent: by its
    method, by its idempotency key, or because the caller said so. One that never left the client,
    or that the server refused to process, may always be, so a POST is sent again after a refused
    connection, a connect timeout or a 429, but not after a 503 or a read timeout.

    Args:
        max_retries: retries after the first attempt, >= 0; 2 retries are 3 attempts.
        base_delay: seconds before the first retry, before jitter, >= 0.
        backoff_factor: multiplier of the delay from one retry to the next, >= 1.
        max_delay: upper bound of each delay in seconds, >= 0, unless the server asks for more.
        jitter: the random part of a delay: ``"full"``, ``"equal"``, ``"decorrelated"``,
            ``"proportional"`` (20 % in either direction) or ``"none"``. Or a function that takes
            the facts and the number of the retry, and returns the delay in seconds.
        statuses: statuses of responses that are retried.
        faults: what may go wrong and is retried.
        on: classes of further exceptions that are retried.
        when: takes each response and says whether it is worth a retry; it may be async, except for
            synchronous clients. If it returns None, the other options decide. It can't make a retry
            safe: see ``assume_idempotent``. In a transport, the body hasn't been read yet.
        assume_idempotent: whether every request may be sent twice, whatever its method.
        retry_unprocessed: whether a request is sent again because the server said that it hasn't
            processed it: by closing an HTTP/2 connection, or refusing a stream.
        obey_should_retry: whether an ``x-should-retry`` header of a failure decides whether it is
            worth a retry.
        retry_after_cap: longest wait in seconds that a server may ask for, >= 0; if it asks for
            more, the request fails now instead. None for no limit.
        retry_after_spread: how much longer than asked the wait may get, as a fraction of it, so
            that clients that were sent away together don't return together; >= 0.

    Raises:
        ValueError: a value is out of range; the message names the option and the value.

    Example:
        >>> policy = RetryPolicy(jitter="none", base_delay=0.5)
        >>> refused = Facts(fault=Fault.CONNECT, sent=Sent.NOTHING)
        >>> policy.decide(refused, retry=2, random=0.5)
        RetryAfter(delay=1.0, source='backoff')
    """

    max_retries: int = 2
    base_delay: float = 0.25
    backoff_factor: float = 2.0
    max_delay: float = 8.0
    jitter: JitterName | DelayFunction = "full"
    statuses: Collection[int] = RETRYABLE_STATUSES
    faults: Collection[Fault] = RETRYABLE_FAULTS
    on: type[Exception] | tuple[type[Exception], ...] = ()
    when: ResponsePredicate | None = None
    assume_idempotent: bool = False
    retry_unprocessed: bool = True
    obey_should_retry: bool = True
    retry_after_cap: float | None = 60.0
    retry_after_spread: float = 0.2

    def __post_init__(self) -> None:
        require_count("max_retries", self.max_retries)
        require_number("base_delay", self.base_delay)
        require_number("backoff_factor", self.backoff_factor, at_least=1)
        require_number("max_delay", self.max_delay)
        require_number("retry_after_spread", self.retry_after_spread)
        if self.retry_after_cap is not None:
            require_number("retry_after_cap", self.retry_after_cap)
        for name in ("assume_idempotent", "retry_unprocessed", "obey_should_retry"):
            require_bool(name, getattr(self, name))
        if not callable(self.jitter):
            require_one_of("jitter", self.jitter, (*FORMULAS, "a function"))
        if self.when is not None and not callable(self.when):
            raise wrong_option("when", "a function or None", self.when)
        object.__setattr__(self, "statuses", checked_statuses("statuses", self.statuses))
        object.__setattr__(self, "faults", checked_members("faults", self.faults, Fault))
        object.__setattr__(self, "on", checked_exceptions("on", self.on))

    @classmethod
    def connect_only(cls) -> Self:
        """Return the policy that retries only failures to connect, as without any policy."""
        return cls(
            base_delay=1.0,
            max_delay=60.0,
            jitter="proportional",
            statuses=(),
            faults=(Fault.CONNECT, Fault.CONNECT_LATER),
            retry_unprocessed=False,
            obey_should_retry=False,
        )

    @property
    def backoff(self) -> Backoff:
        """The backoff that the delays define."""
        return Backoff(self.base_delay, self.backoff_factor, self.max_delay)

    def is_content_with(self, facts: Facts) -> bool:
        """Whether a response is so plainly final that there is nothing to decide."""
        return (
            facts.fault is None
            and self.when is None
            and facts.should_retry is None
            and facts.sent is _ANSWERED
            and facts.status not in self.statuses
        )

    def wants(self, facts: Facts) -> bool:
        """Whether another attempt may end differently, as far as the caller or the options say."""
        return self._is_transient(facts) if facts.wanted is None else facts.wanted

    def matches(self, error: BaseException) -> bool:
        """Whether an error is of a class in ``on``, for ``Facts.matches``."""
        return isinstance(error, self.on)

    def decide(
        self,
        facts: Facts,
        *,
        retry: int,
        random: float,
        remaining: float = math.inf,
        previous: RetryAfter | None = None,
        max_retries: int | None = None,
        backoff: Backoff | None = None,
    ) -> RetryAfter | GiveUp:
        """Decide what follows an attempt, also one that succeeded.

        Args:
            facts: what is known about the attempt.
            retry: number of the next retry, >= 1.
            random: a number in [0, 1) for the jitter.
            remaining: seconds until the deadline; infinite if there is none.
            previous: the decision that led to this attempt; None for the first.
            max_retries: retries allowed for this request; None for the policy's own limit.
            backoff: the backoff of this request; None for the policy's own.

        Returns:
            ``RetryAfter``, or ``GiveUp`` if the outcome is that of the request. The caller asks the
            retry budget when the wait starts.

        Raises:
            ValueError: the caller's delay function returned no number of seconds.
        """
        reason = GiveUpReason.DEADLINE if _is_at_deadline(facts, remaining) else None
        reason = reason or self._refusal(facts)
        if reason is None and retry > (self.max_retries if max_retries is None else max_retries):
            reason = GiveUpReason.RETRIES
        if reason is not None:
            return (
                _GIVE_UPS[reason]
                if facts.retry_after is None
                else GiveUp(reason, facts.retry_after)
            )
        if facts.retry_after is not None:
            return self._as_asked(facts.retry_after, remaining, random)
        waited = None if previous is None or previous.source == "server" else previous.delay
        draw = Draw(retry=retry, random=random, previous=waited)
        decision = self._own_delay(facts, draw, backoff or self.backoff)
        return decision if decision.delay < remaining else GiveUp(GiveUpReason.DEADLINE)

    def _refusal(self, facts: Facts) -> GiveUpReason | None:
        """Return why the request mustn't be sent again; None if it may be."""
        if not self.wants(facts):
            return GiveUpReason.FINAL
        if not facts.replayable:
            return GiveUpReason.NOT_REPLAYABLE
        is_safe = facts.idempotent or self.assume_idempotent or not facts.may_have_been_processed
        return None if is_safe else GiveUpReason.UNSAFE

    def _is_transient(self, facts: Facts) -> bool:
        """Whether another attempt may end differently."""
        if facts.matches:
            return True
        is_failure = facts.status is not None and facts.status >= _ERRORS_FROM
        if self.obey_should_retry and facts.should_retry is not None and is_failure:
            return facts.should_retry
        if self.retry_unprocessed and facts.sent is Sent.UNPROCESSED:
            return True
        return facts.status in self.statuses if facts.fault is None else facts.fault in self.faults

    def _as_asked(self, asked: float, remaining: float, random: float) -> RetryAfter | GiveUp:
        """Wait as long as the server asked, or a little longer; give up if that is too long."""
        cap = math.inf if self.retry_after_cap is None else self.retry_after_cap
        if asked > cap:
            return GiveUp(GiveUpReason.RETRY_AFTER, asked)
        if asked >= remaining:
            return GiveUp(GiveUpReason.DEADLINE, asked)
        room = min(cap - asked, (remaining - asked) / 2)  # the attempt needs time as well
        return RetryAfter(asked + random * min(asked * self.retry_after_spread, room), "server")

    def _own_delay(self, facts: Facts, draw: Draw, backoff: Backoff) -> RetryAfter:
        if isinstance(self.jitter, str):
            return RetryAfter(FORMULAS[self.jitter](backoff, draw))
        delay = self.jitter(facts, draw.retry)
        if not isinstance(delay, int | float) or not delay >= 0:  # also refuses NaN
            raise wrong_option("the result of the delay function", "seconds >= 0", delay)
        return RetryAfter(min(delay, backoff.max_delay), "custom")


def _is_at_deadline(facts: Facts, remaining: float) -> bool:
    """Whether the client itself has ended the attempt, because no time was left."""
    return remaining <= 0 and facts.local and facts.fault is Fault.TIMEOUT
