"""Requests of several threads that share their policies."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import pytest
from driver_kit import SyncScript
from run_kit import ORIGIN, new_run

from typed_async_client import EventType, Resilience
from typed_async_client.engine.flow import request_flow
from typed_async_client.engine.run import Run
from typed_async_client.engine.shared import SharedPolicies
from typed_async_client.engine.steps import Sleep, Spawn
from typed_async_client.engine.sync_driver import LockedFlow, SyncDriver
from typed_async_client.policies.adaptive import AdaptiveLimit
from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.bulkhead import Bulkhead
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.pushback import Pushback
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.policies.retry import RetryPolicy

THREADS = 8
REQUESTS = 25


class WatchedLock:
    """A lock that a thread may take again, and that knows whether the running thread has it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._local = threading.local()
        self.entered = 0

    @property
    def is_mine(self) -> bool:
        """Whether the running thread holds it."""
        return getattr(self._local, "depth", 0) > 0

    def __enter__(self) -> None:
        self._lock.acquire()
        self._local.depth = getattr(self._local, "depth", 0) + 1
        self.entered += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._local.depth -= 1
        self._lock.release()


class Watched(SyncScript):
    """Makes attempts, and calls a function whenever the driver does something."""

    def __init__(self, run: Run, watch: Callable[[str], None], *entries: Any) -> None:
        super().__init__(run, *entries)
        self._watch = watch

    def send(self, attempt: Any) -> Any:
        """Make one attempt."""
        self._watch("send")
        response = super().send(attempt)
        self._watch("sent")
        return response

    def discard(self, response: Any) -> None:
        """Close a response."""
        self._watch("discard")
        super().discard(response)

    def drive_locked(self, lock: Any) -> Any:
        """Run the driver; the flow holds the lock while it runs."""

        def publish(event: Any) -> None:
            self._watch("publish")
            self.events.append(event)

        driver = SyncDriver(self, publish, lambda _: self._watch("sleep"))
        return driver.drive(LockedFlow(request_flow(self.run), lock))


def in_threads(main: Callable[[], None]) -> None:
    """Run a function in eight threads at once; raise the first error."""
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            main()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bulkhead", Bulkhead(max_concurrent=3)),
        ("adaptive", AdaptiveLimit(initial=3, max_limit=3)),
    ],
)
def test_threads_never_pass_a_limit_together(name: str, options: Any) -> None:
    """And all permits come back, whatever is retried or fails."""
    resilience = Resilience(
        **{name: options},
        retry=RetryPolicy(jitter="none"),
        budget=RetryBudget(ratio=10.0, ttl=60.0),
    )
    shared, lock, counting = SharedPolicies(), WatchedLock(), threading.Lock()
    running, most = 0, 0

    def watch(what: str) -> None:
        nonlocal running, most
        with counting:
            running += (what == "send") - (what == "sent")
            most = max(most, running)
        if what == "send":
            time.sleep(0)

    def requests() -> None:
        for number in range(REQUESTS):
            run = new_run(resilience, clock=time.monotonic, shared=shared)
            script = Watched(run, watch, *(["503"] * (number % 3)), "ok")
            assert script.drive_locked(lock).status_code == 200
            assert script.kinds[-1] == "success"

    in_threads(requests)
    states = shared.of(resilience).states_at(ORIGIN, time.monotonic())
    assert most <= 3
    assert (states[name].gate.in_flight, states[name].gate.waiting) == (0, 0)


def test_threads_take_their_turns_under_a_rate_limit_together() -> None:
    """No more begin than the rate and its burst allow."""
    resilience = Resilience(rate_limit=RateLimit(rate=500, burst=5))
    shared, lock = SharedPolicies(), WatchedLock()
    began: list[float] = []

    def watch(what: str) -> None:
        if what == "send":
            began.append(time.monotonic())

    def requests() -> None:
        for _ in range(3):
            run = new_run(resilience, clock=time.monotonic, shared=shared)
            Watched(run, watch, "ok").drive_locked(lock)

    start = time.monotonic()
    in_threads(requests)
    began.sort()
    assert len(began) == THREADS * 3
    for index, instant in enumerate(began):
        assert index + 1 <= 5 + (instant - start) * 500 + 0.01


