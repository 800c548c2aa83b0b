"""What follows the body of a response: its permits are given back, and its terminal event is published.

That happens once: when the body has ended, broken off or been closed, when its deadline passes while nobody
reads it, or when the response is dropped without being closed.
"""

import asyncio
import contextlib
import math
import time
import warnings
import weakref
from collections.abc import Callable
from typing import Any

from typed_async_client.engine.drivers import finish
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Flow
from typed_async_client.errors import DeadlineExceededError
from typed_async_client.events import AsyncEvent
from typed_async_client.wording import name_server

__all__ = ["Delivery"]


class Delivery:
    """What follows the body of a response, once.

    Args:
        flow: the flow of the request, which has handed the response over.
        publish: publishes its last events.
        run: the state of the request.
        client: the client of httpx or httpx2 that reads the body; None for one of httpx.
        warns: whether a response that is dropped unclosed causes a ``ResourceWarning``.

    Attributes:
        deadline: when the request must have ended, in monotonic seconds; infinite for never.
    """

    __slots__ = (
        "__weakref__",
        "_client",
        "_flow",
        "_loop",
        "_publish",
        "_run",
        "_stream",
        "_timer",
        "_warns",
        "deadline",
    )

    def __init__(
        self,
        flow: Flow[Any],
        publish: Callable[[AsyncEvent], None],
        run: Run,
        client: Any = None,
        *,
        warns: bool = False,
    ) -> None:
        self._flow: Flow[Any] | None = flow
        self.deadline: float = run.deadline
        self._client = client
        self._loop: asyncio.AbstractEventLoop | None = None
        self._publish = publish
        self._run = run
        self._stream: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._warns = warns

    def guard(self, stream: Any) -> None:
        """Close a body at the deadline, and if its response is dropped, on the running event loop."""
        self._loop, self._stream = asyncio.get_running_loop(), stream
        if self.deadline != math.inf:
            self._timer = self._loop.call_at(self.deadline, _expire, weakref.ref(self))

    def end(self, error: BaseException | None = None) -> None:
        """Resume the flow with what broke the body; None if it has ended or was closed."""
        flow, self._flow = self._flow, None
        if flow is None:
            return
        self._stream = None
        if self._timer is not None:
            self._timer.cancel()
        finish(flow, error, self._publish)

    async def close(self, interruption: BaseException) -> None:
        """End the request as interrupted, and close the body: no reader will get the response."""
        stream = self._stream
        self.end(interruption)
        if stream is not None:
            await stream.aclose()

    def expire(self) -> None:
        """End the request at its deadline, and close the body; one that reads it is interrupted, too."""
        stream = self._stream
        self.end(self.too_late())
        if stream is not None:
            _close_later(stream)

    def check_deadline(self) -> None:
        """Raise ``DeadlineExceededError`` if the deadline has passed."""
        if time.monotonic() > self.deadline:
            raise self.too_late()

    def too_late(self) -> DeadlineExceededError:
        """Return the error of a body that wasn't read before the deadline."""
        record = self._run.record
        return DeadlineExceededError(
            f"{record.method}: the deadline passed before the response from "
            f"{name_server(record.origin)} was read",
            client=self._client,
        )

    def __del__(self) -> None:
        """Cancel a request whose response nobody can read or close any more.

        The garbage collector may have closed its flow already, in any thread.
        """
        if self._flow is None:
            return
        if self._loop is None:
            self._drop()
        else:
            with contextlib.suppress(
                RuntimeError
            ):  # the loop is closed, and the connection with it
                self._loop.call_soon_threadsafe(self._drop)

    def _drop(self) -> None:
        flow, self._flow = self._flow, None
        stream, self._stream = self._stream, None
        if flow is not None:
            flow.close()  # with the lock of its policies; it gives back what they have granted
        if self._timer is not None:
            self._timer.cancel()
        if stream is not None:
            _close_later(stream)
        self._publish(self._run.cancelled_event(asyncio.CancelledError()))
        if self._warns:
            record = self._run.record
            message = (
                f"the response to {record.method} {record.url} was dropped without being closed"
            )
            warnings.warn(message, ResourceWarning, source=self, stacklevel=2)


def _expire(reference: "weakref.ref[Delivery]") -> None:
    delivery = reference()
    if delivery is not None:
        delivery.expire()


_closing: set["asyncio.Task[None]"] = set()
"""Refers to the tasks that close bodies, which asyncio itself doesn't."""


def _close_later(stream: Any) -> None:
    task = asyncio.get_running_loop().create_task(_close(stream))
    _closing.add(task)
    task.add_done_callback(_closing.discard)


async def _close(stream: Any) -> None:
    with contextlib.suppress(Exception):  # nobody is left to be told
        await stream.aclose()
