"""The client: what users hold. It turns calls into requests and hands them to the engine.

httpx is built here; what its errors and responses mean is read in ``facts.py``.
"""

import asyncio
import dataclasses
import functools
import random as chance
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, Unpack

import httpx

from typed_async_client.context import RequestContext, checked_context
from typed_async_client.engine.callbacks import Callback
from typed_async_client.engine.engine import Engine
from typed_async_client.engine.in_flight import ResponseTask
from typed_async_client.engine.ledger import Ledger
from typed_async_client.engine.statistics import ClientStatistics
from typed_async_client.events import EventType
from typed_async_client.httpx_client.build import build_httpx_client
from typed_async_client.httpx_client.external import ExternalClient
from typed_async_client.httpx_client.packed import PackedResponse
from typed_async_client.options import (
    HttpClient,
    HttpxClientOptions,
    RequestOptions,
    check_client_options,
    snapshot,
)
from typed_async_client.outcome import RequestResult
from typed_async_client.sent import begin_attempt
from typed_async_client.verbs import Verbs, checked_method

__all__ = ["AsyncResilientClient"]


class AsyncResilientClient(Verbs):
    """An HTTP client whose requests run as tasks, are retried, and end exactly once.

    Connect failures are retried with jittered backoff; nothing else is. Every step is an
    ``AsyncEvent``; the end of each request is a ``RequestResult``.

    Args:
        event_queue_size: events that may wait for their callbacks before ``get()`` and its
            like wait too, >= 1.
        max_retries: retries after the first attempt, for requests without a context of theirs.
        base_delay: seconds before the first retry, likewise.
        backoff_factor: growth of the delay, likewise.
        max_delay: seconds that no delay exceeds, likewise.
        max_concurrent_requests: requests in flight at most; None is no limit.
        max_results: results kept at most; the oldest are dropped first.
        max_result_age: seconds that a result is kept at most.
        grace: seconds that running callbacks get to end in ``wait_for_all_requests()`` and in
            ``close()``, and cancelled requests in ``close()``.
        random: gives a number in [0, 1) for the jitter; a seeded one makes runs repeatable.
        http_client: a client of yours to send through, ``httpx.AsyncClient`` or
            ``httpx2.AsyncClient``: it keeps its own options, and stays open.
        **httpx_client_kwargs: options of ``httpx.AsyncClient``: timeout, limits, headers, ...;
            ``transport`` may also be ``"aiohttp"`` or ``"pyreqwest"``, with the extra of that name.

    Raises:
        ValueError: an option is out of range, or cannot be kept by the library that is to send.
        ImportError: the library of the extra named by ``transport`` is missing.

    Example:
        >>> async def main() -> None:
        ...     async with AsyncResilientClient(timeout=5.0) as client:
        ...         task = await client.get("https://example.org/")
        ...         print((await task).status_code)
    """

    def __init__(
        self,
        *,
        event_queue_size: int = 1000,
        max_retries: int = 2,
        base_delay: float = 1.0,
        backoff_factor: float = 2.0,
        max_delay: float = 60.0,
        max_concurrent_requests: int | None = None,
        max_results: int = 10_000,
        max_result_age: float = 3600.0,
        grace: float = 1.0,
        random: Callable[[], float] = chance.random,
        http_client: HttpClient | None = None,
        **httpx_client_kwargs: Unpack[HttpxClientOptions],
    ) -> None:
        check_client_options(httpx_client_kwargs, random)
        self._defaults = RequestContext(
            max_retries=max_retries,
            base_delay=base_delay,
            backoff_factor=backoff_factor,
            max_delay=max_delay,
        )
        self._engine = Engine(
            Ledger(max_results=max_results, max_age=max_result_age, pack=PackedResponse.of),
            event_queue_size=event_queue_size,
            max_concurrent_requests=max_concurrent_requests,
            grace=grace,
            random=random,
        )
        self._external = ExternalClient.of(http_client, httpx_client_kwargs)
        if self._external is None:
            self._client: Any = build_httpx_client(httpx_client_kwargs)
            self._begin_attempt: Callable[[], object] = begin_attempt
        else:
            self._client = http_client
            self._begin_attempt = self._external.begin_attempt
        self._closing: asyncio.Task[None] | None = None

    async def request_async(
        self,
        method: str,
        url: httpx.URL | str,
        context: RequestContext | None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask:
        """Submit a request. Awaiting this admits it; awaiting the task it gives completes it.

        Admission waits while ``max_concurrent_requests`` are in flight, or while more events
        wait for their callbacks than ``event_queue_size``.

        Args:
            method: the HTTP method, in whichever case.
            url: the address.
            context: the request's name and limits; without one, the client's are used.
            **options: options of ``httpx.AsyncClient.request``; what is not given is not
                passed on. Mutable values are copied here, so that each attempt sends the same.

        Returns:
            The task of the request. Its result is the ``httpx.Response``; cancelling it
            cancels the request.

        Raises:
            ValueError: the method is unknown, or the context has no attempt left.
            TypeError: an option is unknown, or a body cannot be sent.
            RuntimeError: the client is closed, or belongs to another loop, thread or process.
        """
        name = checked_method(method)
        kept = self._defaults.renew() if context is None else checked_context(context).clone()
        sent: Any = snapshot(options) if options else {}
        send = functools.partial(self._send, name, url, sent)
        self._engine.start()
        if not self._engine.admits_at_once:
            await self._engine.wait_for_admission()
        return self._engine.launch(kept, send, method=name)

    def _send(self, method: str, url: httpx.URL | str, options: dict[str, Any]) -> Any:
        """Make one attempt."""
        self._begin_attempt()
        return self._client.request(method, url, **options)

    def new_context(
        self, request_id: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> RequestContext:
        """Make a context with the client's own limits, to name a request or describe it.

        A ``RequestContext`` made by hand has the limits of its class, not the client's.

        Args:
            request_id: the name; a random one without it.
            metadata: anything of the caller's.
        """
        fresh = self._defaults.renew()
        name = fresh.request_id if request_id is None else request_id
        return dataclasses.replace(fresh, request_id=name, metadata=dict(metadata or {}))

    def add_event_callback(self, event_type: EventType, callback: Callback) -> None:
        """Call ``callback`` with a clone of each event of that type from now on.

        It may be plain or async. A slow or failing one neither delays nor fails a request; its
        first failure is logged. It runs in the context variables of the submitting caller.

        Raises:
            ValueError: there is no such event type.
            TypeError: the callback cannot be called.
        """
        self._engine.callbacks.add(EventType(event_type), callback)

    def remove_event_callback(self, event_type: EventType, callback: Callback) -> bool:
        """Stop calling ``callback``; tell whether it was registered."""
        return self._engine.callbacks.remove(EventType(event_type), callback)

    def get_result(self, request_id: str) -> RequestResult | None:
        """Give the latest result of a request id; None when it has none, or no more."""
        return self._engine.ledger.get(request_id)

    def get_all_results(self) -> dict[str, RequestResult]:
        """Give the kept results by request id, the oldest first."""
        return self._engine.ledger.all()

    def clear_old_results(self, max_age: float = 3600.0) -> int:
        """Drop the results older than ``max_age`` seconds; give their number."""
        return self._engine.ledger.forget_older_than(max_age)

    async def wait_for_request(
        self,
        request_id: str,
        timeout: float | None = None,  # noqa: ASYNC109 - asyncio.timeout is what it becomes
    ) -> RequestResult:
        """Wait until no request with that id is in flight; give the latest result.

        Args:
            request_id: the id. With a ``timeout``, it may also be submitted meanwhile.
            timeout: seconds to wait at most; None is no limit.

        Raises:
            TimeoutError: the time has passed; the request goes on.
            KeyError: without a ``timeout``, the id is neither in flight nor in the results.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._engine.wait_for(request_id, may_arrive=timeout is not None)
        except TimeoutError:
            raise TimeoutError(f"request {request_id!r} had no result within {timeout} s") from None

    async def wait_for_all_requests(self) -> dict[str, RequestResult]:
        """Wait until no request is in flight and every event was delivered; give all results.

        Async callbacks that still run then get ``grace`` seconds to end.
        """
        return await self._engine.wait_for_all()

    def statistics(self) -> ClientStatistics:
        """Give the counters of this client."""
        return self._engine.statistics()

    @property
    def active_tasks_count(self) -> int:
        """How many requests are in flight."""
        return len(self._engine.requests)

    @property
    def results_count(self) -> int:
        """How many results are kept."""
        return len(self._engine.ledger)

    @property
    def event_queue_size(self) -> int:
        """How many events wait to be delivered."""
        return self._engine.monitor.backlog

    @property
    def is_closed(self) -> bool:
        """Whether ``close()`` was called."""
        return self._engine.is_closed

    async def close(self) -> None:
        """Cancel what runs, deliver every event, then close the connections. Idempotent.

        Once begun it runs to its end, even if the caller is cancelled meanwhile.

        Raises:
            RuntimeError: the client belongs to another loop, thread or process.
        """
        self._engine.check_home()
        if self._closing is None or self._closing.cancelled():
            caller = asyncio.current_task()
            self._closing = asyncio.get_running_loop().create_task(self._close(caller))
        await asyncio.shield(self._closing)

    async def _close(self, caller: "asyncio.Task[Any] | None") -> None:
        try:
            await self._engine.shut_down(caller)
        finally:
            if self._external is None:
                await self._client.aclose()
            else:
                self._external.remove_hooks()

    async def _initialize_client(self) -> None:
        self._engine.start()

    async def __aenter__(self) -> Self:
        self._engine.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
