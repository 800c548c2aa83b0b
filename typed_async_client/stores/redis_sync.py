"""Keeps the state of policies in Redis, for synchronous clients; the counterpart of ``redis.py``."""

import math
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.checks import require_number
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.gates import Rejected
from typed_async_client.policies.health import Health
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.policies.transitions import Transition
from typed_async_client.stores import decisions
from typed_async_client.stores.connect import connect
from typed_async_client.stores.decisions import Decision
from typed_async_client.stores.local import SyncLocalStore
from typed_async_client.stores.outage import Outage
from typed_async_client.stores.protocol import Admission, Reservation, StateKey, Withdrawal

if TYPE_CHECKING:
    from typed_async_client.stores.connect import SyncClient

__all__ = ["SyncRedisStore"]

T = TypeVar("T")


class SyncRedisStore:
    """Keeps the state in Redis, for synchronous clients; safe for several threads.

    It shares its state with each ``RedisStore`` of the same server and prefix, and falls back to
    this process as that does. While Redis doesn't answer, one request in ``check_every`` seconds
    waits for it.

    Args:
        redis: the URL of the server, such as ``"redis://localhost:6379/0"``; or a client of
            redis-py, a ``redis.Redis`` or ``RedisCluster``, which stays open and whose own timeouts
            hold instead of ``timeout``.
        prefix: what the keys begin with, to keep fleets apart that share a server.
        timeout: seconds to wait for a connection, and then for an answer, > 0.
        check_every: seconds between two checks whether Redis answers again, > 0.

    Raises:
        ImportError: the extra isn't installed.
        TypeError: ``redis`` is neither a URL nor such a client.
        ValueError: the URL is invalid, or a number is out of range; the message names it.
    """

    __slots__ = ("_connection", "_local", "_outage", "_prefix")

    def __init__(
        self,
        redis: "str | SyncClient",
        *,
        prefix: str = "typed_async_client",
        timeout: float = 0.1,
        check_every: float = 1.0,
    ) -> None:
        require_number("timeout", timeout, above=0)
        require_number("check_every", check_every, above=0)
        self._connection = connect(redis, is_async=False, timeout=timeout)
        self._prefix = prefix
        self._outage = Outage(self._connection.server, check_every)
        self._local = SyncLocalStore()

    def __repr__(self) -> str:
        return f"<SyncRedisStore {self._connection.server}, prefix {self._prefix!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_shared(self) -> bool:
        """Whether Redis decides; False while it doesn't answer."""
        return not self._outage.is_down

    def take_slot(
        self, key: StateKey, limit: RateLimit, *, now: float, deadline: float = math.inf
    ) -> Reservation | Rejected:
        """Reserve the next slot of a rate limit; return why if it would come too late."""
        return self._decide(decisions.take_slot(key, limit, now=now, deadline=deadline), now)

    def cancel_slot(
        self, key: StateKey, limit: RateLimit, reservation: Reservation, *, now: float
    ) -> bool:
        """Give back a slot that isn't used; return whether that was possible."""
        decision = decisions.cancel_slot(key, limit, reservation)
        if decision is None:
            return self._local.cancel_slot(key, limit, reservation, now=now)
        return self._decide(decision, now)

    def admit(self, key: StateKey, breaker: CircuitBreaker, *, now: float) -> Admission | Rejected:
        """Ask a circuit for a new attempt, which must be reported once."""
        return self._decide(decisions.admit(key, breaker), now)

    def report(
        self,
        key: StateKey,
        breaker: CircuitBreaker,
        admission: Admission,
        health: Health,
        *,
        duration: float,
        now: float,
        random: float,
    ) -> Transition | None:
        """Say how an admitted attempt ended; return the transition that it caused."""
        decision = decisions.report(
            key, breaker, admission, health, duration=duration, random=random
        )
        if decision is None:
            return self._local.report(
                key, breaker, admission, health, duration=duration, now=now, random=random
            )
        return self._decide(decision, now)

    def deposit(self, key: StateKey, budget: RetryBudget, *, now: float) -> None:
        """Count a request in a retry budget; its retries aren't counted again."""
        self._decide(decisions.deposit(key, budget), now)

    def withdraw(self, key: StateKey, budget: RetryBudget, *, now: float) -> Withdrawal | None:
        """Take an extra request out of a retry budget; return None if not enough is left."""
        return self._decide(decisions.withdraw(key, budget), now)

    def refund(
        self, key: StateKey, budget: RetryBudget, withdrawal: Withdrawal, *, now: float
    ) -> None:
        """Give back what an extra request took, because it succeeded or was never sent."""
        decision = decisions.refund(key, budget, withdrawal)
        if decision is None:
            self._local.refund(key, budget, withdrawal, now=now)
        else:
            self._decide(decision, now)

    def close(self) -> None:
        """Disconnect; a client of redis-py that was passed stays open."""
        if self._connection.is_ours:
            self._connection.client.close()

    def _decide(self, decision: Decision[T], now: float) -> T:
        """Let Redis decide, or the local store if Redis doesn't answer."""
        began = time.monotonic()
        if not self._outage.is_down or self._outage.is_check_due():
            try:
                answer = decision.decode(self._reply_to(decision))
            except self._connection.failures as error:
                self._outage.begin(error)
            else:
                self._outage.end()
                return answer
        return decision.locally(self._local, now + time.monotonic() - began)

    def _reply_to(self, decision: Decision[Any]) -> Any:
        client, script = self._connection.client, decision.script
        arguments = (1, f"{self._prefix}:{decision.key}", *decision.arguments)
        try:
            return client.evalsha(script.sha, *arguments)
        except self._connection.unknown_script:
            return client.eval(script.text, *arguments)
