"""The client, which submits each call as a request to the engine.

It builds the httpx client that sends. Errors are interpreted in ``facts.py``.
"""

import asyncio
import dataclasses
import functools
import random as random_module
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Never, Self, Unpack

import httpx

from typed_async_client.context import RequestContext, checked_context
from typed_async_client.engine.engine import Engine
from typed_async_client.engine.in_flight import ResponseTask
from typed_async_client.engine.ledger import Ledger
from typed_async_client.httpx_client.build import build_httpx_client
from typed_async_client.httpx_client.external import ExternalClient
from typed_async_client.httpx_client.lifespan import OwnClient
from typed_async_client.httpx_client.packed import PackedResponse
from typed_async_client.httpx_client.packed_error import PackedError
from typed_async_client.options import (
    HttpClient,
    HttpxClientOptions,
    RequestOptions,
    check_client_options,
    snapshot,
)
from typed_async_client.record import RequestRecord
from typed_async_client.reporting import Reporting
from typed_async_client.spelling import check_names
from typed_async_client.unclosed import WarnsUnclosed
from typed_async_client.verbs import Verbs, checked_method

__all__ = ["AsyncResilientClient"]


class AsyncResilientClient(WarnsUnclosed, Reporting, Verbs):
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
        max_results: maximum number of results to keep, >= 0; the oldest are dropped first.
        max_result_bytes: maximum size of the bodies to keep with them, in bytes; beyond it, the
            oldest results lose their response.
        max_result_age: seconds to keep a result.
        grace: seconds to wait for running callbacks in ``wait_for_all_requests()`` and
            ``close()``, and for cancelled requests in ``close()``.
        random: returns a number in [0, 1), for the jitter; seed it for reproducible runs.
        http_client: your existing ``httpx.AsyncClient`` or ``httpx2.AsyncClient`` to send with. It
            keeps its options, and closing the resilient client leaves it open.
        **httpx_client_kwargs: options of ``httpx.AsyncClient``: timeout, limits, headers, ...;
            ``transport`` may also be ``"aiohttp"`` or ``"pyreqwest"``, with the extra of that name.
            ``redirect_headers`` names headers that follow a redirect to another origin, and
            ``allow_insecure_redirects=True`` lets a body follow one from https to http.
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
        max_result_bytes: int = 64 * 2**20,
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
        engine = Engine(
            Ledger(
                max_results=max_results,
                max_age=max_result_age,
                max_bytes=max_result_bytes,
                pack=PackedResponse.of,
                pack_error=PackedError.of,
            ),
            event_queue_size=event_queue_size,
            max_concurrent_requests=max_concurrent_requests,
            grace=grace,
            random=random,
        )
        super().__init__(engine)
        external = ExternalClient.of(http_client, httpx_client_kwargs)
        self._sender = external or OwnClient(build_httpx_client(httpx_client_kwargs))
        self._client: Any = self._sender.client
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
            method: the HTTP method, in upper or lower case; any token is one, such as PROPFIND.
            url: the URL.
            context: the request's id and retry limits; defaults to a random id and the client's
                limits.
            **options: options of ``httpx.AsyncClient.request``. Those not given aren't passed on.
                Mutable values are copied here, so that each attempt sends the same request.

        Returns:
            The task of the request. Its result is the ``httpx.Response``; cancelling it
            cancels the request.

        Raises:
            ValueError: the method isn't a token (RFC 9110), or the context has no attempts left.
            TypeError: an option is unknown, or a body can't be sent.
            RuntimeError: the client is closed, or belongs to another loop, thread or process.
        """
        method = checked_method(method)
        request_context = (
            self._defaults.renew() if context is None else checked_context(context).clone()
        )
        request_options: Any = snapshot(options, self._client) if options else {}
        record = RequestRecord(method, url, request_options.get("params"), self._client)
        send = functools.partial(self._send, record, url, request_options)
        self._engine.start()
        if not self._sender.is_entered:
            await self._initialize_client()
        if not self._engine.can_launch_now:
            await self._engine.wait_for_admission()
        headers = request_options.get("headers")
        return self._engine.launch(request_context, send, record=record, headers=headers)

    async def request(
        self,
        method: str,
        url: httpx.URL | str,
        context: RequestContext | None = None,
        **options: Unpack[RequestOptions],
    ) -> httpx.Response:
        """Submit a request and wait for its response: ``request_async()`` in one ``await``.

        Args:
            method: the HTTP method.
            url: the URL.
            context: the request's id and retry limits.
            **options: options of ``httpx.AsyncClient.request``.

        Raises:
            Exception: whatever ``request_async()`` or the request itself raises.

        Example:
            >>> async def main() -> None:
            ...     async with AsyncResilientClient() as client:
            ...         print((await client.request("GET", "https://example.org/")).text)
        """
        return await (await self.request_async(method, url, context, **options))

    def _send(self, record: RequestRecord, url: httpx.URL | str, options: dict[str, Any]) -> Any:
        """Make one attempt."""
        self._sender.begin_attempt(record)
        return self._client.request(record.method, url, **options)

    def new_context(
        self,
        request_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        max_retries: int | None = None,
        base_delay: float | None = None,
        backoff_factor: float | None = None,
        max_delay: float | None = None,
        **unknown: Never,
    ) -> RequestContext:
        """Return a context with this client's retry limits, except where you pass others.

        ``RequestContext()`` has the defaults of its class instead of the client's limits.

        Args:
            request_id: the id of the request; random by default.
            metadata: anything you want to attach to the request.
            max_retries: retries after the first attempt, >= 0.
            base_delay: seconds before the first retry.
            backoff_factor: multiplier of the delay from one retry to the next.
            max_delay: upper bound of each delay in seconds.
            **unknown: refused, with the name that was probably meant.

        Raises:
            ValueError: a value is out of range.
            TypeError: an argument is unknown.

        Example:
            >>> client = AsyncResilientClient(max_retries=1)
            >>> client.new_context("orders-17", base_delay=0.2).max_retries
            1
        """
        chosen: dict[str, Any] = {
            "request_id": request_id,
            "max_retries": max_retries,
            "base_delay": base_delay,
            "backoff_factor": backoff_factor,
            "max_delay": max_delay,
            "metadata": metadata,
        }
        check_names("new_context() argument", unknown, chosen)
        given = {name: value for name, value in chosen.items() if value is not None}
        return dataclasses.replace(self._defaults.renew(), **given)

    @property
    def is_closed(self) -> bool:
        """Whether ``close()`` was called."""
        return self._engine.is_closed

    @property
    def parts(self) -> list[object]:
        """The sender, which an external client doesn't make."""
        return [self._sender]

    async def close(self) -> None:
        """Cancel every request, deliver every event, then close the connections. Idempotent.

        Once started, it runs to completion even if the caller is cancelled.

        Raises:
            RuntimeError: the client belongs to another loop, thread or process.
        """
        loop = self._engine.check_binding()
        if self._closing is None or self._closing.cancelled():
            self._closing = loop.create_task(self._close(asyncio.current_task()))
        await asyncio.shield(self._closing)

    async def _close(self, caller: "asyncio.Task[Any] | None") -> None:
        try:
            await self._engine.shut_down(caller)
        finally:
            await self._sender.leave()

    async def _initialize_client(self) -> None:
        self._engine.start()
        await self._sender.enter()
        self._engine.start()  # raises if the client was closed in the meantime

    async def __aenter__(self) -> Self:
        self._engine.start()
        try:
            await self._sender.enter()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._sender.error = exc
        await self.close()
