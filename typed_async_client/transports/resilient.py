"""The client's retries as a transport: one class for ``httpx.Client`` and ``httpx.AsyncClient``.

It runs the same flow as ``AsyncResilientClient``, with the synchronous or the asynchronous driver,
around any other transport. It sees one hop at a time: redirects, authentication and cookies are
handled by the httpx client above it.
"""

import functools
import random as random_module
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import httpx

from typed_async_client.binding import running_loop
from typed_async_client.engine.callbacks import Callback
from typed_async_client.engine.circuits import CircuitControl, circuit_control
from typed_async_client.engine.drivers import AsyncDriver
from typed_async_client.engine.flow import request_flow
from typed_async_client.engine.run import Run
from typed_async_client.engine.sync_driver import LockedFlow, SyncDriver
from typed_async_client.middleware import (
    TransportMiddleware,
    check_kind,
    checked_middleware,
)
from typed_async_client.net.thread_deadline import thread_deadline
from typed_async_client.options import BackendName
from typed_async_client.policies.resilience import Resilience
from typed_async_client.request_options import (
    check_store_kind,
    limits_of,
)
from typed_async_client.sent import SentLog, attempt_log, end_attempt, keep_attempt
from typed_async_client.sources.closing import aclose_source, close_source
from typed_async_client.stores import StateStore, SyncStateStore
from typed_async_client.transports.calls import AsyncTransportCalls, SyncTransportCalls
from typed_async_client.transports.environment import check_backend_options, proxied_backend
from typed_async_client.transports.pair import (
    AnyTransport,
    WrappingTransport,
)
from typed_async_client.transports.senders import (
    ATTEMPTS,
    AsyncTransportSender,
    SyncTransportSender,
    Traits,
)
from typed_async_client.transports.starting import (
    Starting,
    check_run_sync,
    checked_policies,
    kind_of,
)
from typed_async_client.transports.transport_events import (
    EndsItsTasks,
    TransportEvents,
    callbacks_for,
    is_async,
)

if TYPE_CHECKING:
    from typed_async_client.engine.steps import Flow
    from typed_async_client.events import AsyncEvent

__all__ = ["ATTEMPTS", "ResilientTransport"]


