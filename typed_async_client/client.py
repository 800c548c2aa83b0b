"""The client, which submits each call as a request to the engine.

It builds the httpx client that sends. Errors are interpreted in ``facts.py``.
"""

import asyncio
import dataclasses
import functools
import random as random_module
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
    """An HTTP client that runs each request as a task and retries connect failures.

    Only connect failures are retried, with jittered backoff. What happens to a request is reported
    as ``AsyncEvent`` objects, and how it ended as a ``RequestResult``.

    Args:
        event_queue_size: events that may be queued for callbacks before submitting another
            request waits, >= 1.
        max_retries: retries after the first attempt. This and the next three options apply to
            requests without their own context.
        base_delay: seconds before the first retry.
        backoff_factor: multiplier of the delay from one retry to the next.
        max_delay: upper bound of each delay in seconds.
        max_concurrent_requests: maximum number of requests in flight; None for no limit.
        max_results: maximum number of results to keep; the oldest are dropped first.
        max_result_age: seconds to keep a result.
        grace: seconds to wait for running callbacks in ``wait_for_all_requests()`` and
            ``close()``, and for cancelled requests in ``close()``.
        random: returns a number in [0, 1), for the jitter; seed it for reproducible runs.
        http_client: your existing ``httpx.AsyncClient`` or ``httpx2.AsyncClient`` to send with. It
            keeps its options, and closing the resilient client leaves it open.
        **httpx_client_kwargs: options of ``httpx.AsyncClient``: timeout, limits, headers, ...;
            ``transport`` may also be ``"aiohttp"`` or ``"pyreqwest"``, with the extra of that name.
            Without a ``timeout`` it is 5 s to connect, read and write, and none to wait for a
            connection of our own pool. ``resend_on_closed`` is that of ``AsyncPoolTransport``.

    Raises:
        ValueError: an option is out of range, or not supported by the chosen backend.
        ImportError: the extra named by ``transport`` isn't installed.

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
        random: Callable[[], float] = random_module.random,
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
        """Submit a request. Awaiting this admits it; awaiting the returned task completes it.

        Admission waits while ``max_concurrent_requests`` requests are in flight, or while more
        than ``event_queue_size`` events are waiting for their callbacks.

        Args:
            method: the HTTP method, in upper or lower case.
            url: the URL.
            context: the request's id and retry limits; defaults to a random id and the client's
                limits.
            **options: options of ``httpx.AsyncClient.request``. Those not given aren't passed on.
                Mutable values are copied here, so that each attempt sends the same request.

        Returns:
            The task of the request. Its result is the ``httpx.Response``; cancelling it
            cancels the request.

        Raises:
            ValueError: the method is unknown, or the context has no attempts left.
            TypeError: an option is unknown, or a body can't be sent.
            RuntimeError: the client is closed, or belongs to another loop, thread or process.
        """
        method = checked_method(method)
        request_context = (
            self._defaults.renew() if context is None else checked_context(context).clone()
        )
        request_options: Any = snapshot(options) if options else {}
        send = functools.partial(self._send, method, url, request_options)
        self._engine.start()
        if not self._engine.can_launch_now:
            await self._engine.wait_for_admission()
        headers = request_options.get("headers")
        return self._engine.launch(request_context, send, method=method, headers=headers)

    def _send(self, method: str, url: httpx.URL | str, options: dict[str, Any]) -> Any:
        """Make one attempt."""
        self._begin_attempt()
        return self._client.request(method, url, **options)

    def new_context(
        self, request_id: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> RequestContext:
        """Return a context with this client's retry limits and your own id or metadata.

        ``RequestContext()`` has the defaults of its class instead of the client's limits.

        Args:
            request_id: the id of the request; random by default.
            metadata: anything you want to attach to the request.
        """
        context = self._defaults.renew()
        chosen_id = context.request_id if request_id is None else request_id
        return dataclasses.replace(context, request_id=chosen_id, metadata=dict(metadata or {}))

    def add_event_callback(self, event_type: EventType, callback: Callback) -> None:
        """Call ``callback`` with a clone of each event of that type from now on.

        It may be sync or async, and runs with the context variables of the code that submitted the
        request. A callback that raises, or an async one that is slow, doesn't delay or fail a
        request; its first failure is logged. A sync one that blocks holds up the event loop, as any
        blocking code does.

        Raises:
            ValueError: there is no such event type.
            TypeError: ``callback`` isn't callable.
        """
        self._engine.callbacks.add(EventType(event_type), callback)

    def remove_event_callback(self, event_type: EventType, callback: Callback) -> bool:
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
        try:
            async with asyncio.timeout(timeout):
                return await self._engine.wait_for(request_id, allow_unknown=timeout is not None)
        except TimeoutError:
            raise TimeoutError(f"request {request_id!r} had no result within {timeout} s") from None

    async def wait_for_all_requests(self) -> dict[str, RequestResult]:
        """Wait until no request is in flight and every event is delivered; return all results.

        Async callbacks that are still running then have ``grace`` seconds to end.
        """
        return await self._engine.wait_for_all()

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

    @property
    def is_closed(self) -> bool:
        """Whether ``close()`` was called."""
        return self._engine.is_closed

    async def close(self) -> None:
        """Cancel every request, deliver every event, then close the connections. Idempotent.

        Once started, it runs to completion even if the caller is cancelled.

        Raises:
            RuntimeError: the client belongs to another loop, thread or process.
        """
        self._engine.check_binding()
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
