"""What a client reports about its requests: events to callbacks, results, waits, and counters."""

import asyncio
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, overload

from typed_async_client.engine.callbacks import Callback
from typed_async_client.engine.engine import Engine
from typed_async_client.engine.statistics import ClientStatistics
from typed_async_client.events import (
    AsyncEvent,
    EventType,
    HedgeDetails,
    RetryDetails,
    ThrottleDetails,
)
from typed_async_client.policies.transitions import Transition
from typed_async_client.results import RequestResult

if TYPE_CHECKING:
    import httpx

    _Data = httpx.Response | RetryDetails | ThrottleDetails | HedgeDetails | Transition | None

__all__ = ["Reporting"]


class Reporting:
    """The part of a client that reports on its requests.

    Args:
        engine: runs the requests.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __repr__(self) -> str:
        state = "closed" if self._engine.is_closed else "open"
        return (
            f"<{type(self).__name__} {state}: {self.active_tasks_count} in flight, "
            f"{self.results_count} results, {self.event_queue_size} events waiting>"
        )

    @overload
    def add_event_callback(
        self,
        event_type: Literal[EventType.SUCCESS, "success"],
        callback: "Callable[[AsyncEvent[httpx.Response]], Any]",
    ) -> None: ...

    @overload
    def add_event_callback(
        self,
        event_type: Literal[EventType.RETRY, "retry"],
        callback: Callable[[AsyncEvent[RetryDetails]], Any],
    ) -> None: ...

    @overload
    def add_event_callback(
        self,
        event_type: Literal[EventType.THROTTLED, "throttled"],
        callback: Callable[[AsyncEvent[ThrottleDetails]], Any],
    ) -> None: ...

    @overload
    def add_event_callback(
        self,
        event_type: Literal[EventType.HEDGED, "hedged"],
        callback: Callable[[AsyncEvent[HedgeDetails]], Any],
    ) -> None: ...

    @overload
    def add_event_callback(
        self,
        event_type: Literal[
            EventType.CIRCUIT_OPENED,
            EventType.CIRCUIT_HALF_OPEN,
            EventType.CIRCUIT_CLOSED,
            "circuit_opened",
            "circuit_half_open",
            "circuit_closed",
        ],
        callback: Callable[[AsyncEvent[Transition]], Any],
    ) -> None: ...

    @overload
    def add_event_callback(
        self,
        event_type: Literal[
            EventType.ERROR,
            EventType.TIMEOUT,
            EventType.CANCELLED,
            EventType.REJECTED,
            EventType.STARTED,
            "error",
            "timeout",
            "cancelled",
            "rejected",
            "started",
        ],
        callback: Callable[[AsyncEvent[None]], Any],
    ) -> None: ...

    @overload
    def add_event_callback(
        self,
        event_type: EventType | str,
        callback: "Callable[[AsyncEvent[_Data]], Any]",
    ) -> None: ...

    def add_event_callback(
        self, event_type: EventType | str, callback: Callable[[AsyncEvent[Any]], Any]
    ) -> None:
        """Call ``callback`` with a clone of each event of that type from now on.

        It may be sync or async, and runs with the context variables of the code that submitted the
        request. A callback that raises, or an async one that is slow, doesn't delay or fail a
        request; its first failure is logged. A sync one that blocks holds up the event loop, as any
        blocking code does.

        To a type checker, ``event.data`` is the ``RetryDetails`` of a ``RETRY``, the response of a
        ``SUCCESS``, and None for the other types.

        Raises:
            ValueError: there is no such event type.
            TypeError: ``callback`` isn't callable.

        Example:
            >>> client = AsyncResilientClient()
            >>> client.add_event_callback(EventType.RETRY, lambda event: print(event.data.delay))
        """
        self._engine.callbacks.add(EventType(event_type), callback)

    def remove_event_callback(self, event_type: EventType | str, callback: Callback) -> bool:
        """Stop calling ``callback``; return whether it was registered."""
        return self._engine.callbacks.remove(EventType(event_type), callback)

    def get_result(self, request_id: str) -> RequestResult | None:
        """Return the latest result of a request id; None if unknown or expired."""
        return self._engine.ledger.get(request_id)

    def get_all_results(self) -> dict[str, RequestResult]:
        """Return the kept results by request id, oldest first."""
        return self._engine.ledger.all()

    def clear_old_results(self, max_age: float = 3600.0) -> int:
        """Drop the results older than ``max_age`` seconds; return their number."""
        return self._engine.ledger.drop_older_than(max_age)

    async def wait_for_request(
        self,
        request_id: str,
        timeout: float | None = None,  # noqa: ASYNC109 - passed to asyncio.timeout
    ) -> RequestResult:
        """Wait until no request with that id is in flight; return the latest result.

        Args:
            request_id: the id. With a ``timeout``, the request may also be submitted later.
            timeout: maximum number of seconds to wait; None for no limit.

        Raises:
            TimeoutError: the timeout expired; the request continues.
            KeyError: there is no ``timeout``, and the id is neither in flight nor in the results.
        """
        self._engine.check_binding()
        try:
            async with asyncio.timeout(timeout):
                return await self._engine.wait_for(request_id, allow_unknown=timeout is not None)
        except TimeoutError:
            raise TimeoutError(f"request {request_id!r} had no result within {timeout} s") from None

    async def wait_for_all_requests(self) -> dict[str, RequestResult]:
        """Wait until no request is in flight and every event is delivered; return all results.

        Async callbacks that are still running then have ``grace`` seconds to end.

        Warns:
            RuntimeWarning: results, or responses, of requests that ended since this method returned
                last were dropped because of the client's limits (``max_results``,
                ``max_result_bytes``, ``max_result_age``). A limit of 0 doesn't warn.
        """
        results = await self._engine.wait_for_all()
        if losses := self._engine.ledger.end_batch():
            warnings.warn(
                f"{losses.results} results and {losses.responses} responses of these requests were "
                f"dropped because of the client's limits ({losses.limits}): raise the limits, or "
                "keep the responses that the tasks return",
                RuntimeWarning,
                stacklevel=2,
            )
        return results

    def statistics(self) -> ClientStatistics:
        """Return the counters of this client."""
        return self._engine.statistics()

    @property
    def active_tasks_count(self) -> int:
        """The number of requests in flight."""
        return len(self._engine.requests)

    @property
    def results_count(self) -> int:
        """The number of results kept."""
        return len(self._engine.ledger)

    @property
    def event_queue_size(self) -> int:
        """The number of events waiting to be delivered."""
        return self._engine.monitor.backlog
