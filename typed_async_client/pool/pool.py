"""A connection pool with httpcore's interface that stays intact when requests are cancelled.

Which request gets which connection is decided in ``queue.py`` and ``slots.py``, by synchronous
calls whose amortised cost hardly depends on the number of connections and waiting requests. This module
awaits two things only: a slot, and the exchange on it.
"""

import asyncio
import random as random_module
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import httpcore
import httpx

from typed_async_client.binding import Binding
from typed_async_client.net.backend import AsyncioBackend
from typed_async_client.net.deadline import time_limit
from typed_async_client.pool.body import COMPLETE, PooledBody, has_explicit_end
from typed_async_client.pool.connector import Connector, Http11
from typed_async_client.pool.failures import describe_wait, explain, is_explained
from typed_async_client.pool.options import ChooseProxy, ConnectionOptions
from typed_async_client.pool.queue import PoolQueue, Waiter
from typed_async_client.pool.resend import PooledRequest
from typed_async_client.pool.slot import PoolLimits, Slot
from typed_async_client.pool.slots import PoolStatistics, Slots
from typed_async_client.pool.warm_up import WarmUpReport, WarmUps
from typed_async_client.private import is_stock_pool
from typed_async_client.unclosed import WarnsUnclosed
from typed_async_client.wire.messages import closing_request, timeout_of

__all__ = ["ConnectionPool", "PoolStatistics"]

if not httpcore.__version__.startswith("1.0."):
    raise ImportError(
        f"the connection pool requires httpcore 1.0, but {httpcore.__version__} is installed: "
        "install 'httpcore>=1.0.9,<1.1', or pass transport=httpx.AsyncHTTPTransport()"
    )


