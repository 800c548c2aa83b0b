"""A request on an event loop that is cancelled at any turn of the loop holds nothing afterwards."""

import asyncio
from typing import Any

import pytest
from driver_kit import AsyncScript
from run_kit import ORIGIN, new_run

from typed_async_client import EventType, Resilience
from typed_async_client.engine.flow import request_flow
from typed_async_client.engine.shared import SharedPolicies
from typed_async_client.policies.adaptive import AdaptiveLimit
from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.bulkhead import Bulkhead
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.hedge import Hedge
from typed_async_client.policies.pushback import Pushback
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.policies.retry import RetryPolicy
from typed_async_client.testing import run_virtual


async def no_opinion(_: object) -> None:
    """Leave the decision to the other options."""
    await asyncio.sleep(0)


LIMITS: dict[str, Any] = {
    "adaptive": AdaptiveLimit(),
    "attempt_timeout": 60.0,
    "budget": RetryBudget(ratio=0.0, min_per_second=1.0, ttl=3600.0),
    "bulkhead": Bulkhead(max_concurrent=1),
    "circuit": CircuitBreaker(minimum_calls=2, failure_rate=0.1, reset_timeout=0.1),
    "pushback": Pushback(),
    "rate_limit": RateLimit(rate=1),
    "retry": RetryPolicy(jitter="none", max_retries=3, when=no_opinion),
}
RETRIED = Resilience(**LIMITS)
PLAIN = Resilience.connect_only()
HEDGED = Resilience(**{**LIMITS, "bulkhead": None}, hedge=Hedge(after=1.5, budget=None))
SCRIPTS: dict[str, tuple[Resilience, list[Any]]] = {
    "plain": (PLAIN, ["refused", "refused", "open"]),
    "retried": (RETRIED, ["open 503", "wait 5", "open"]),
    "hedged": (HEDGED, [(9.0, "open"), (0.1, "open")]),
    "hedged, and both are answered": (HEDGED, [(1.6, "open"), (0.1, "open"), "open"]),
    "hedged, and both fail": (HEDGED, [(1.6, "open 503"), (0.1, "open 503"), "open"]),
    "hedged, and the loser is let go": (HEDGED, [(9.0, "open"), (0.1, "open")]),
    "hedged, and the loser is answered later": (HEDGED, [(2.0, "open"), (0.1, "open")]),
}
"""A copy starts after 1.5 seconds, if the rate limit gives it a turn then."""


