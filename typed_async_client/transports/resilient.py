"""The client's retries as a transport: one class for ``httpx.Client`` and ``httpx.AsyncClient``.

It runs the same flow as ``AsyncResilientClient``, with the synchronous or the asynchronous driver,
around any other transport. It sees one hop at a time: redirects, authentication and cookies are
handled by the httpx client above it.
"""

import math
import random as random_module
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx

from typed_async_client.binding import running_loop
from typed_async_client.context import checked_context
from typed_async_client.engine.callbacks import Callback, Callbacks
from typed_async_client.engine.circuits import CircuitControl, circuit_control
from typed_async_client.engine.drivers import AsyncDriver
from typed_async_client.engine.flow import request_flow
from typed_async_client.engine.run import Run
from typed_async_client.engine.shared import SharedPolicies
from typed_async_client.engine.sync_driver import LockedFlow, SyncDriver
from typed_async_client.events import EventType
from typed_async_client.libraries import check_request
from typed_async_client.options import BackendName
from typed_async_client.policies.classify import is_idempotent
from typed_async_client.policies.resilience import Resilience
from typed_async_client.record import RequestRecord
from typed_async_client.request_options import (
    OwnOptions,
    check_store,
    check_sync,
    checked_resilience,
    limits_of,
)
from typed_async_client.sent import attempt_log, end_attempt, keep_attempt
from typed_async_client.sources import aclose_source, close_source
from typed_async_client.stores import StateStore, SyncStateStore
from typed_async_client.transports.environment import check_backend_options, proxied_backend
from typed_async_client.transports.pair import (
    AnyTransport,
    WrappingTransport,
    is_application,
    may_send_before_failing,
)
from typed_async_client.transports.senders import (
    ATTEMPTS,
    AsyncTransportSender,
    SyncTransportSender,
)
from typed_async_client.transports.transport_events import (
    SettlesCallbacks,
    TransportEvents,
    is_async,
)

if TYPE_CHECKING:
    from typed_async_client.engine.shared import Policies
    from typed_async_client.engine.steps import Flow

__all__ = ["ATTEMPTS", "ResilientTransport"]

CONTEXT = "request_context"
"""Request extension: the ``RequestContext`` to use in place of a new one."""

_CONNECT_ONLY = Resilience.connect_only()

_NO_OPTIONS = OwnOptions()


