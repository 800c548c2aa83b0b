"""A connection pool of httpcore's interface that no cancellation can harm.

httpcore makes the connections, so HTTP/2, proxies, SOCKS and Unix sockets work as there; who gets
which is decided here, by plain calls that cost a constant number of steps (``slots.py``). What this
file waits for: a slot, and the exchange on it.

Names of httpcore 1.0 used that are not in its documentation: ``AsyncConnectionPool.create_connection``
and its ``_network_backend`` (here), ``AsyncHTTPConnection._connection``,
``AsyncHTTP11Connection._h11_state`` and ``is_socket_readable`` (in ``slot.py``); more of HTTP/2 in
``abandoned.py``.
"""

import asyncio
import dataclasses
import random as chance
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import httpcore

from typed_async_client.engine.binding import Binding
from typed_async_client.transports.connection import DirectConnection, Http11, load_exchange
from typed_async_client.transports.exchange import (
    COMPLETE,
    Body,
    Recorder,
    Waiter,
    length_of,
    may_be_read_otherwise,
    tells_its_end,
)
from typed_async_client.transports.network import AsyncioBackend
from typed_async_client.transports.resend import RESENDS, Passage
from typed_async_client.transports.slot import Origin, PoolLimits, Slot
from typed_async_client.transports.slots import Slots

if TYPE_CHECKING:
    from typed_async_client.transports.http2.watched import SpeaksHttp2

__all__ = ["ConnectionPool", "PoolStatistics"]

