"""Keeps the state of policies in Redis, shared by all clients that use the same server and prefix.

Each decision is one script (``lua/``), so it takes one round trip. While Redis doesn't answer, a
local store decides.
"""

import asyncio
import functools
import math
import time
from collections.abc import Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from typed_async_client.binding import Binding
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
    from typed_async_client.stores.connect import AsyncClient

__all__ = ["RedisStore"]

_AT_ONCE: Final = 32
"""Decisions sent at the same time; the others wait, which doesn't count as waiting for Redis."""

_GRACE: Final = 1.0
"""Seconds for which an answer that is late is still waited for, to give back what it took."""

_TURNS: Final = 5
"""Turns of the loop in which an answer is read that has arrived while the loop was blocked."""

_CHECK: Final = decisions.deposit(StateKey("check"), RetryBudget(ttl=1.0))
"""Succeeds if Redis runs scripts and lets them write, which a ping doesn't tell."""

T = TypeVar("T")


class RedisStore:
    """Keeps the state in Redis, for asynchronous clients. It needs the extra ``redis``.

    All clients whose stores have the same server and prefix share their rate limits, circuits and
    retry budgets. The states are kept by the clock of the server, and expire by themselves. The
    server must be Redis 5 or later, or compatible with it; a cluster works too.

    A store is bound to one event loop. It never fails a request: if Redis doesn't answer within
    ``timeout`` seconds, or answers with an error, a store of this process decides. The logger
    ``typed_async_client`` says so once (WARNING), and once more when Redis answers again (INFO).
    Meanwhile Redis is asked in the background, so that no request waits for it.

    If a call is cancelled, or Redis answers it too late, what it took is given back in the
    background.

    Args:
        redis: the URL of the server, such as ``"redis://localhost:6379/0"``; or a client of
            redis-py, a ``redis.asyncio.Redis`` or ``RedisCluster``, which stays open.
        prefix: what the keys begin with, to keep fleets apart that share a server.
        timeout: seconds to wait for an answer, > 0.
        check_every: seconds between two checks whether Redis answers again, > 0.

    Raises:
        ImportError: the extra isn't installed.
        TypeError: ``redis`` is neither a URL nor such a client.
        ValueError: the URL is invalid, or a number is out of range; the message names it.

    Example:
        >>> async def two_slots(url: str) -> None:
        ...     async with RedisStore(url) as store:
        ...         for _ in range(2):
        ...             print(await store.take_slot(StateKey("search"), RateLimit(rate=2), now=0.0))
    """

    __slots__ = (
        "_binding",
        "_connection",
        "_local",
        "_outage",
        "_prefix",
        "_tasks",
        "_timeout",
        "_turns",
    )

    def __init__(
        self,
        redis: "str | AsyncClient",
        *,
        prefix: str = "typed_async_client",
        timeout: float = 0.1,
        check_every: float = 1.0,
    ) -> None:
        require_number("timeout", timeout, above=0)
        require_number("check_every", check_every, above=0)
        self._connection = connect(redis, is_async=True, timeout=timeout + _GRACE)
        self._prefix = prefix
        self._timeout = timeout
        self._binding = Binding()
        self._outage = Outage(self._connection.server, check_every)
        self._local = SyncLocalStore()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[Any]] = set()

    def __repr__(self) -> str:
        return f"<RedisStore {self._connection.server}, prefix {self._prefix!r}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def is_shared(self) -> bool:
        """Whether Redis decides; False while it doesn't answer."""
        return not self._outage.is_down

    async def take_slot(
        self, key: StateKey, limit: RateLimit, *, now: float, deadline: float = math.inf
    ) -> Reservation | Rejected:
        """Reserve the next slot of a rate limit; return why if it would come too late."""
        decision = decisions.take_slot(key, limit, now=now, deadline=deadline)
        return await self._decide(decision, now)

    async def cancel_slot(
        self, key: StateKey, limit: RateLimit, reservation: Reservation, *, now: float
    ) -> bool:
        """Give back a slot that isn't used; return whether that was possible."""
        decision = decisions.cancel_slot(key, limit, reservation)
        if decision is None:
            return self._local.cancel_slot(key, limit, reservation, now=now)
        return await self._decide(decision, now)

    async def admit(
        self, key: StateKey, breaker: CircuitBreaker, *, now: float
    ) -> Admission | Rejected:
        """Ask a circuit for a new attempt, which must be reported once."""
        return await self._decide(decisions.admit(key, breaker), now)

    async def report(
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
        """Say how an admitted attempt ended; return the transition that it caused.

        An attempt that Redis admitted isn't counted if Redis doesn't answer any more.
        """
        decision = decisions.report(
            key, breaker, admission, health, duration=duration, random=random
        )
        if decision is None:
            return self._local.report(
                key, breaker, admission, health, duration=duration, now=now, random=random
            )
        return await self._decide(decision, now)

    async def deposit(self, key: StateKey, budget: RetryBudget, *, now: float) -> None:
        """Count a request in a retry budget; its retries aren't counted again."""
        await self._decide(decisions.deposit(key, budget), now)

    async def withdraw(
        self, key: StateKey, budget: RetryBudget, *, now: float
    ) -> Withdrawal | None:
        """Take an extra request out of a retry budget; return None if not enough is left."""
        return await self._decide(decisions.withdraw(key, budget), now)

    async def refund(
        self, key: StateKey, budget: RetryBudget, withdrawal: Withdrawal, *, now: float
    ) -> None:
        """Give back what an extra request took, because it succeeded or was never sent."""
        decision = decisions.refund(key, budget, withdrawal)
        if decision is None:
            self._local.refund(key, budget, withdrawal, now=now)
        else:
            await self._decide(decision, now)

    async def aclose(self) -> None:
        """Finish what cancelled calls left to do, and disconnect.

        It takes ``timeout`` and a second more at most, twice that if something must be given back.
        A client of redis-py that was passed stays open.
        """
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))
        if self._connection.is_ours:
            await self._connection.client.aclose()

    async def _decide(self, decision: Decision[T], now: float) -> T:
        """Let Redis decide, or the local store if Redis doesn't answer."""
        self._binding.check()
        began = time.monotonic()
        if not self._outage.is_down:
            try:
                await self._turns.acquire()
            except asyncio.CancelledError:
                if decision.gives_back:
                    self._start(self._answer(decision))
                raise
            try:
                if not self._outage.is_down:  # it may have begun meanwhile
                    return await self._ask(decision)
            except self._connection.failures as error:
                self._outage.begin(error)
            finally:
                self._turns.release()
        if self._outage.is_check_due():
            self._start(self._check())
        return decision.locally(self._local, now + time.monotonic() - began)

    async def _ask(self, decision: Decision[T]) -> T:
        """Let Redis decide in a task, so that a cancellation doesn't cut a reply in two."""
        task = self._start(self._answer(decision))
        try:
            await asyncio.wait((task,), timeout=self._timeout)
            for _ in range(_TURNS):
                if task.done():
                    return task.result()
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            task.add_done_callback(functools.partial(self._undo, decision))
            raise
        task.add_done_callback(functools.partial(self._undo, decision))
        raise TimeoutError(f"no answer within {self._timeout:g} s")

    async def _answer(self, decision: Decision[T]) -> T:
        client, script = self._connection.client, decision.script
        arguments = (1, f"{self._prefix}:{decision.key}", *decision.arguments)
        async with asyncio.timeout(self._timeout + _GRACE):
            try:
                reply = await client.evalsha(script.sha, *arguments)
            except self._connection.unknown_script:
                reply = await client.eval(script.text, *arguments)
        return decision.decode(reply)

    async def _check(self) -> None:
        """End the outage if Redis decides again."""
        await self._answer(_CHECK)
        self._outage.end()

    def _undo(self, decision: Decision[T], task: "asyncio.Task[T]") -> None:
        """Give back what a decision took that nobody has waited for."""
        if task.cancelled() or task.exception() is not None:
            return
        undo = decision.undo(task.result())
        if undo is not None:
            self._start(self._answer(undo))

    def _start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = self._binding.check().create_task(work, name="typed_async_client: ask Redis")
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # which who waits for it has seen, if anybody does
