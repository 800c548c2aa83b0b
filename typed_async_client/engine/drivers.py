"""Carry the steps of a flow out: one driver for asyncio, one for plain code.

The only sleep and the only wait of the engine. A driver decides nothing: it performs a step,
sends back what happened, and throws into the flow whatever stopped it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, assert_never

from typed_async_client.engine.flow import Attempt, Begin, Emit, Flow, Wait
from typed_async_client.events import AsyncEvent
from typed_async_client.outcome import Failed, Outcome, Succeeded

if TYPE_CHECKING:
    import httpx

__all__ = ["drive", "drive_sync"]


async def drive(
    flow: Flow,
    send: Callable[[], Awaitable["httpx.Response"]],
    emit: Callable[[AsyncEvent], None],
) -> "httpx.Response":
    """Perform the steps of ``flow`` on the running event loop.

    Args:
        flow: the life of one request.
        send: makes one attempt; what it raises is an outcome, not an end.
        emit: takes an event, at once; never waits.

    Raises:
        BaseException: what the flow ends with, a cancellation included.
    """
    try:
        step = next(flow)
        while True:
            answer: Outcome | None = None
            try:
                match step:
                    case Attempt():
                        try:
                            answer = Succeeded(await send())
                        except Exception as error:  # noqa: BLE001 - httpx lets foreign errors out
                            answer = Failed.of(error)
                    case Emit():
                        emit(step.event)
                    case Begin():
                        await asyncio.sleep(0)
                    case Wait():
                        await asyncio.sleep(step.seconds)
                    case _:
                        assert_never(step)
            except BaseException as stop:  # noqa: BLE001 - the flow has the last word on it
                step = flow.throw(stop)
            else:
                step = flow.send(answer)
    except StopIteration as end:
        response: httpx.Response = end.value
        return response


def drive_sync(
    flow: Flow,
    send: Callable[[], "httpx.Response"],
    emit: Callable[[AsyncEvent], None],
    sleep: Callable[[float], None] = time.sleep,
) -> "httpx.Response":
    """Perform the steps of ``flow`` in plain code, as ``drive`` does on an event loop.

    Args:
        flow: the life of one request.
        send: makes one attempt; what it raises is an outcome, not an end.
        emit: takes an event.
        sleep: waits for some seconds.

    Raises:
        BaseException: what the flow ends with, a ``KeyboardInterrupt`` included.
    """
    try:
        step = next(flow)
        while True:
            answer: Outcome | None = None
            try:
                match step:
                    case Attempt():
                        try:
                            answer = Succeeded(send())
                        except Exception as error:  # noqa: BLE001 - httpx lets foreign errors out
                            answer = Failed.of(error)
                    case Emit():
                        emit(step.event)
                    case Wait():
                        sleep(step.seconds)
                    case Begin():
                        pass
                    case _:
                        assert_never(step)
            except BaseException as stop:  # noqa: BLE001 - the flow has the last word on it
                step = flow.throw(stop)
            else:
                step = flow.send(answer)
    except StopIteration as end:
        response: httpx.Response = end.value
        return response