if not httpcore.__version__.startswith("1.0."):
    raise ImportError(
        f"the connection pool is made for httpcore 1.0, and {httpcore.__version__} is installed: "
        "install 'httpcore>=1.0.9,<1.1', or pass transport=httpx.AsyncHTTPTransport()"
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatistics:
    """What a pool holds now, and what it has done.

    Attributes:
        active: connections that requests hold.
        idle: connections kept for further requests.
        connecting: connections, of the active ones, that are not connected yet.
        waiting: requests that wait for a connection.
        opened: connections made so far.
        closed: connections closed so far, by reason.
    """

    active: int
    idle: int
    connecting: int
    waiting: int
    opened: int
    closed: dict[str, int]


class ConnectionPool(httpcore.AsyncConnectionPool):
    """A drop-in for ``httpcore.AsyncConnectionPool``.

    A slot belongs to the exchange that holds it and is given back however the exchange ends; one
    that did not end cleanly, or that left bytes unread, closes its connection. Who waits is
    served first come, first served.

    Args:
        limits: the bounds.
        ssl_context: for https; httpcore's default without one.
        proxy: a forward, tunnel or SOCKS5 proxy.
        http1: speak HTTP/1.1.
        http2: speak HTTP/2 where the server does; needs the extra ``http2``.
        retries: connect attempts after the first, as httpcore makes them; 0 here by rights.
        local_address: address to connect from.
        uds: path of a Unix socket to connect to.
        network_backend: opens connections; an ``AsyncioBackend`` without one.
        socket_options: set on each socket.
        http11: what speaks HTTP/1.1 without a proxy: ``"llhttp"``, our exchange, which needs the
            extra ``fast``; ``"h11"``, httpcore's; ``"auto"`` is llhttp where it is installed.
        random: gives a number in [0, 1), to spread the ages of connections.

    Raises:
        ImportError: llhttp is asked for, and the extra ``fast`` is not installed.
        ValueError: ``http11`` is none of the three.
    """

    def __init__(
        self,
        *,
        limits: PoolLimits | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: httpcore.Proxy | None = None,
        http1: bool = True,
        http2: bool = False,
        retries: int = 0,
        local_address: str | None = None,
        uds: str | None = None,
        network_backend: AsyncioBackend | None = None,
        socket_options: Iterable[Any] | None = None,
        http11: Http11 = "auto",
        random: Callable[[], float] = chance.random,
    ) -> None:
        super().__init__(
            ssl_context=ssl_context,
            proxy=proxy,
            http1=http1,
            http2=http2,
            retries=retries,
            local_address=local_address,
            uds=uds,
            socket_options=socket_options,
        )
        self._backend = network_backend or AsyncioBackend()
        exchange = load_exchange(http11)
        self._exchange = exchange if proxy is None and retries == 0 else None
        self._multiplexing: SpeaksHttp2 | None = None
        if http2:
            self._multiplexing = "agreed" if http1 else "alone"
        self._slots = Slots(
            limits or PoolLimits(),
            connect=self._make_connection,
            multiplexes=self._may_multiplex,
            now=time.monotonic,
            random=random,
        )
        self._binding = Binding()
        self._waiting: OrderedDict[Waiter, None] = OrderedDict()
        self._closed = False

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request on a connection of the pool, and give its response with an open body.

        Raises:
            httpcore.PoolTimeout: no connection was free for the ``pool`` timeout.
            httpcore.ConnectError: connection after connection closed before it took the request.
            httpcore.UnsupportedProtocol: the scheme is none that the pool speaks.
            ClientBoundError: the pool belongs to another event loop, thread or process.
        """
        self._binding.check()
        passage = Passage(request)
        while True:
            slot = self._take_out_of_turn(passage)
            if slot is None:
                slot = await self._wait_for_slot(passage)
            received = slot.received
            try:
                response = await slot.connection.handle_async_request(request)
            except httpcore.ConnectionNotAvailable as error:
                self._not_available(slot)
                passage.turn_away(error)
            except BaseException as error:
                failure = passage.fail(slot, error, received=received)
                self._give_back(slot, clean=False)
                if failure is error:
                    raise
                if failure is not None:
                    raise failure from error
            else:
                return self._answer(slot, request, response, passage.resends)

    @property
    def connections(self) -> list[Any]:
        """The connections that httpcore made, the oldest first."""
        return [slot.connection for slot in self._slots.all]

    def statistics(self) -> PoolStatistics:
        """Count what the pool holds and has done."""
        everyone = self._slots.all
        return PoolStatistics(
            active=len(everyone) - self._slots.idle,
            idle=self._slots.idle,
            connecting=sum(not slot.layers for slot in everyone),
            waiting=sum(not waiter.slot.done() for waiter in self._waiting),
            opened=self._slots.opened,
            closed=dict(self._slots.closed),
        )

    async def aclose(self) -> None:
        """Close every connection; requests that wait for one are told so."""
        self._closed = True
        for waiter in self._waiting:
            if not waiter.slot.done():
                waiter.slot.set_exception(RuntimeError("the connection pool was closed"))
        self._waiting.clear()
        self._slots.drop_all()
        await asyncio.sleep(0)  # asyncio closes an aborted socket one turn later

    def __repr__(self) -> str:
        told = self.statistics()
        return f"<ConnectionPool [{told.active} active, {told.idle} idle, {told.waiting} waiting]>"

    def _take_out_of_turn(self, passage: Passage) -> Slot | None:
        """Take a slot, if nobody waits for one."""
        if self._closed:
            raise RuntimeError("the connection pool is closed")
        return None if self._waiting else self._take(passage)

    async def _wait_for_slot(self, passage: Passage) -> Slot:
        waiter = Waiter(passage, asyncio.get_running_loop().create_future())
        self._waiting[waiter] = None
        timeout = passage.request.extensions.get("timeout", {}).get("pool")
        try:
            self._serve()
            async with asyncio.timeout(timeout):
                return await waiter.slot
        except TimeoutError as error:
            self._leave(waiter)
            raise httpcore.PoolTimeout(f"no connection was free within {timeout} s") from error
        except BaseException:
            self._leave(waiter)
            raise

    def _leave(self, waiter: "Waiter") -> None:
        """Stop waiting; a slot that was handed over and cannot be used goes on to the next."""
        self._waiting.pop(waiter, None)
        if waiter.slot.cancel() or waiter.slot.cancelled():
            self._serve()  # whoever stood behind may want less
        elif waiter.slot.exception() is None:
            self._give_back(waiter.slot.result(), clean=True)

    def _serve(self) -> None:
        """Hand slots to those who wait, in turn, as far as there are any."""
        while self._waiting:
            waiter = next(iter(self._waiting))
            if not waiter.slot.done():
                slot = self._take(waiter.passage)
                if slot is None:
                    return
                waiter.slot.set_result(slot)
            del self._waiting[waiter]

    def _take(self, passage: Passage) -> Slot | None:
        return self._slots.take(passage.origin, after=passage.after, hopes=passage.hopes)

    def _give_back(self, slot: Slot, *, clean: bool) -> None:
        self._slots.give_back(slot, clean=clean)
        self._serve()

    def _not_available(self, slot: Slot) -> None:
        """Leave a connection that serves no more requests at once than it has."""
        slot.exchanges -= 1  # none was begun
        self._slots.learn(slot)
        self._give_back(slot, clean=True)

    def _answer(
        self, slot: Slot, request: httpcore.Request, response: httpcore.Response, resends: int
    ) -> httpcore.Response:
        if self._may_multiplex(slot.origin) and not slot.is_multiplexed:
            self._slots.learn(slot)
        response.extensions[COMPLETE] = True if tells_its_end(request, response) else None
        if "trailing_headers" not in response.extensions and may_be_read_otherwise(response):
            slot.retire_at = 0.0
        if resends:
            response.extensions[RESENDS] = resends
        length = length_of(request, response) if slot.is_multiplexed else None
        response.stream = Body(response.stream, slot, self._give_back, length=length)
        return response

    def _may_multiplex(self, origin: Origin) -> bool:
        return self._multiplexing is not None and (
            origin[0] == b"https" or self._multiplexing == "alone"
        )

    def _make_connection(self, slot: Slot) -> Any:
        origin = httpcore.Origin(*slot.origin)
        recorder = Recorder(self._backend, slot, http2=self._multiplexing)
        if self._exchange is None:
            self._network_backend = recorder
            return self.create_connection(origin)
        return DirectConnection(
            origin,
            recorder,
            self._exchange,
            ssl_context=self._ssl_context,
            http1=self._http1,
            http2=self._http2,
            keepalive_expiry=self._keepalive_expiry,
            local_address=self._local_address,
            uds=self._uds,
            socket_options=self._socket_options,
        )
