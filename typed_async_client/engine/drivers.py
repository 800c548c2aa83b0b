"""Perform the steps of a flow: one driver for asyncio, one for synchronous code.

A driver decides nothing: it performs a step, sends the result back into the flow, and throws in
any exception that interrupted the step. Every wait within a request takes place here.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, assert_never

from typed_async_client.engine.flow import Attempt, Emit, Flow, Wait
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
        flow: the flow of one request.
        send: makes one attempt; an exception that it raises becomes a ``Failed`` outcome.
        emit: publishes an event; never waits.

    Raises:
        BaseException: the error that ends the flow, such as a cancellation.
    """
    step = next(flow)
    outcome: Outcome | None = None
    try:
        while True:
            outcome = None
            try:
                match step:
                    case Attempt():
                        try:
                            outcome = Succeeded(await send())
                        except Exception as error:  # noqa: BLE001 - httpx may raise any
                            outcome = Failed.of(error)
                    case Emit():
                        emit(step.event)
                    case Wait():
                        await asyncio.sleep(step.seconds)
                    case _:
                        assert_never(step)
            except BaseException as exc:  # noqa: BLE001 - the flow handles or raises it
                step = flow.throw(exc)
            else:
                step = flow.send(outcome)
    except StopIteration as finished:
        response: httpx.Response = finished.value
        return response
    finally:
        del emit, outcome, step  # the error of the request refers to this frame


def drive_sync(
    flow: Flow,
    send: Callable[[], "httpx.Response"],
    emit: Callable[[AsyncEvent], None],
    sleep: Callable[[float], None] = time.sleep,
) -> "httpx.Response":
    """Perform the steps of ``flow`` synchronously, as ``drive`` does on an event loop.

    Args:
        flow: the flow of one request.
        send: makes one attempt; an exception that it raises becomes a ``Failed`` outcome.
        emit: publishes an event.
        sleep: sleeps for a number of seconds.

    Raises:
        BaseException: the error that ends the flow, such as a ``KeyboardInterrupt``.
    """
    step = next(flow)
    outcome: Outcome | None = None
    try:
        while True:
            outcome = None
            try:
                match step:
                    case Attempt():
                        try:
                            outcome = Succeeded(send())
                        except Exception as error:  # noqa: BLE001 - httpx may raise any
                            outcome = Failed.of(error)
                    case Emit():
                        emit(step.event)
                    case Wait():
                        sleep(step.seconds)
                    case _:
                        assert_never(step)
            except BaseException as exc:  # noqa: BLE001 - the flow handles or raises it
                step = flow.throw(exc)
            else:
                step = flow.send(outcome)
    except StopIteration as finished:
        response: httpx.Response = finished.value
        return response
    finally:
        del emit, outcome, step  # the error of the request refers to this frame
