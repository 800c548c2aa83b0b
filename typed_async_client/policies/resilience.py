"""Which policies a client applies to its requests, as one value."""

import dataclasses
import re
from typing import Final, Self

from typed_async_client.policies.adaptive import AdaptiveLimit
from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.bulkhead import Bulkhead
from typed_async_client.policies.checks import require_bool, require_number, wrong_option
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.hedge import Hedge
from typed_async_client.policies.pushback import Pushback
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.policies.retry import RetryPolicy

__all__ = ["Resilience"]

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110 section 5.6.2."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resilience:
    """The policies of a client, in the order in which they apply, outermost first.

    Deadline, retries within their budget, hedging, pushback, rate limit, circuit, bulkhead, adaptive
    limit, and the timeout of the attempt. Each one is off if it is None.

    Args:
        deadline: seconds that a request may take in all: its waits, its attempts and the body of
            its response; > 0.
        rate_limit: limits how many attempts begin per second.
        pushback: holds back all requests to a host that asked its clients to wait; True stands for
            ``Pushback()``.
        retry: decides which attempts are followed by another.
        budget: limits retries, hedged copies and resumed streams to a share of the requests.
        hedge: sends a copy of a request that is slow to be answered.
        circuit: refuses requests to a host while most of them fail.
        bulkhead: limits how many attempts run at the same time.
        adaptive: the same, with a limit that follows what the server can take.
        attempt_timeout: seconds that one attempt may take, > 0.
        automatic_key: whether a request that isn't idempotent gets an ``Idempotency-Key`` header,
            the same in all its attempts, and so may be sent again; for servers that know it.
        attempt_header: name of a header with the number of the attempt, such as
            ``"X-Attempt"``; None for none.
        deadline_header: name of a header with the seconds left until the deadline; None for none.

    Raises:
        ValueError: an option isn't of its type; the message names it and its value.

    Example:
        >>> import dataclasses
        >>> slow = dataclasses.replace(Resilience.standard(), deadline=300.0, attempt_timeout=None)
        >>> slow.retry == Resilience.standard().retry
        True
    """

    deadline: float | None = None
    rate_limit: RateLimit | None = None
    pushback: Pushback | bool | None = None
    retry: RetryPolicy | None = None
    budget: RetryBudget | None = None
    hedge: Hedge | None = None
    circuit: CircuitBreaker | None = None
    bulkhead: Bulkhead | None = None
    adaptive: AdaptiveLimit | None = None
    attempt_timeout: float | None = None
    automatic_key: bool = False
    attempt_header: str | None = None
    deadline_header: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.pushback, bool):
            object.__setattr__(self, "pushback", Pushback() if self.pushback else None)
        require_bool("automatic_key", self.automatic_key)
        for name in ("attempt_header", "deadline_header"):
            header = getattr(self, name)
            if header is not None and not (isinstance(header, str) and _TOKEN.fullmatch(header)):
                raise wrong_option(name, "the name of a header, or None", header)
        for name in ("deadline", "attempt_timeout"):
            if getattr(self, name) is not None:
                require_number(name, getattr(self, name), above=0)
        for name, kind in _KINDS.items():
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                article = "an" if kind is AdaptiveLimit else "a"
                expected = f"None or {article} {kind.__name__}, such as {kind.__name__}(...)"
                raise wrong_option(name, expected, value)

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing but retries."""
        return self == Resilience(retry=self.retry)

    @classmethod
    def connect_only(cls) -> Self:
        """Return the policies of a client that was given none: it retries failures to connect."""
        return cls(retry=RetryPolicy.connect_only())

    @classmethod
    def standard(cls) -> Self:
        """Return the policies that suit a service which calls others.

        A request may take 30 seconds, and each of its at most three attempts 10. Retries follow
        what failed for reasons that pass, if that is safe, and are limited to a fifth of the recent
        requests. ``Retry-After`` is honoured by all requests to its host. A host at which most
        requests of the last 10 seconds failed is left alone for a second, and for longer each time
        it fails again, but never for much more than 10. Nothing limits how many requests run or
        start.
        """
        return cls(
            deadline=30.0,
            pushback=Pushback(),
            retry=RetryPolicy(),
            budget=RetryBudget(),
            # With a window of 30 seconds, a busy host would be down for 15 until the circuit opens.
            circuit=CircuitBreaker(window=10.0, reset_timeout=1.0, max_reset_timeout=10.0),
            attempt_timeout=10.0,
        )


_KINDS = {
    "rate_limit": RateLimit,
    "pushback": Pushback,
    "retry": RetryPolicy,
    "budget": RetryBudget,
    "hedge": Hedge,
    "circuit": CircuitBreaker,
    "bulkhead": Bulkhead,
    "adaptive": AdaptiveLimit,
}
