"""One HTTP/2 connection, as httpcore speaks it, on which no request ends for another's sake.

httpcore fails every request of a connection when one has waited too long for its answer, and lets
the others wait longer than they may, because one reads for all. Here each waits for its own time.
And a server may answer before it has the whole request, and then want no more of it, RFC 9113
section 8.1: httpcore would raise that the rest could not be sent, and forget the answer.

Connections through proxies are made by httpcore, and do so still. Names of httpcore 1.0 used that
are not in its documentation, of ``AsyncHTTP2Connection``: ``_receive_stream_event``,
``_wait_for_outgoing_flow``, ``_receive_events``, ``_read_incoming_data``, ``_response_closed``,
``_send_request_body``, ``_events``, ``_h2_state`` and ``_network_stream``. Of h2, which is an extra,
nothing is imported.
"""

import asyncio
import copy
import functools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import httpcore

from typed_async_client.http2.frames import CANCEL
from typed_async_client.libraries import is_from
from typed_async_client.wire.messages import timeout_of

__all__ = ["Http2Connection"]

_T = TypeVar("_T")

_NO_ERROR = 0
"""Error code: the stream was ended because it has served its purpose, RFC 9113 section 7."""

_READING = 0.05
"""Seconds that are enough to read what has come; the loop may have to turn for other streams."""

_WITHOUT_TIMEOUT = httpcore.Request("GET", "http://a.test/")
"""Stands for whoever reads: it does so for all of them, and each is bounded by itself."""


class Http2Connection(httpcore.AsyncHTTP2Connection):
    """httpcore's connection, whose requests have their own timeouts and their early answers."""

    _times_given = 0
    """How often the server has given room to all uploads of the connection together."""

    async def _receive_stream_event(self, request: httpcore.Request, stream_id: int) -> Any:
        wait = functools.partial(super()._receive_stream_event, request, stream_id)
        return await (wait() if self._events.get(stream_id) else self._bounded(request, wait))

    async def _wait_for_outgoing_flow(self, request: httpcore.Request, stream_id: int) -> int:
        """Wait for room; when others took all that the server gave them together, wait anew."""
        wait = functools.partial(super()._wait_for_outgoing_flow, request, stream_id)
        while True:
            times_given = self._times_given
            try:
                return await self._bounded(request, wait)
            except httpcore.ReadTimeout:
                if times_given == self._times_given or not self._has_own_room(stream_id):
                    raise

    def _has_own_room(self, stream_id: int) -> bool:
        """Whether a stream's own window is open, so that it waits for the connection's alone."""
        stream = self._h2_state.streams.get(stream_id)
        return stream is not None and stream.outbound_flow_control_window > 0

    async def _receive_events(
        self, request: httpcore.Request, stream_id: int | None = None
    ) -> None:
        """Read for all, past the ``trace`` of one: httpcore would call it between their events.

        Those behind the server's settings would be lost to everybody if it failed, or took longer
        than its own request may wait.
        """
        if "trace" in request.extensions:
            others = {key: value for key, value in request.extensions.items() if key != "trace"}
            request = copy.copy(request)
            request.extensions = others
        await super()._receive_events(request, stream_id)

    async def _response_closed(self, stream_id: int) -> None:
        """End the stream of a request that was given up, before another one takes its place."""
        stream = self._h2_state.streams.get(stream_id)
        if stream is not None and stream.open and self.is_available():
            self._h2_state.reset_stream(stream_id, CANCEL)
        await super()._response_closed(stream_id)

    async def _read_incoming_data(self, request: httpcore.Request) -> Any:  # noqa: ARG002 - see above
        events = await super()._read_incoming_data(_WITHOUT_TIMEOUT)
        self._times_given += any(_is_room_for_all(event) for event in events)
        return events

    async def _bounded(
        self, request: httpcore.Request, wait: Callable[[], Coroutine[Any, Any, _T]]
    ) -> _T:
        """Wait as long as one request may; what has come counts, even when a stalled loop is late.

        A connection on which nothing came for anybody meanwhile may be dead: who is on it goes on
        waiting, and nobody joins them.
        """
        timeout = timeout_of(request, "read")
        stream: Any = self._network_stream
        received = stream.received
        come = await _within(timeout, wait)
        if come is None and stream.has_news:
            come = await _within(_READING, wait)
        if come is None:
            come = await _within(0, wait)  # another one may have read it
        if come is not None:
            return come
        if stream.received == received:
            stream.drain()
        raise httpcore.ReadTimeout(f"nothing came on the stream for {timeout} s")

    async def _send_request_body(self, request: httpcore.Request, stream_id: int) -> None:
        try:
            await super()._send_request_body(request, stream_id)
        except Exception as error:
            if not (is_from(error, "h2") and self._is_answered(stream_id)):
                raise

    def _is_answered(self, stream_id: int) -> bool:
        """Whether the whole answer is there, and the server ended the stream without complaint."""
        events = self._events[stream_id]
        is_whole = any(type(event).__name__ == "StreamEnded" for event in events)
        return is_whole and getattr(events[-1], "error_code", None) == _NO_ERROR


async def _within(seconds: float | None, wait: Callable[[], Coroutine[Any, Any, _T]]) -> _T | None:
    """Give what is waited for, None when it does not come in time."""
    try:
        async with asyncio.timeout(seconds):
            return await wait()
    except TimeoutError:
        return None


def _is_room_for_all(event: Any) -> bool:
    return type(event).__name__ == "WindowUpdated" and event.stream_id == 0