class ConnectionPool(WarnsUnclosed, httpcore.AsyncConnectionPool):
    """A connection pool with the interface of ``httpcore.AsyncConnectionPool``.

    A slot belongs to the exchange that holds it, and is given back however the exchange ends. If
    the exchange didn't end cleanly, or left bytes unread, its connection is closed. Requests that
    wait for the same origin are served in order.

    Args:
        limits: the limits of the pool.
        ssl_context: for https; httpcore's default if None.
        proxy: a forward, tunnel or SOCKS5 proxy.
        proxy_for: chooses the proxy of each origin, in place of ``proxy``.
        http1: allow HTTP/1.1.
        http2: allow HTTP/2 where the server supports it; needs the extra ``http2``.
        http2_keepalive: seconds of silence after which a PING asks whether an HTTP/2 server is
            still there, and again until the connection is closed; None never asks.
        retries: connect attempts after the first, at once, then 0.5, 1, 2, ... seconds later; kept
            for compatibility, leave at 0.
        local_address: address to connect from.
        uds: path of a Unix socket to connect to.
        network_backend: opens connections; an ``AsyncioBackend`` if None.
        socket_options: set on each socket.
        http11: the HTTP/1.1 parser: ``"llhttp"``, ``"h11"``, or ``"auto"``, which is llhttp where httptools is installed.
        resend_on_closed: send an idempotent request once more if its reused connection is closed
            before the first byte of the response.
        random: returns a number in [0, 1), to spread the ages of connections.

    Raises:
        ImportError: llhttp is requested and httptools isn't installed.
        ValueError: ``http11`` has another value.
    """

    def __init__(
        self,
        *,
        limits: PoolLimits | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: httpcore.Proxy | None = None,
        proxy_for: ChooseProxy | None = None,
        http1: bool = True,
        http2: bool = False,
        http2_keepalive: float | None = None,
        retries: int = 0,
        local_address: str | None = None,
        uds: str | None = None,
        network_backend: AsyncioBackend | None = None,
        socket_options: Iterable[Any] | None = None,
        http11: Http11 = "auto",
        resend_on_closed: bool = True,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        limits = limits or PoolLimits()
        backend = network_backend or AsyncioBackend()
        options = ConnectionOptions(
            ssl_context=ssl_context,
            proxy=proxy,
            proxy_for=proxy_for,
            http1=http1,
            http2=http2,
            http2_keepalive=http2_keepalive,
            retries=retries,
            local_address=local_address,
            uds=uds,
            socket_options=socket_options,
        )
        super().__init__(  # serves requests that a patched method passes on to the original
            network_backend=backend, **limits.arguments, **options.arguments
        )
        self._backend, self._limits, self._options = backend, limits, options
        self._connector = Connector(options, backend, http11)
        self._slots = Slots(
            limits,
            connect=self._connector.for_slot,
            multiplexes=options.may_multiplex,
            now=time.monotonic,
            random=random,
        )
        self._binding, self._closed, self._resend_on_closed = Binding(), False, resend_on_closed
        self._queue = PoolQueue(self._slots, limits.max_connections)
        self._warm_ups = WarmUps(self._slots, self._queue, options.may_multiplex)

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request on a pooled connection, and return its response with an open body.

        Raises:
            httpcore.PoolTimeout: no connection became available within the ``pool`` timeout.
            httpcore.ConnectError: one connection after another closed before accepting the request.
            httpcore.UnsupportedProtocol: the pool doesn't support the URL's scheme.
            httpcore.LocalProtocolError: the request breaks a rule of ``wire/request_rules.py``.
            ClientBoundError: the pool belongs to another event loop, thread or process.
        """
        if not is_stock_pool():
            return await super().handle_async_request(request)
        self._binding.check()
        if self._limits.force_close:
            request = closing_request(request)
        pooled = PooledRequest(request, resend_on_closed=self._resend_on_closed)
        request = pooled.prepare()
        while True:
            slot = self._take(pooled)
            if slot is None:
                slot = await self._wait_for_slot(pooled)
            received, written = slot.received, slot.written
            try:
                response = await slot.connection.handle_async_request(request)
            except httpcore.ConnectionNotAvailable as error:
                self._leave_unavailable(slot, pooled)
                pooled.record_unavailable(error)
            except BaseException as error:  # noqa: BLE001 - raised again, or the request is sent again
                failure = pooled.record_failure(slot, error, received=received, written=written)
                self._give_back(slot, pooled, clean=False)
                try:
                    if failure is error and not is_explained(error):
                        raise
                    if failure is not None:
                        cause = error.__cause__ if failure is error else error
                        raise explain(failure, request, slot) from cause
                finally:
                    cause = failure = None  # they refer to this frame
            else:
                return self._wrap_response(slot, pooled, response)

    async def warm_up(
        self, urls: Iterable[httpx.URL], connections: int, timeouts: Mapping[str, float | None]
    ) -> list[WarmUpReport]:
        """Open idle connections to the origins of URLs, without sending a request.

        Nothing is opened while a tool has patched httpcore's pool, as some that record requests do.

        Args:
            urls: URLs of the origins.
            connections: how many idle connections each origin should have, >= 1.
            timeouts: seconds by phase: ``connect``, ``read``, ``write``; None is no limit.

        Raises:
            httpx.UnsupportedProtocol: the pool doesn't support the scheme of a URL.
            ClientBoundError: the pool belongs to another event loop, thread or process.
        """
        self._binding.check()
        self._check_open()
        return await self._warm_ups.open(urls, connections if is_stock_pool() else 0, timeouts)

    def create_connection(self, origin: httpcore.Origin) -> Any:
        """Create a connection for httpcore's own code, where a patched method passes requests on."""
        return self._connector.unpooled((origin.scheme, origin.host, origin.port))

    @property
    def connections(self) -> list[Any]:
        """The connections of the pool, oldest first."""
        return [slot.connection for slot in self._slots.all]

    @property
    def _is_unclosed(self) -> bool:
        """Whether it has open connections."""
        return any(slot.is_open for slot in self._slots.all)

    def _abandon(self) -> None:
        """Close the idle connections, from any thread."""
        for slot in self._slots.all:
            if slot.users == 0:
                slot.abandon()

    def statistics(self) -> PoolStatistics:
        """Return a snapshot of the pool's state and counters."""
        slots = self._slots.all
        return PoolStatistics(
            active=len(slots) - self._slots.idle,
            idle=self._slots.idle,
            connecting=sum(not slot.layers for slot in slots),
            waiting=len(self._queue),
            opened=self._slots.opened,
            closed=dict(self._slots.closed),
        )

    async def aclose(self) -> None:
        """Close every connection; requests waiting for one fail."""
        self._closed = True
        self._queue.fail("the connection pool was closed")
        self._slots.drop_all()
        await super().aclose()
        if self._binding.loop is not None:
            await self._warm_ups.aclose()
            await self._backend.aclose()
            await asyncio.sleep(0)  # let asyncio close the aborted sockets

    def __repr__(self) -> str:
        stats = self.statistics()
        return (
            f"<ConnectionPool [{stats.active} active, {stats.idle} idle, {stats.waiting} waiting]>"
        )

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the connection pool is closed: create a new transport")

    def _take(self, pooled: PooledRequest) -> Slot | None:
        self._check_open()
        return self._queue.take(pooled)

    async def _wait_for_slot(self, pooled: PooledRequest) -> Slot:
        ahead = len(self._queue)
        waiter = self._queue.add(pooled)
        pooled.log_waiting(is_queued=True)
        try:
            async with time_limit(timeout_of(pooled.request, "pool"), extends=False):
                slot = await waiter.slot
        except TimeoutError as error:
            self._leave(waiter)
            active, limit = self.statistics().active, self._limits.max_connections
            message = describe_wait(pooled.request, pooled.origin, active, limit, ahead)
            raise httpcore.PoolTimeout(message) from error
        except BaseException:
            self._leave(waiter)
            raise
        pooled.log_waiting(is_queued=False)
        return slot

    def _leave(self, waiter: Waiter) -> None:
        """Stop waiting; a slot that was assigned too late goes to the next waiter."""
        if waiter.slot.cancel() or waiter.slot.cancelled():
            self._queue.leave(waiter)
        elif waiter.slot.exception() is None:
            self._give_back(waiter.slot.result(), waiter.request, clean=True)

    def _give_back(self, slot: Slot, pooled: PooledRequest, *, clean: bool) -> None:
        self._slots.give_back(slot, pooled.ticket, clean=clean)
        self._queue.serve(slot.key)

    def _leave_unavailable(self, slot: Slot, pooled: PooledRequest) -> None:
        """Leave a connection that can't serve another request at the same time."""
        slot.exchanges -= 1  # none was started
        self._slots.stop_sharing(slot)
        self._give_back(slot, pooled, clean=True)

    def _wrap_response(
        self, slot: Slot, pooled: PooledRequest, response: httpcore.Response
    ) -> httpcore.Response:
        request = pooled.request
        if self._options.may_multiplex(slot.origin) and not slot.is_multiplexed:
            self._slots.stop_sharing(slot)  # it speaks HTTP/1.1
        response.extensions[COMPLETE] = has_explicit_end(request, response) or None
        if pooled.failed_slot:
            response.extensions.update(pooled.extensions())
        response.stream = PooledBody(response.stream, pooled, slot, self._give_back)
        return response
