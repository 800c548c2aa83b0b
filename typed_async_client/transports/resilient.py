"""The client's retries as a transport: one class for ``httpx.Client`` and ``httpx.AsyncClient``.

It runs the same flow as ``AsyncResilientClient``, with the synchronous or the asynchronous driver,
around any other transport. It sees one hop at a time: redirects, authentication and cookies are
handled by the httpx client above it.
"""

import asyncio
import contextvars
import functools
import inspect
import random as random_module
import time
from collections.abc import Callable
from types import TracebackType
from typing import cast

import httpx

from typed_async_client.binding import running_loop
from typed_async_client.context import RequestContext, checked_context
from typed_async_client.engine.callbacks import Callback, Callbacks
from typed_async_client.engine.drivers import drive, drive_sync
from typed_async_client.engine.flow import Flow, request_flow
from typed_async_client.engine.log import log_event
from typed_async_client.engine.state import RequestState
from typed_async_client.events import AsyncEvent, EventType, RetryDetails
from typed_async_client.libraries import check_request
from typed_async_client.options import BackendName
from typed_async_client.outcome import AttemptHistory
from typed_async_client.pool.environment import ProxyRules
from typed_async_client.record import RequestRecord
from typed_async_client.sent import SentLog, attempt_log, begin_attempt, end_attempt, watch_body
from typed_async_client.transports.backends.foreign import NEVER_RESENDS, BackendOptions, refuse
from typed_async_client.transports.backends.named import backend_maker
from typed_async_client.transports.described_body import describe_body
from typed_async_client.transports.environment import AsyncProxiedTransport
from typed_async_client.transports.pair import (
    AnyTransport,
    WrappingTransport,
    is_application,
    may_send_before_failing,
)
from typed_async_client.unclosed import owned
from typed_async_client.wire.uploads import aclose_generator, close_generator

__all__ = ["ATTEMPTS", "ResilientTransport"]

ATTEMPTS = "typed_async_client.attempts"
"""Response extension: the ``AttemptHistory`` of the request."""

CONTEXT = "request_context"
"""Request extension: the ``RequestContext`` to use in place of a new one."""

_GRACE = 1.0
"""Seconds that running callbacks get to finish when the transport is closed."""