class Cancelled:
    """A request that was cancelled after some turns of the loop, perhaps twice.

    Args:
        name: the script.
        turns: after how many turns it is cancelled.
        again: after how many more turns it is cancelled again; None for never.
    """

    def __init__(self, name: str, turns: int, again: int | None = None) -> None:
        resilience, entries = SCRIPTS[name]
        shared = SharedPolicies()
        self.policies = shared.of(resilience)
        run_virtual(self._main(name, shared, resilience, entries, turns, again))

    async def _main(  # noqa: PLR0917 - called once
        self,
        name: str,
        shared: SharedPolicies,
        resilience: Resilience,
        entries: list[Any],
        turns: int,
        again: int | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        wanted = frozenset(EventType)
        self.run = new_run(resilience, clock=loop.time, shared=shared, wanted=wanted)
        self.script = AsyncScript(self.run, *entries)
        self.script.http1 = "the loser" in name
        task = loop.create_task(self.script.drive(request_flow(self.run)))
        for number in (turns, again):
            for _ in range(number or 0):
                await self._turn(task)
            if number is not None:
                task.cancel()
        await asyncio.wait({task})
        self.was_cancelled = task.cancelled()
        await self.policies.background.end()
        self.states = self.policies.states_at(ORIGIN, loop.time())
        self.now = loop.time()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    @staticmethod
    async def _turn(task: "asyncio.Task[Any]") -> None:
        """Let one turn of the loop pass; the clock jumps if there is nothing else to do."""
        if not task.done():
            await asyncio.sleep(0)
            loop: Any = asyncio.get_running_loop()
            if not loop._ready and loop._scheduled:
                await asyncio.sleep(loop._scheduled[0].when() - loop.time())

    def check(self) -> None:
        """Nothing is held, nothing is open, and there was one terminal event."""
        kinds = [event.event_type for event in self.script.events]
        assert [kind.is_terminal for kind in kinds].count(True) == 1
        assert kinds[-1].is_terminal
        assert self.was_cancelled is (kinds[-1] is EventType.CANCELLED)
        assert (self.run.admissions, self.run.withdrawal) == ([], None)
        assert self.script.open == set()
        for name in {"adaptive", "bulkhead", "rate_limit"} & self.states.keys():
            assert self.states[name].gate.waiting == 0
        for name in {"adaptive", "bulkhead"} & self.states.keys():
            assert self.states[name].gate.in_flight == 0
        if "circuit" in self.states:
            assert self.states["circuit"].in_flight == 0
            self._check_budget()

    def _check_budget(self) -> None:
        extra = sum(attempt.number > 1 or attempt.copy > 0 for attempt in self.script.sent)
        left = self.states["budget"].balance(self.now)
        last = self.script.events[-1].history[-1:]
        is_paid_back = any(each.status == 200 and each.number > 1 for each in last)
        assert left in {3600.0 - extra, 3600.0 - extra + is_paid_back}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_request_may_be_cancelled_at_any_turn(name: str) -> None:
    """Until it ends before it is cancelled."""
    for turns in range(2000):
        cancelled = Cancelled(name, turns)
        if turns:
            cancelled.check()
        if not cancelled.was_cancelled:
            break
    assert 3 < turns < 1999


@pytest.mark.parametrize("again", range(1, 4))
@pytest.mark.parametrize(
    "name",
    ["retried", "hedged, and both are answered", "hedged, and the loser is answered later"],
)
def test_a_request_may_be_cancelled_again_while_it_ends(name: str, again: int) -> None:
    """The second cancellation interrupts what the first one has led to."""
    for turns in range(1, 2000):
        cancelled = Cancelled(name, turns, again)
        cancelled.check()
        if not cancelled.was_cancelled:
            break
    assert 3 < turns < 1999


def test_a_copy_that_is_cancelled_before_its_first_turn_leaves_nothing() -> None:
    """As when a loop shuts down, which cancels all tasks; nothing warns that the copy never ran."""

    class CancelsAllOf(list[Any]):
        def append(self, event: Any) -> None:
            super().append(event)
            if event.event_type is EventType.HEDGED:
                asyncio.get_running_loop().call_soon(cancel_all)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        shared = SharedPolicies()
        run = new_run(HEDGED, clock=loop.time, shared=shared, wanted=frozenset(EventType))
        script = AsyncScript(run, (9.0, "open"))
        script.events = CancelsAllOf()
        task = loop.create_task(script.drive(request_flow(run)))
        await asyncio.wait({task})
        assert task.cancelled()
        assert script.kinds == ["started", "hedged", "cancelled"]
        assert len(script.sent) == 1
        assert shared.of(HEDGED).states_at(ORIGIN, 0.0)["budget"].balance(loop.time()) == 3600.0

    def cancel_all() -> None:
        for task in asyncio.all_tasks():
            if "main" not in repr(task.get_coro()):
                task.cancel()

    run_virtual(main())


@pytest.mark.parametrize(("seconds", "discarded"), [(0.3, True), (8.0, False)])
def test_a_loser_that_is_let_go_ends_by_itself(seconds: float, *, discarded: bool) -> None:
    """Its permit comes back when it is answered, and after a second at the latest."""
    resilience = Resilience(hedge=Hedge(after=1.0), bulkhead=Bulkhead(max_concurrent=2))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        shared = SharedPolicies()
        run = new_run(resilience, clock=loop.time, shared=shared)
        script = AsyncScript(run, (1.5 + seconds, "open"), (0.5, "open"))
        script.http1 = True
        await script.drive(request_flow(run))
        gate = shared.of(resilience).states_at(ORIGIN, 0.0)["bulkhead"].gate
        assert (script.kinds, gate.in_flight) == (["hedged", "success"], 1)
        assert len(shared.background) == 1
        await asyncio.sleep(min(seconds, 1.0) + 0.01)
        assert (gate.in_flight, len(shared.background), script.open) == (0, 0, set())
        assert (len(script.discarded) == 1) is discarded
        assert script.kinds == ["hedged", "success"]

    run_virtual(main())
