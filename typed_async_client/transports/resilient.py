"""The client's retries as a transport: one class for ``httpx.Client`` and ``httpx.AsyncClient``.

It plays the same flow that ``AsyncResilientClient`` plays, under the plain driver or the async one,
around any other transport. What it sees is one hop: redirects, challenges and cookies are above it.
"""

import asyncio
import contextvars
import functools
import inspect
import random as chance
import time
from collections.abc import Callable
from typing import cast

import httpx

from typed_async_client.context import RequestContext, checked_context
from typed_async_client.engine.callbacks import Callback, Callbacks
from typed_async_client.engine.drivers import drive, drive_sync
from typed_async_client.engine.flow import Flow, request_flow
from typed_async_client.engine.state import RequestState
from typed_async_client.events import AsyncEvent, EventType, RetryDetails
from typed_async_client.options import BackendName
from typed_async_client.outcome import AttemptHistory
from typed_async_client.sent import SentLog, begin_attempt, end_attempt, watch_body
from typed_async_client.transports.backends.foreign import BackendOptions
from typed_async_client.transports.backends.named import backend_maker
from typed_async_client.transports.pair import (
    AnyTransport,
    WrappingTransport,
    may_send_before_failing,
)

__all__ = ["ATTEMPTS", "ResilientTransport"]

ATTEMPTS = "typed_async_client.attempts"
"""Response extension: the ``AttemptHistory`` of the request."""

CONTEXT = "request_context"
"""Request extension: the ``RequestContext`` to use in place of a new one."""

_GRACE = 1.0
"""Seconds that running callbacks get to end when the transport is closed."""


class ResilientTransport(WrappingTransport):
    """Retries what could not be sent, around any transport, for either kind of httpx client.

    It retries connect failures with jittered backoff, as ``AsyncResilientClient`` does, and
    nothing else. Below such a client, or below another of its kind, it alone retries. A redirect
    that fails to connect is retried by itself, not with the hops before it.
    ``response.extensions["typed_async_client.attempts"]`` is the ``AttemptHistory``.
    A request may bring a context of its own: ``extensions={"request_context": context}``.

    Around an ``httpx.AsyncHTTPTransport`` it keeps asyncio's cancellations away from that pool,
    which would lose connections for good; at most ``max_connections`` requests use it at once.

    Args:
        transport: what sends; one for plain clients, for async ones, or for both. Without one,
            ``httpx.HTTPTransport()`` and ``AsyncPoolTransport()``. ``"aiohttp"`` or
            ``"pyreqwest"`` is that engine, with its errors told apart; the httpx transports
            that come with these libraries call connect failures otherwise.
        max_retries: retries after the first attempt.
        base_delay: seconds before the first retry.
        backoff_factor: growth of the delay.
        max_delay: seconds that no delay exceeds.
        on_event: called with a clone of each ``AsyncEvent``; what it raises is logged once and
            harms nobody. ``SUCCESS`` comes with the head of a response: its body is not read yet.
            Under async clients it may be async.
        max_connections: connections that a given ``httpx.AsyncHTTPTransport`` may have; None
            takes what it was made with.
        random: gives a number in [0, 1) for the jitter; a seeded one makes runs repeatable.

    Raises:
        ValueError: a number is out of range, or there is no such engine; the message names it.
        TypeError: ``on_event`` cannot be called.
        ImportError: the engine is an extra that is not installed.

    Example:
        >>> polite = ResilientTransport(max_retries=5, base_delay=0.5)
        >>> client = httpx.Client(mounts={"all://flaky.example.com": polite})
    """

    def __init__(
        self,
        transport: AnyTransport | BackendName | None = None,
        *,
        max_retries: int = 2,
        base_delay: float = 1.0,
        backoff_factor: float = 2.0,
        max_delay: float = 60.0,
        on_event: Callback | None = None,
        max_connections: int | None = None,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self._defaults = RequestContext(
            max_retries=max_retries,
            base_delay=base_delay,
            backoff_factor=backoff_factor,
            max_delay=max_delay,
        )
        self._callbacks = Callbacks()
        self._random = random
        if on_event is not None:
            for kind in EventType:
                self._callbacks.add(kind, on_event)
        self._tells_async = any(map(inspect.iscoroutinefunction, (on_event, _call_of(on_event))))
        if isinstance(transport, str):
            transport = backend_maker(transport)(BackendOptions())
        super().__init__(transport, max_connections=max_connections)
        self._may_send_before_failing = may_send_before_failing(transport)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of a plain client.

        Raises:
            ConnectError: every allowed attempt to connect has failed.
            TypeError: the wrapped transport, or ``on_event``, serves async clients only.
            Exception: whatever else the wrapped transport raises.
        """
        if self._tells_async:
            raise TypeError("on_event is async, and a plain client cannot run it: give a plain one")
        send = self._pair.plain.handle_request
        run = self._begin(request)
        attempt = functools.partial(send, request)
        outer = begin_attempt(run.sent)
        try:
            return run.record(drive_sync(run.flow, attempt, run.emit))
        finally:
            end_attempt(outer)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of an async client; raises what ``handle_request`` does."""
        send = self._pair.asynchronous.handle_async_request
        run = self._begin(request)
        attempt = functools.partial(send, request)
        outer = begin_attempt(run.sent)
        try:
            return run.record(await drive(run.flow, attempt, run.emit))
        finally:
            end_attempt(outer)

    async def aclose(self) -> None:
        """Give running async callbacks a second to end, then close the wrapped transport."""
        caller = asyncio.current_task()
        try:
            await self._callbacks.settle(_GRACE, excluding=caller)
            await self._callbacks.cancel(excluding=caller)
        finally:
            await super().aclose()

    def _begin(self, request: httpx.Request) -> "_Run":
        given = request.extensions.get(CONTEXT)
        context = self._defaults.renew() if given is None else checked_context(given).clone()
        state = RequestState(
            context,
            now=time.monotonic,
            random=self._random,
            method=request.method,
            request=request,
        )
        run = _Run(state, self._callbacks)
        run.sent.request = request
        run.sent.answered = self._may_send_before_failing
        watch_body(request, run.sent)
        return run


def _call_of(on_event: object) -> object:
    return getattr(type(on_event), "__call__", None)  # noqa: B004 - it is looked at, not called


class _Run:
    """One request on its way through the transport.

    Attributes:
        flow: its life, begun: it runs in a task that is under way already.
        sent: what it has sent.
    """

    __slots__ = ("_callbacks", "_ending", "_retries", "flow", "sent")

    def __init__(self, state: RequestState, callbacks: Callbacks) -> None:
        self.flow: Flow = request_flow(state)
        self.flow.send(None)
        self.sent: SentLog = SentLog()
        self._callbacks = callbacks
        self._ending: AsyncEvent | None = None
        self._retries: tuple[RetryDetails, ...] = ()

    def emit(self, event: AsyncEvent) -> None:
        """Note an event, and tell whoever wants it."""
        if event.event_type is EventType.RETRY:
            self._retries += (event.data,)
        else:
            self._ending = event
        if event.event_type in self._callbacks.wanted:
            self._callbacks.deliver(event.clone(), contextvars.copy_context())

    def record(self, response: httpx.Response) -> httpx.Response:
        """Write into a response how it came about."""
        ending = cast("AsyncEvent", self._ending)  # a response comes after its event
        response.extensions[ATTEMPTS] = AttemptHistory.of(ending, self._retries)
        return response