class ResilientTransport(SettlesCallbacks, WrappingTransport):
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
        resilience: Resilience | None = None,
        store: StateStore | SyncStateStore | None = None,
        max_retries: int | None = None,
        base_delay: float | None = None,
        backoff_factor: float | None = None,
        max_delay: float | None = None,
        on_event: Callback | None = None,
        max_connections: int | None = None,
        trust_env: bool = True,
        resend_on_closed: bool = True,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        chosen = _CONNECT_ONLY if resilience is None else checked_resilience(resilience)
        if isinstance(transport, httpx.BaseTransport) and not isinstance(
            transport, httpx.AsyncBaseTransport
        ):
            check_sync(chosen)
        given = {
            "max_retries": max_retries,
            "base_delay": base_delay,
            "backoff_factor": backoff_factor,
            "max_delay": max_delay,
        }
        self._defaults = limits_of(chosen, given)
        self._lock = threading.RLock()
        self._shared = SharedPolicies(store)
        self._policies: Policies = self._shared.of(chosen)
        self._callbacks = Callbacks()
        self._random = random
        if on_event is not None:
            for kind in EventType:
                self._callbacks.add(kind, on_event)
        self._has_async_callback = is_async(on_event)
        if isinstance(transport, str):
            check_backend_options(transport, max_connections, resend_on_closed=resend_on_closed)
            transport, trust_env = proxied_backend(transport, trust_env=trust_env), True
        super().__init__(
            transport,
            max_connections=max_connections,
            trust_env=trust_env,
            resend_on_closed=resend_on_closed,
        )
        self._traits = {
            "answered": may_send_before_failing(transport),
            "is_sending": not is_application(transport),
        }

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of a synchronous client.

        Raises:
            ConnectError: every allowed attempt to connect has failed.
            RejectedError: a policy has refused the request.
            GaveUpError: a policy allows no other attempt.
            TypeError: the wrapped transport, or ``on_event``, only supports asynchronous clients;
                or the client is an httpx2 client, see ``for_httpx2()``.
            Exception: whatever else the wrapped transport raises.
        """
        if self._has_async_callback:
            raise TypeError("on_event is async, which a synchronous client can't run: use a def")
        transport = self._pair.sync_transport.handle_request
        check_store(self._shared.store, is_async=False)
        run = self._prepare(request, time.monotonic)
        if not run.policies.is_plain or run.policies.retry.when is not None:
            check_sync(run.policies.options)
        events = self._events()
        sender = SyncTransportSender(transport, run, request, events.publish, **self._traits)
        driver = SyncDriver(sender, events.publish)
        outer = keep_attempt()
        try:
            return sender.completed(driver.drive(self._locked(run)))
        finally:
            end_attempt(outer)
            del run, sender, driver, events  # the error of the last event refers to this frame
            close_source(request.stream)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of an asynchronous client; raises the same as ``handle_request``.

        Raises:
            RuntimeError: no event loop of asyncio is running, but maybe one of trio.
        """
        loop = running_loop()
        transport = self._pair.async_transport.handle_async_request
        check_store(self._shared.store, is_async=True)
        run = self._prepare(request, loop.time)
        events = self._events()
        sender = AsyncTransportSender(transport, run, request, events.publish, **self._traits)
        driver = AsyncDriver(sender, events.publish)
        outer = keep_attempt()
        has_sent = type(self.wrapped) is httpx.AsyncHTTPTransport
        try:
            return sender.completed(await driver.drive(self._locked(run)))
        except BaseException:
            has_sent = True
            raise
        finally:
            end_attempt(outer)
            del run, sender, driver, events  # the error of the last event refers to this frame
            if has_sent:  # others, ours included, may go on sending beside a response
                await aclose_source(request.stream)

    def circuit(self, origin: str) -> CircuitControl:
        """Return the circuit of a host, to look at it, or to open and close it by hand.

        Args:
            origin: scheme, name and port of the host, as in ``https://api.example.org``.

        Raises:
            ValueError: the transport has no circuit breaker, or a store keeps its state.
        """
        publish = self._events().publish
        return circuit_control(self._policies, origin, time.monotonic(), publish, self._lock)

    def _prepare(self, request: httpx.Request, now: Callable[[], float]) -> Run:
        """Check the request and what it brings; return the state that it starts in."""
        check_request(request)
        extensions = request.extensions
        policies, defaults = self._policies, self._defaults
        own = _NO_OPTIONS
        if len(extensions) > 1:  # nearly all requests bring their timeouts only
            own, _ = OwnOptions.split(extensions)
        if own.resilience is not None:
            policies = self._shared.of(own.resilience)
            defaults = limits_of(own.resilience, {})
        given = extensions.get(CONTEXT)
        seconds = own.deadline_of(policies.options)
        method = request.method
        is_safe = is_idempotent(method) or is_idempotent(method, request.headers.raw)
        key = own.key_for(policies.options, is_idempotent=is_safe)
        return Run(
            defaults.renew() if given is None else checked_context(given).clone(),
            policies,
            now,
            self._random,
            RequestRecord(method, request.url),
            is_safe or key is not None,
            self._callbacks.wanted,
            deadline=math.inf if seconds is None else now() + seconds,
            key=key,
            may_copy=isinstance(request.stream, httpx.ByteStream),
        )

    def _events(self) -> TransportEvents:
        return TransportEvents(self._callbacks, is_nested=attempt_log() is not None)

    def _locked(self, run: Run) -> "Flow[httpx.Response]":
        """Return the flow of a request, which holds the lock if it uses shared policies."""
        flow = request_flow(run)
        return flow if run.policies.is_plain else LockedFlow(flow, self._lock)