class ResilientTransport(WrappingTransport):
    """A transport that retries connect failures, around any transport, for either httpx client.

    It retries connect failures with jittered backoff, as ``AsyncResilientClient`` does, and
    nothing else. Inside such a client, or inside another ``ResilientTransport``, only the inner
    one retries. A redirect that fails to connect is retried alone, without the hops before it.
    ``response.extensions["typed_async_client.attempts"]`` is the ``AttemptHistory``.
    A request can carry its own context: ``extensions={"request_context": context}``.

    Around an ``httpx.AsyncHTTPTransport`` it shields the pool from asyncio's cancellations, which
    would leak connections; at most ``max_connections`` requests use the pool at the same time.

    Args:
        transport: the transport to send with, for synchronous clients, for asynchronous ones, or
            for both. None means ``httpx.HTTPTransport()`` and ``AsyncPoolTransport()``, through the
            proxies of the environment.
            ``"aiohttp"`` and ``"pyreqwest"`` select that backend, with its errors translated
            precisely; the httpx transports that ship with these libraries don't report connect
            failures as such.
        max_retries: retries after the first attempt.
        base_delay: seconds before the first retry.
        backoff_factor: factor by which the delay grows.
        max_delay: upper limit of a delay, in seconds.
        on_event: called with a clone of each ``AsyncEvent``; an exception it raises is logged once
            and otherwise ignored. ``SUCCESS`` is emitted when the response headers arrive: the
            body hasn't been read yet. With asynchronous clients it may be async.
        max_connections: how many connections a wrapped ``httpx.AsyncHTTPTransport`` allows; None
            reads the limit from the transport.
        trust_env: whether the environment counts for a transport made here, as in httpx's clients:
            ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``, ``SSL_CERT_FILE`` and
            ``SSL_CERT_DIR``. httpx itself ignores the proxies as soon as it is given a transport.
        resend_on_closed: as for ``AsyncPoolTransport``, if that is made here; httpx's synchronous
            transport and the backends never send a request again on their own.
        random: returns a number in [0, 1) for the jitter; a seeded one makes runs repeatable.

    Raises:
        ValueError: an option is out of range or doesn't apply to ``transport``, or the backend is
            unknown; the message names it.
        TypeError: ``transport`` isn't an httpx transport, or ``on_event`` isn't callable.
        ImportError: the backend, or a proxy of the environment, needs an extra that isn't
            installed.

    Example:
        >>> retrying = ResilientTransport(max_retries=5, base_delay=0.5)
        >>> client = httpx.Client(mounts={"all://flaky.example.com": retrying})
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
        trust_env: bool = True,
        resend_on_closed: bool = True,
        random: Callable[[], float] = random_module.random,
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
        self._has_async_callback = any(
            map(inspect.iscoroutinefunction, (on_event, _call_method_of(on_event)))
        )
        if isinstance(transport, str):
            if max_connections is not None:
                option = f"max_connections={max_connections!r}"
                raise refuse(
                    transport, option, "that tells the limit of an httpx.AsyncHTTPTransport"
                )
            if not resend_on_closed:
                raise refuse(transport, "resend_on_closed=False", NEVER_RESENDS)
            transport, trust_env = _make_backend(transport, trust_env=trust_env), True
        super().__init__(
            transport,
            max_connections=max_connections,
            trust_env=trust_env,
            resend_on_closed=resend_on_closed,
        )
        self._may_send_before_failing = may_send_before_failing(transport)
        self._calls_application = is_application(transport)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of a synchronous client.

        Raises:
            ConnectError: every allowed attempt to connect has failed.
            TypeError: the wrapped transport, or ``on_event``, only supports asynchronous clients;
                or the client is an httpx2 client, see ``for_httpx2()``.
            Exception: whatever else the wrapped transport raises.
        """
        if self._has_async_callback:
            raise TypeError("on_event is async, which a synchronous client can't run: use a def")
        send = self._pair.sync_transport.handle_request
        run = self._start(request)
        attempt = functools.partial(send, request)
        outer = begin_attempt(run.sent)
        try:
            response = run.attach_history(drive_sync(run.flow, attempt, run.emit))
            return describe_body(response, request)
        finally:
            end_attempt(outer)
            del run  # the error of its last event refers to this frame
            close_generator(request.stream)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of an asynchronous client; raises the same as ``handle_request``.

        Raises:
            RuntimeError: no event loop of asyncio is running, but maybe one of trio.
        """
        running_loop()
        send = self._pair.async_transport.handle_async_request
        run = self._start(request)
        attempt = functools.partial(send, request)
        outer = begin_attempt(run.sent)
        has_sent = self.wrapped is None or isinstance(self.wrapped, httpx.AsyncHTTPTransport)
        try:
            response = run.attach_history(await drive(run.flow, attempt, run.emit))
            return describe_body(response, request)
        except BaseException:
            has_sent = True
            raise
        finally:
            end_attempt(outer)
            del run  # the error of its last event refers to this frame
            if has_sent:  # other transports may go on sending after they have returned a response
                await aclose_generator(request.stream)

    async def aclose(self) -> None:
        """Give running async callbacks one second to finish, then close the wrapped transport."""
        try:
            await self._settle_callbacks()
        finally:
            await super().aclose()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        try:
            await self._settle_callbacks()
        finally:
            await super().__aexit__(exc_type, exc, traceback)

    async def _settle_callbacks(self) -> None:
        if not self._callbacks.running:
            return
        caller = asyncio.current_task()
        await self._callbacks.settle(_GRACE, excluding=caller)
        await self._callbacks.cancel(excluding=caller)

    def _start(self, request: httpx.Request) -> "_Run":
        check_request(request)
        given = request.extensions.get(CONTEXT)
        context = self._defaults.renew() if given is None else checked_context(given).clone()
        state = RequestState(
            context,
            now=time.monotonic,
            random=self._random,
            record=RequestRecord(request.method, request.url),
            headers=request.headers,
            request=request,
        )
        run = _Run(state, self._callbacks)
        run.sent.answered = self._may_send_before_failing
        run.sent.is_sending = not self._calls_application
        watch_body(request, run.sent)
        return run


def _make_backend(name: str, *, trust_env: bool) -> httpx.AsyncBaseTransport:
    """Make a transport on a backend, through the proxies of the environment if it is trusted."""
    make = backend_maker(name)
    rules = ProxyRules.of_environment(trust_env=trust_env)

    def through(proxy: httpx.Proxy | None) -> httpx.AsyncBaseTransport:
        return make(BackendOptions(proxy=proxy, trust_env=trust_env))

    return owned(AsyncProxiedTransport(rules, through) if rules.proxies else through(None))


def _call_method_of(on_event: object) -> object:
    return getattr(type(on_event), "__call__", None)  # noqa: B004 - inspected, never called


class _Run:
    """One request passing through the transport.

    Attributes:
        flow: the flow of the request.
        sent: what the request has sent so far.
    """

    __slots__ = ("_callbacks", "_final_event", "_retries", "flow", "sent")

    def __init__(self, state: RequestState, callbacks: Callbacks) -> None:
        self.flow: Flow = request_flow(state)
        self.sent: SentLog = SentLog(record=state.record, outer=attempt_log())
        self._callbacks = callbacks
        self._final_event: AsyncEvent | None = None
        self._retries: tuple[RetryDetails, ...] = ()

    def emit(self, event: AsyncEvent) -> None:
        """Record an event, and deliver it to the callbacks."""
        if event.event_type is EventType.RETRY:
            self._retries += (event.data,)
            log_event(event)
        else:
            self._final_event = event
            if event.error is not None and not self.sent.is_nested:
                log_event(event)
        if event.event_type in self._callbacks.wanted:
            self._callbacks.deliver(event.clone(), contextvars.copy_context())

    def attach_history(self, response: httpx.Response) -> httpx.Response:
        """Attach the ``AttemptHistory`` to a response."""
        final_event = cast("AsyncEvent", self._final_event)  # emitted before the response
        response.extensions[ATTEMPTS] = AttemptHistory.of(final_event, self._retries)
        return response
