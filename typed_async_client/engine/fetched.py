"""Requests whose caller gets a result, whether they succeed or fail."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

from typed_async_client.engine.in_flight import ResponseTask
from typed_async_client.engine.run import Run
from typed_async_client.events import AsyncEvent, EventType
from typed_async_client.kept_results import result_of, result_with_value

if TYPE_CHECKING:
    from typed_async_client.results import RequestResult

__all__ = ["FetchRun", "failure_of", "fetched"]


class FetchRun(Run):
    """The state of a request that keeps its terminal event; the results of the client may be dropped.

    Attributes:
        terminal_event: the event; None until it is created.
    """

    __slots__ = ("terminal_event",)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.terminal_event: AsyncEvent | None = None

    def event(
        self, kind: EventType, data: Any = None, error: BaseException | None = None
    ) -> AsyncEvent:
        """Create the next event of the request."""
        event = super().event(kind, data, error)
        if kind.is_terminal and self.terminal_event is None:
            self.terminal_event = event
        return event


def failure_of(run: FetchRun, error: Exception) -> "RequestResult[Any]":
    """Return the result of a request that wasn't admitted.

    Args:
        run: its state.
        error: why it wasn't; if the request has no event, its client was closed.
    """
    return result_of(run.terminal_event or run.cancelled_event(error))


async def fetched(run: FetchRun, task: ResponseTask) -> "RequestResult[Any]":
    """Wait for a request, and return its result.

    Raises:
        CancelledError: the caller was cancelled, and the request with it.
        BaseException: the request was interrupted by something that isn't an error, such as
            ``KeyboardInterrupt``.
    """
    try:
        await asyncio.wait([task])  # unlike the task itself, it is cancelled only with the caller
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait([task])
        raise
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, Exception):
        raise error
    event = cast("AsyncEvent", run.terminal_event)
    if run.decode is None or event.event_type is not EventType.SUCCESS:
        return result_of(event)
    return result_with_value(event, task.result())
