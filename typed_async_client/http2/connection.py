"""An HTTP/2 connection, which serves many requests at once, RFC 9113.

Received bytes are processed as they arrive, for all requests at once, and each request waits for its own
stream only. What is to be sent is collected until the end of the turn of the event loop, so that many
requests share one write. Nothing of this can be cancelled half-way.
"""

import asyncio
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import httpcore

from typed_async_client.http2.errors import ConnectionEndedError
from typed_async_client.http2.exchange import Exchange
from typed_async_client.http2.heads import Headers
from typed_async_client.http2.keepalive import KeepAlive
from typed_async_client.http2.receiver import Receiver
from typed_async_client.http2.room import RoomQueue
from typed_async_client.http2.session import Session
from typed_async_client.http2.stream import Stream
from typed_async_client.http2.turns import TurnQueue
from typed_async_client.net.timer import TimerReserve
from typed_async_client.wire.messages import STARTED
from typed_async_client.wire.trace import HTTP2_LOGGER, Trace

__all__ = ["Http2Connection"]

_CLOSED = "the connection is closed"

_MOST_TURNS = 4
"""Most turns of the event loop that a write waits while data that has arrived over TLS is read."""


class Http2Connection(httpcore.AsyncConnectionInterface):
    """An open connection that speaks HTTP/2.

    Args:
        origin: the origin it is connected to.
        stream: the network stream, an ``AsyncioStream``.
        keepalive: seconds of silence after which a PING asks whether the server is still there; None
            never asks.
        on_room: called when the server has allowed more streams.

    Attributes:
        heard_at: when something was last received, in seconds of the event loop's clock.
        is_opened: whether the preface was sent.
        room: the uploads that wait for a window.
        session: the state of the connection.
        timers: those that limit the waits of its requests.
        turns: the requests that wait for a stream.
    """

    def __init__(
        self,
        origin: httpcore.Origin,
        stream: Any,
        *,
        keepalive: float | None = None,
        on_room: Callable[[], None] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.heard_at: float = self._loop.time()
        self.session: Session = Session(self.heard_at)
        self.room: RoomQueue = RoomQueue(self.session)
        self.timers: TimerReserve = TimerReserve()
        self.turns: TurnQueue = TurnQueue(self.session)
        self._origin, self._stream = origin, stream
        self._flushing: asyncio.Handle | None = None
        self.is_opened: bool = False
        self._is_shut = False
        self._keepalive = None if keepalive is None else KeepAlive(self, keepalive)
        self._on_room = on_room
        self._receiver = Receiver(self.session)
        self._requests = 0
        self._traced: set[Stream] = set()
        self._unsent: list[tuple[Stream, httpcore.Request]] = []
        stream.protocol.deliver_to(weakref.ref(self))

    @property
    def network_stream(self) -> Any:
        """The network stream; bytes that are written to it by others break the connection."""
        return self._stream

    @property
    def received(self) -> int:
        """Total bytes received."""
        received: int = self._stream.received
        return received

    @property
    def max_streams(self) -> int | None:
        """How many requests it may serve at once; None until the server has said so."""
        return self.session.max_streams

    async def open(self, _: httpcore.Request) -> None:
        """Send the preface, so that the server may announce its settings."""
        self.is_opened = True
        self.flush()

    def handle_async_request(
        self, request: httpcore.Request
    ) -> Coroutine[Any, Any, httpcore.Response]:
        """Send a request, and return its response with an open body.

        Raises:
            httpcore.ConnectionNotAvailable: nothing was sent, and the connection accepts no request.
        """
        self._requests += 1
        return Exchange(self, request).run()

    async def send_preface(self, request: httpcore.Request) -> None:
        """Send the preface before the first request."""
        self.is_opened = True
        async with Trace("send_connection_init", HTTP2_LOGGER, request, {"request": request}):
            self.flush()

    def open_stream(self, request: httpcore.Request, fields: Headers, *, ends: bool) -> Stream:
        """Open a stream; its head is sent with the next ``flush()``."""
        stream = self.session.open_stream(fields, ends=ends)
        self._unsent.append((stream, request))
        if self._keepalive is not None:
            self._keepalive.watch()
        return stream

    def end_stream(self, stream: Stream) -> None:
        """Reset a stream that hasn't ended, and let another one take its place."""
        if stream.id in self.session.streams:
            self.session.reset(stream)
            self.flush()
            self.room.serve()
        self._traced.discard(stream)
        self.turns.give()

    def watch_settings(self, stream: Stream) -> None:
        """Wake a stream when the server has sent settings, which its request is to report."""
        self._traced.add(stream)

    def take_settings(self) -> list[Any]:
        """Return the settings that were received and not reported yet, as h2's events."""
        settings, self._receiver.new_settings = self._receiver.new_settings, []
        return settings

    def flush_soon(self) -> None:
        """Send what is to be sent at the end of this turn of the event loop."""
        if self._flushing is None:
            self._flushing = self._loop.call_soon(self._flush_after_input, _MOST_TURNS)

    def _flush_after_input(self, turns: int) -> None:
        """Send what is to be sent, once what has arrived over TLS is read: a failed write would lose it."""
        if turns and self._stream.has_input_at_risk:
            self._flushing = self._loop.call_soon(self._flush_after_input, turns - 1)
        else:
            self.flush()

    def flush(self) -> None:
        """Send what is to be sent."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if self._stream.transport.is_closing():
            return
        self._stream.write_nowait(self.session.take_output())
        for _, request in self._unsent:
            vars(request)[STARTED] = True
        self._unsent.clear()

    async def send_now(self) -> None:
        """Send what is to be sent, after reading what has arrived if that might be lost otherwise."""
        if self._stream.may_lose_input:
            await self._stream.let_arrive()
        self.flush()

    def has_unsent(self, stream: Stream) -> bool:
        """Whether the head of a request wasn't sent yet."""
        return any(unsent is stream for unsent, _ in self._unsent)

    def wait_writable(self) -> "asyncio.Future[None] | None":
        """Return a future that completes when more may be sent; None if it may be now."""
        future: asyncio.Future[None] | None = self._stream.protocol.wait_writable()
        return future

    # What the protocol of the network stream calls.

    def data_received(self, data: bytes) -> None:
        """Process received bytes; nothing that follows the end of the connection counts."""
        if self.session.failure is not None:
            return
        self.heard_at = self._loop.time()
        session, receiver = self.session, self._receiver
        limit = session.max_streams
        receiver.receive(data, self.heard_at)
        if receiver.window_changed:
            receiver.window_changed = False
            self.room.serve()
        if receiver.new_settings:
            self._announce_settings(limit)
        if session.failure is not None:
            self._shut()
        else:
            self.flush_soon()  # once everything has been read: a write that fails loses the rest
            self.turns.give()

    def connection_ended(self, error: Exception | None) -> None:
        """Fail what isn't complete: the server has closed the connection, or it was lost."""
        reason: Exception = httpcore.RemoteProtocolError("Server disconnected")
        if error is not None:
            reason = httpcore.ReadError(error if str(error) else type(error).__name__)
            reason.__cause__ = error
        self.fail(reason)

    def _announce_settings(self, former_limit: int | None) -> None:
        """Let a request report the settings, and the pool know that there is more room."""
        if self._traced:
            next(iter(self._traced)).wake()
        elif self._requests:
            self._receiver.new_settings.clear()
        limit = self.session.max_streams or 0
        if former_limit is not None and limit > former_limit and self._on_room is not None:
            self._on_room()

    def fail(self, error: Exception) -> None:
        """Close the connection. Requests whose heads weren't sent yet may go elsewhere."""
        if self._requests > 1:
            for stream, _ in self._unsent:
                stream.fail(ConnectionEndedError())
        self.session.fail(error)
        self._shut()

    def ping(self) -> None:
        """Send a PING."""
        self.session.ping()
        self.flush()

    def _shut(self) -> None:
        """Send what is left, such as the reason, and close the network stream.

        Requests whose heads are left may go elsewhere, so that they mustn't be sent here any more.
        """
        if self._is_shut:
            return
        self._is_shut = True
        if self._unsent:
            self.session.take_output()
        self._unsent.clear()
        self.flush()
        self._stream.abort()
        self.session.release()
        self.timers.stop()
        if self._keepalive is not None:
            self._keepalive.stop()
        self.room.serve()
        self.turns.give()

    # The interface of httpcore.

    async def aclose(self) -> None:
        """Close the connection, and say so to the server."""
        self.fail(httpcore.ReadError(_CLOSED))

    def can_handle_request(self, origin: httpcore.Origin) -> bool:
        """Whether it is connected to that origin."""
        return origin == self._origin

    def is_available(self) -> bool:
        """Whether it accepts further requests, once there is room for them."""
        return not (self.session.is_draining or self.session.failure is not None)

    def has_expired(self) -> bool:
        """Whether it can't be used any more although it is idle."""
        return self.is_idle() and not self.is_available()

    def is_idle(self) -> bool:
        """Whether it is open and serves no request."""
        return self.session.failure is None and not self.session.streams

    def is_closed(self) -> bool:
        """Whether it has been closed."""
        return self.session.failure is not None

    @property
    def is_in_use(self) -> bool:
        """Whether a request waits for something."""
        return self.session.failure is None and bool(self.session.streams)

    def info(self) -> str:
        """Return a short description of its state."""
        state = "CLOSED" if self.is_closed() else "IDLE" if self.is_idle() else "ACTIVE"
        return f"{str(self._origin)!r}, HTTP/2, {state}, Request Count: {self._requests}"

    def __repr__(self) -> str:
        return f"<Http2Connection [{self.info()}]>"
