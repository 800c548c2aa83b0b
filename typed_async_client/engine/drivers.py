"""Performs the steps of a flow on an event loop.

A driver decides nothing: it performs a step, sends the answer back into the flow, and throws in any
exception that interrupted the step. Every wait within a request takes place here.
"""

import asyncio
import contextlib
import inspect
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, assert_never, cast

from typed_async_client.attempts import Attempt
from typed_async_client.engine.background import cancel_tasks
from typed_async_client.engine.queues import Turn
from typed_async_client.engine.steps import (
    Acquire,
    Cancel,
    Child,
    Consult,
    Deliver,
    Detach,
    Discard,
    Flow,
    Join,
    Publish,
    Send,
    Sleep,
    Spawn,
)
from typed_async_client.events import AsyncEvent
from typed_async_client.facts import facts_of_response
from typed_async_client.outcome import Outcome

if TYPE_CHECKING:
    import httpx

    from typed_async_client.record import RequestRecord
    from typed_async_client.sent import SentLog

__all__ = ["AsyncDriver", "AsyncSender", "finish"]

T = TypeVar("T")

_NEVER = math.inf


class AsyncSender(Protocol):
    """Makes the attempts of one request."""

    record: "RequestRecord"

    def begin(self, attempt: Attempt) -> "SentLog":
        """Start a new log of what the running task sends, for an attempt that starts now."""

    def send(self, attempt: Attempt) -> "Awaitable[httpx.Response]":
        """Send the request once."""

    async def discard(self, response: "httpx.Response") -> None:
        """Read what little is left of a response, or close it."""

    def hand_over(
        self, response: "httpx.Response", flow: Flow[Any], publish: Callable[[AsyncEvent], None]
    ) -> "httpx.Response | None":
        """Return a response that resumes ``flow`` when its body has ended, and publishes the rest.

        None if the body has been read already.
        """


class AsyncDriver:
    """Performs the steps of one request on the running event loop.

    Args:
        sender: makes the attempts; an exception that it raises becomes an outcome.
        publish: publishes an event; never waits.
    """

    __slots__ = ("_publish", "_sender")

    def __init__(self, sender: AsyncSender, publish: Callable[[AsyncEvent], None]) -> None:
        self._publish = publish
        self._sender = sender

    async def drive(self, flow: Flow[T]) -> T:  # noqa: C901 - called for every request
        """Perform the steps of a flow, and return what it returns.

        Raises:
            BaseException: what the flow raises, such as the error of the request.
        """
        sender = self._sender
        answer: Any = None
        step: Any = None
        try:
            step = next(flow)  # it may end at once: a copy that a policy refuses
            while True:
                answer = None
                try:
                    match step:
                        case Send(attempt=attempt) if attempt.until == _NEVER:
                            log = sender.begin(attempt)
                            try:
                                response = await sender.send(attempt)
                            except Exception as error:  # noqa: BLE001 - httpx may raise any
                                answer = Outcome.of_error(error, attempt, log, sender.record)
                            else:
                                facts = facts_of_response(
                                    response, log, idempotent=attempt.idempotent
                                )
                                answer = Outcome(facts, response, None, "", attempt)
                                del response  # the ledger may drop it before this frame ends
                        case Publish():  # the event isn't captured: it may refer to an error
                            self._publish(step.event)
                        case Deliver():
                            open_response = sender.hand_over(step.response, flow, self._publish)
                            if open_response is not None:
                                return cast("T", open_response)
                        case _:
                            answer = await self._perform(step)
                except BaseException as exc:  # noqa: BLE001 - the flow handles or raises it
                    step = flow.throw(exc)
                else:
                    step = flow.send(answer)
        except StopIteration as finished:
            result: T = finished.value
            return result
        finally:
            del answer, flow, self, sender, step  # the error of the request refers to this frame

    async def _perform(self, step: Any) -> Any:
        """Perform one of the steps that a plain request doesn't need."""
        match step:
            case Send(attempt=attempt):
                return await self._send_in_time(attempt)
            case Sleep(seconds=seconds):
                await asyncio.sleep(seconds)
            case Discard(response=response):
                await self._sender.discard(response)
            case Acquire(turn=turn):
                await _wait_for(turn)
            case Consult():
                del self  # the error of the request may refer to this frame
                return await _consult(step)
            case Spawn(flow=flow):
                return _RunningChild(self, flow)
            case Join() | Cancel() | Detach():
                return await _perform_beside(step)
            case _:
                assert_never(step)
        return None

    async def _send_in_time(self, attempt: Attempt) -> Outcome:
        """Make an attempt that may take a limited time."""
        sender = self._sender
        del self  # the error of the request refers to this frame
        log = sender.begin(attempt)
        try:
            async with asyncio.timeout_at(attempt.until) as limit:
                return Outcome.of_response(await sender.send(attempt), attempt, log)
        except TimeoutError as error:
            if limit.expired():
                return Outcome.of_expiry(error, attempt, log, sender.record)
            return Outcome.of_error(error, attempt, log, sender.record)
        except Exception as error:  # noqa: BLE001 - httpx may raise any
            return Outcome.of_error(error, attempt, log, sender.record)