class ResilientTransport(EndsItsTasks, WrappingTransport):
    """A transport that retries what may be retried, around any transport, for either httpx client.

    It applies the policies of ``resilience``, as ``AsyncResilientClient`` does; by default it
    retries connect failures with jittered backoff, and nothing else. Threads, and clients of both
    kinds, may share it: its policies then count all of them together. Inside such a client, or inside another ``ResilientTransport``, only the inner
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
        resilience: the policies, such as ``Resilience.standard()``; None for
            ``Resilience.connect_only()``. A request can bring its own, a deadline and a key:
            ``extensions={"resilience": ..., "deadline": 5.0, "idempotency_key": "..."}``.
        store: as for ``AsyncResilientClient``; ``SyncRedisStore`` for synchronous clients.
        max_retries: retries after the first attempt. This and the next three options replace the
            numbers of the retry policy.
        base_delay: seconds before the first retry.
        backoff_factor: factor by which the delay grows.
        max_delay: upper limit of a delay, in seconds.
        on_event: called with a clone of each ``AsyncEvent``; an exception it raises is logged once
            and otherwise ignored. ``SUCCESS`` is published when the body has been read, or the
            response closed. With asynchronous clients it may be async.
        middleware: functions ``m(request, call_next)``, called around each request with its retries,
            outermost first: ``async def`` for asynchronous clients, ``def`` for synchronous ones.
            The body of the response that ``call_next`` returns hasn't been read.
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
        TypeError: ``transport`` isn't an httpx transport, ``on_event`` isn't callable, an entry of
            ``middleware`` isn't one, or ``store`` isn't a store for that kind of client.
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
        resilience: Resilience | None = None,
        store: StateStore | SyncStateStore | None = None,
        max_retries: int | None = None,
        base_delay: float | None = None,
        backoff_factor: float | None = None,
        max_delay: float | None = None,
        on_event: Callback | None = None,
        middleware: Iterable[TransportMiddleware] = (),
        max_connections: int | None = None,
        trust_env: bool = True,
        resend_on_closed: bool = True,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        kind = kind_of(transport)
        chosen = checked_policies(resilience, store, kind)
        given = {
            "max_retries": max_retries,
            "base_delay": base_delay,
            "backoff_factor": backoff_factor,
            "max_delay": max_delay,
        }
        self._callbacks = callbacks_for(on_event)
        self._has_async_callback = is_async(on_event)
        self._lock = threading.RLock()
        limits = limits_of(chosen, given)
        self._prepare = Starting(chosen, limits, self._callbacks, random, store)
        self._background = self._prepare.policies.background
        self._middleware = checked_middleware(middleware, kind)
        if isinstance(transport, str):
            check_backend_options(transport, max_connections, resend_on_closed=resend_on_closed)
            transport, trust_env = proxied_backend(transport, trust_env=trust_env), True
        super().__init__(
            transport,
            max_connections=max_connections,
            trust_env=trust_env,
            resend_on_closed=resend_on_closed,
        )
        self._traits = Traits.of(transport)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of a synchronous client.

        Raises:
            ConnectError: every allowed attempt to connect has failed.
            RejectedError: a policy has refused the request.
            GaveUpError: a policy allows no other attempt.
            TypeError: the wrapped transport, ``store``, ``on_event`` or ``middleware`` only supports
                asynchronous clients; or the client is an httpx2 client, see ``for_httpx2()``.
            Exception: whatever else the wrapped transport raises.
        """
        if self._has_async_callback:
            raise TypeError("on_event is async, which a synchronous client can't run: use a def")
        transport = self._pair.sync_transport.handle_request
        if self._prepare.store is not None:
            check_store_kind(self._prepare.store, "sync")
        run: Run = self._prepare(request, time.monotonic)
        run.deadline = min(run.deadline, thread_deadline())  # of an attempt around this transport
        check_run_sync(run)
        log = attempt_log()
        publish = self._publisher(log)
        sender = SyncTransportSender(transport, self._traits, run, request, log)
        driver = SyncDriver(sender, publish)
        calls: SyncTransportCalls | None = None
        if self._middleware:
            check_kind(self._middleware, "sync")
            make_sender = functools.partial(SyncTransportSender, transport, self._traits)
            calls = SyncTransportCalls(run, request, self._prepare, make_sender, log)
        outer = keep_attempt()
        try:
            return sender.completed(driver.drive(self._flow(run, calls, publish)))
        finally:
            end_attempt(outer)
            del run, sender, driver, publish  # the error of the last event refers to this frame
            for sent in [request] if calls is None else calls.requests:
                close_source(sent.stream)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of an asynchronous client; raises the same as ``handle_request``.

        Raises:
            RuntimeError: no event loop of asyncio is running, but maybe one of trio.
        """
        loop = running_loop()
        transport = self._pair.async_transport.handle_async_request
        if self._prepare.store is not None:
            check_store_kind(self._prepare.store, "async")
        run: Run = self._prepare(request, loop.time)
        log = attempt_log()
        publish = self._publisher(log)
        sender = AsyncTransportSender(transport, self._traits, run, request, log)
        driver = AsyncDriver(sender, publish)
        calls: AsyncTransportCalls | None = None
        if self._middleware:
            check_kind(self._middleware, "async")
            make_sender = functools.partial(AsyncTransportSender, transport, self._traits)
            calls = AsyncTransportCalls(run, request, self._prepare, make_sender, log)
        outer = keep_attempt()
        has_sent = type(self.wrapped) is httpx.AsyncHTTPTransport
        try:
            return sender.completed(await driver.drive(self._flow(run, calls, publish)))
        except BaseException:
            has_sent = True
            raise
        finally:
            end_attempt(outer)
            del run, sender, driver, publish  # the error of the last event refers to this frame
            if has_sent:  # others, ours included, may go on sending beside a response
                for sent in [request] if calls is None else calls.requests:
                    await aclose_source(sent.stream)

    def circuit(self, origin: str) -> CircuitControl:
        """Return the circuit of a host, to look at it, or to open and close it by hand.

        Args:
            origin: scheme, name and port of the host, as in ``https://api.example.org``.

        Raises:
            ValueError: the transport has no circuit breaker, or a store keeps its state.
        """
        publish = self._publisher(attempt_log())
        return circuit_control(
            self._prepare.policies, origin, time.monotonic(), publish, self._lock
        )

    def _publisher(self, log: SentLog | None) -> "Callable[[AsyncEvent], None]":
        """Return what publishes the events of a request, which may be part of an attempt."""
        return TransportEvents(self._callbacks, is_nested=log is not None).publish

    def _flow(
        self,
        run: Run,
        calls: SyncTransportCalls | AsyncTransportCalls | None,
        publish: "Callable[[AsyncEvent], None]",
    ) -> "Flow[httpx.Response]":
        """Return the flow of a request, which holds the lock if it uses shared policies."""
        if calls is not None:
            return calls.flow(self._middleware, publish, self._lock)
        flow = request_flow(run)
        return flow if run.policies.is_plain else LockedFlow(flow, self._lock)
