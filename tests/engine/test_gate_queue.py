"""The queue in front of a gate, waited in by either driver."""

import asyncio
import math
import threading
import time
from typing import Any

import pytest

from typed_async_client.engine.drivers import AsyncDriver
from typed_async_client.engine.queues import GateQueue, Turn
from typed_async_client.engine.steps import Acquire, Flow
from typed_async_client.engine.sync_driver import LockedFlow, SyncDriver
from typed_async_client.policies.adaptive import AdaptiveLimit
from typed_async_client.policies.bulkhead import Bulkhead
from typed_async_client.policies.gates import Rejected
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.testing import run_virtual

NOBODY: Any = None


def turn_at(queue: GateQueue[Any], now: Any, deadline: float = math.inf) -> Flow[Any]:
    """Wait for a permit as an attempt does; return it, or why there is none."""
    answer = queue.admit(now(), deadline)
    if not isinstance(answer, Turn):
        return answer
    try:
        while answer.permit is None and now() < answer.until:
            if now() >= answer.ask_at:
                queue.serve(now())
            else:
                yield from Acquire(answer)
    except BaseException:
        queue.leave(answer, now())
        raise
    if answer.permit is None:
        queue.leave(answer, now())
    return answer.permit


def waiting_at(queue: Any) -> int:
    """Return how many wait."""
    waiting: int = queue.gate.waiting
    return waiting


def is_idle(queue: Any) -> bool:
    """Whether nobody waits and nothing is in flight."""
    return waiting_at(queue) == 0 and queue.gate.in_flight == 0


async def wait(queue: GateQueue[Any], deadline: float = math.inf) -> Any:
    """Wait for a permit on the event loop."""
    now = asyncio.get_running_loop().time
    return await AsyncDriver(NOBODY, NOBODY).drive(turn_at(queue, now, deadline))


async def hold(
    queue: GateQueue[Any], name: str, log: list[tuple[float, str]], seconds: float | None
) -> None:
    """Wait for a permit, note when it came, and hold it for some time, or for good."""
    loop = asyncio.get_running_loop()
    permit = await wait(queue)
    log.append((loop.time(), name))
    if seconds is not None:
        await asyncio.sleep(seconds)
        queue.release(permit, loop.time())


@pytest.mark.parametrize(
    "options", [Bulkhead(max_concurrent=2), AdaptiveLimit(initial=2, max_limit=2)]
)
def test_permits_are_given_in_the_order_of_arrival(options: Any) -> None:
    """Two at a time, each as soon as one is given back."""
    queue: GateQueue[Any] = GateQueue(options.start())
    log: list[tuple[float, str]] = []

    async def main() -> None:
        await asyncio.gather(*[hold(queue, name, log, 1.0) for name in "abcde"])

    run_virtual(main())
    assert log == [(0.0, "a"), (0.0, "b"), (1.0, "c"), (1.0, "d"), (2.0, "e")]
    assert is_idle(queue)


def test_turns_under_a_rate_limit_come_at_their_time() -> None:
    """Whoever gives up lets the others move up."""
    queue: GateQueue[Any] = GateQueue(RateLimit(rate=2, burst=2).start())
    log: list[tuple[float, str]] = []

    async def main() -> None:
        tasks = [asyncio.ensure_future(hold(queue, name, log, None)) for name in "abcdef"]
        await asyncio.sleep(0.6)
        tasks[3].cancel()
        await asyncio.wait(tasks)

    run_virtual(main())
    assert log == [(0.0, "a"), (0.0, "b"), (0.5, "c"), (1.0, "e"), (1.5, "f")]


def test_a_slot_that_is_given_back_serves_the_next_at_once() -> None:
    """Its attempt was refused by another policy."""
    queue: GateQueue[Any] = GateQueue(RateLimit(rate=0.1).start())

    async def main() -> float:
        loop = asyncio.get_running_loop()
        slot = queue.admit(loop.time(), math.inf)
        waiting = asyncio.ensure_future(wait(queue))
        await asyncio.sleep(1.0)
        queue.release(slot, loop.time())
        await waiting
        return loop.time()

    assert run_virtual(main()) == 1.0


@pytest.mark.parametrize(("max_wait", "deadline", "end"), [(3.0, math.inf, 3.0), (None, 2.0, 2.0)])
def test_a_wait_is_bounded(max_wait: float | None, deadline: float, end: float) -> None:
    """By the options and by the deadline; the place is given up."""
    queue: GateQueue[Any] = GateQueue(Bulkhead(max_concurrent=1, max_wait=max_wait).start())

    async def main() -> float:
        queue.admit(0.0, math.inf)
        assert await wait(queue, deadline) is None
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == end
    assert waiting_at(queue) == 0


def test_a_full_queue_and_a_passed_deadline_refuse_at_once() -> None:
    """Nobody waits."""
    queue: GateQueue[Any] = GateQueue(Bulkhead(max_concurrent=1, max_waiting=1).start())

    async def main() -> list[Any]:
        queue.admit(0.0, math.inf)
        late = await wait(queue, 0.0)
        first = asyncio.ensure_future(wait(queue))
        await asyncio.sleep(0)
        full = await wait(queue)
        first.cancel()
        await asyncio.wait({first})
        return [late, full]

    late, full = run_virtual(main())
    assert isinstance(late, Rejected)
    assert isinstance(full, Rejected)
    assert (late.reason, full.reason) == ("deadline", "queue_full")