def finish(
    flow: Flow[Any], error: BaseException | None, publish: Callable[[AsyncEvent], None]
) -> None:
    """Perform what follows a ``Deliver``: steps that never wait.

    Args:
        flow: a flow whose last step was a ``Deliver``.
        error: what broke the body; None if it ended, or was closed.
        publish: publishes an event.
    """
    with contextlib.suppress(StopIteration):
        step = flow.send(error)
        while True:
            publish(cast("Publish", step).event)
            step = next(flow)


async def _wait_for(turn: Turn[Any]) -> None:
    """Wait until a turn is woken, until it must be asked for again, or until it took too long."""
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()
    turn.wake = _waker(woken, loop)
    if turn.permit is not None:  # another thread has given it before it could wake anybody
        return
    until = min(turn.until, turn.ask_at)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(None if until == math.inf else until):
            await woken.wait()


def _waker(woken: asyncio.Event, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Return what wakes a task from any thread, since synchronous clients may share the policies."""

    def wake() -> None:
        try:
            is_here = asyncio.get_running_loop() is loop
        except RuntimeError:
            is_here = False
        if is_here:
            woken.set()
        else:
            with contextlib.suppress(RuntimeError):  # its loop was closed, and the task with it
                loop.call_soon_threadsafe(woken.set)

    return wake


class _RunningChild:
    """A flow that runs as a task of its own.

    Args:
        driver: drives it.
        flow: the flow, which never starts if the task is cancelled before.
    """

    __slots__ = ("outcome", "task")

    def __init__(self, driver: AsyncDriver, flow: Flow[Outcome]) -> None:
        self.outcome: Outcome | None = None
        running = self._run(driver, flow)
        self.task: asyncio.Task[None] = asyncio.get_running_loop().create_task(running)

    async def _run(self, driver: AsyncDriver, flow: Flow[Outcome]) -> None:
        self.outcome = await driver.drive(flow)


async def _consult(step: Consult) -> Any:
    """Call a function of the user, and wait for its result."""
    answer = step.function(step.argument)
    if not inspect.isawaitable(answer):
        return answer
    if step.until == math.inf:
        return await answer
    try:
        async with asyncio.timeout_at(step.until) as limit:
            return await answer
    except TimeoutError:
        if not limit.expired():
            raise
        return None


async def _perform_beside(step: Join | Cancel | Detach) -> Child | None:
    """Perform a step that is about flows which run beside the one that has spawned them."""
    children = cast("Sequence[_RunningChild]", step.children)
    match step:
        case Join(until=until):
            return await _first_of(children, until)
        case Cancel():
            await cancel_tasks([child.task for child in children])
        case Detach(background=background, seconds=seconds):
            for child in children:
                background.add(child.task, seconds)
        case _:
            assert_never(step)
    return None


async def _first_of(children: Sequence[_RunningChild], until: float) -> Child | None:
    """Wait for the first of several flows to end; raise its error if it has raised."""
    timeout = None if until == math.inf else max(0.0, until - asyncio.get_running_loop().time())
    tasks = [child.task for child in children]
    await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    for child in children:
        if child.task.done():
            child.task.result()
            return child
    return None