def test_the_lock_is_never_held_while_a_request_waits_or_calls_anybody() -> None:
    """While it sends, sleeps, publishes, discards, waits for its turn, or asks the caller."""
    lock, seen = WatchedLock(), set()

    def watch(what: str) -> None:
        assert not lock.is_mine, what
        seen.add(what)

    def when(_: object) -> None:
        watch("consult")

    resilience = Resilience(
        adaptive=AdaptiveLimit(),
        bulkhead=Bulkhead(max_concurrent=1),
        budget=RetryBudget(),
        circuit=CircuitBreaker(minimum_calls=9),
        pushback=Pushback(),
        rate_limit=RateLimit(rate=1000),
        retry=RetryPolicy(jitter="none", when=when),
    )
    run = new_run(resilience, clock=time.monotonic, wanted=frozenset(EventType))
    script = Watched(run, watch, "503", "broken", "ok")
    assert script.drive_locked(lock).status_code == 200
    assert seen == {"consult", "discard", "publish", "send", "sent", "sleep"}
    assert lock.entered > 5
    assert not lock.is_mine


def test_an_interrupt_while_a_thread_waits_for_its_turn_gives_its_place_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Control-C, during which a permit may even have come."""

    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is None
            assert not lock.is_mine
            queue.release(permits.pop(), time.monotonic())
            raise KeyboardInterrupt

    resilience, shared, lock = (
        Resilience(bulkhead=Bulkhead(max_concurrent=1)),
        SharedPolicies(),
        WatchedLock(),
    )
    queue = shared.of(resilience).states_at(ORIGIN, time.monotonic())["bulkhead"]
    permits = [queue.admit(time.monotonic(), time.monotonic() + 99)]
    script = Watched(new_run(resilience, clock=time.monotonic, shared=shared), lambda _: None)
    monkeypatch.setattr("typed_async_client.engine.sync_driver.threading.Event", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        script.drive_locked(lock)
    assert script.kinds == ["cancelled"]
    assert (queue.gate.in_flight, queue.gate.waiting) == (0, 0)


def test_a_locked_flow_that_is_closed_gives_back_what_it_holds() -> None:
    """As when its request is abandoned while its body is open."""
    resilience, shared, lock = (
        Resilience(bulkhead=Bulkhead(max_concurrent=1)),
        SharedPolicies(),
        WatchedLock(),
    )
    queue = shared.of(resilience).states_at(ORIGIN, time.monotonic())["bulkhead"]
    run = new_run(resilience, clock=time.monotonic, shared=shared)
    flow: Any = LockedFlow(request_flow(run), lock)  # type: ignore[arg-type]  # it is watched
    next(flow)
    assert queue.gate.in_flight == 1
    flow.close()
    assert queue.gate.in_flight == 0
    assert not lock.is_mine


def test_the_flows_that_a_locked_flow_spawns_hold_the_lock_as_well() -> None:
    """Copies of an attempt use the same queues, and other threads may, too."""
    lock, held = threading.RLock(), []

    def can_take() -> bool:
        taken = lock.acquire(blocking=False)
        if taken:
            lock.release()
        return taken

    def is_held() -> bool:
        with ThreadPoolExecutor(1) as other:
            return not other.submit(can_take).result()

    def child() -> Any:
        held.append(is_held())
        yield Sleep(1.0)

    def parent() -> Any:
        try:
            yield Spawn(child())
        except ValueError:
            yield Spawn(child())

    flow: Any = LockedFlow(parent(), lock)
    first = next(flow)
    next(first.flow)
    next(flow.throw(ValueError()).flow)
    assert held == [True, True]