def test_a_waiter_that_is_cancelled_in_the_turn_of_its_permit_passes_it_on() -> None:
    """The next in the queue gets it."""
    queue: GateQueue[Any] = GateQueue(Bulkhead(max_concurrent=1).start())

    async def main() -> None:
        loop = asyncio.get_running_loop()
        permit = queue.admit(loop.time(), math.inf)
        first, second = (asyncio.ensure_future(wait(queue)) for _ in range(2))
        await asyncio.sleep(0)
        queue.release(permit, loop.time())
        first.cancel()
        queue.release(await second, loop.time())
        assert first.cancelled()

    run_virtual(main())
    assert is_idle(queue)


def test_a_permit_that_comes_at_the_last_moment_is_taken() -> None:
    """Also if the time to give up has come in the same turn."""
    queue: GateQueue[Any] = GateQueue(Bulkhead(max_concurrent=1, max_wait=1.0).start())

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        permit = queue.admit(loop.time(), math.inf)
        loop.call_at(1.0, lambda: queue.release(permit, loop.time()))
        return await wait(queue)

    assert run_virtual(main()) is not None


def test_a_thread_wakes_a_task_and_a_task_a_thread() -> None:
    """Clients of both kinds may share a transport, and with it a queue."""
    queue: GateQueue[Any] = GateQueue(Bulkhead(max_concurrent=1).start())
    lock = threading.RLock()
    got: list[str] = []

    def in_thread() -> None:
        driver = SyncDriver(NOBODY, NOBODY)
        permit = driver.drive(LockedFlow(turn_at(queue, time.monotonic), lock))
        got.append("thread")
        with lock:
            queue.release(permit, time.monotonic())

    async def main() -> None:
        loop = asyncio.get_running_loop()
        permit = queue.admit(time.monotonic(), math.inf)
        flow = LockedFlow(turn_at(queue, loop.time), lock)
        thread = threading.Thread(target=in_thread)
        thread.start()
        while waiting_at(queue) == 0:  # noqa: ASYNC110 - the thread has no event to set
            await asyncio.sleep(0)
        task = asyncio.ensure_future(AsyncDriver(NOBODY, NOBODY).drive(flow))
        await asyncio.sleep(0)
        with lock:
            queue.release(permit, loop.time())
        last = await task
        got.append("task")
        queue.release(last, loop.time())
        await asyncio.to_thread(thread.join)

    asyncio.run(main())
    assert got == ["thread", "task"]
    assert is_idle(queue)


def test_waking_a_task_whose_loop_was_closed_harms_nobody() -> None:
    """Its place is given up when it is collected."""
    queue: GateQueue[Any] = GateQueue(Bulkhead(max_concurrent=1).start())
    permit = queue.admit(0.0, math.inf)
    loop = asyncio.new_event_loop()
    waiting = AsyncDriver(NOBODY, NOBODY).drive(turn_at(queue, loop.time))

    async def start() -> Any:
        waiting.send(None)

    loop.run_until_complete(start())
    loop.close()
    queue.release(permit, 1.0)
    assert not is_idle(queue)
    waiting.close()
    assert is_idle(queue)


def test_a_permit_that_comes_before_a_task_waits_is_taken_at_once() -> None:
    """A thread has given it back in between."""
    queue: GateQueue[Any] = GateQueue(Bulkhead(max_concurrent=1).start())

    async def main() -> None:
        loop = asyncio.get_running_loop()
        permit = queue.admit(loop.time(), math.inf)
        flow = turn_at(queue, loop.time)
        step = next(flow)
        queue.release(permit, loop.time())
        assert isinstance(step, Acquire)
        await AsyncDriver(NOBODY, NOBODY)._perform(step)
        assert step.turn.permit is not None
        with pytest.raises(StopIteration):
            flow.send(None)

    run_virtual(main())


@pytest.mark.parametrize("arrives", ["before", "during", "late"])
def test_a_thread_waits_for_its_turn(arrives: str) -> None:
    """The permit may come before the thread waits, while it waits, or too late."""
    queue: GateQueue[Any] = GateQueue(Bulkhead(max_concurrent=1, max_wait=0.05).start())
    permit = queue.admit(time.monotonic(), math.inf)
    flow = turn_at(queue, time.monotonic)
    if arrives == "before":
        step = next(flow)
        queue.release(permit, time.monotonic())
        SyncDriver(NOBODY, NOBODY)._perform(step)
        with pytest.raises(StopIteration) as ended:
            flow.send(None)
        assert ended.value.value is not None
        return
    if arrives == "during":
        timer = threading.Timer(0.001, lambda: queue.release(permit, time.monotonic()))
        timer.start()
        assert SyncDriver(NOBODY, NOBODY).drive(flow) is not None
        timer.join()
        return
    assert SyncDriver(NOBODY, NOBODY).drive(flow) is None
    assert waiting_at(queue) == 0


def test_a_thread_takes_its_turn_under_a_rate_limit() -> None:
    """Not before its time."""
    queue: GateQueue[Any] = GateQueue(RateLimit(rate=100).start())
    began = time.monotonic()
    for _ in range(3):
        SyncDriver(NOBODY, NOBODY).drive(turn_at(queue, time.monotonic))
    assert time.monotonic() - began >= 0.0199
