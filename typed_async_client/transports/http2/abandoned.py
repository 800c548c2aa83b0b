"""What httpcore's HTTP/2 leaves undone when a request is given up, done in its place.

Plain calls, made before any other request of the connection can go on. Names of httpcore 1.0 used
that are not in its documentation: the ``_h2_state``, ``_events``, ``_max_streams`` and
``_max_streams_semaphore`` of ``AsyncHTTP2Connection``, and the way to it. Of h2:
``_inbound_flow_control_window_manager``, and the ``_bytes_processed`` of that.
"""

# ruff: noqa: SLF001 - httpcore offers no other way

import asyncio
import weakref
from typing import TYPE_CHECKING, Any, cast

from typed_async_client.transports.http2.frames import CANCEL

if TYPE_CHECKING:
    from typed_async_client.transports.http2.draining import FrameWatch

__all__ = ["Beginner", "clear_away", "forget_ended"]


class Beginner:
    """The task that begins to speak HTTP/2 on a connection: the current one."""

    def __init__(self) -> None:
        self._task = weakref.ref(cast("asyncio.Task[Any]", asyncio.current_task()))

    @property
    def is_current(self) -> bool:
        """Whether it is the current task still."""
        return self._task() is asyncio.current_task()


def clear_away(connection: Any, watch: "FrameWatch", beginner: Beginner | None) -> bytes:
    """Forget the streams of requests that have ended; give what the server is to be told of it.

    Args:
        connection: one that speaks HTTP/2.
        watch: what watches its frames.
        beginner: who began it.
    """
    http2 = _http2_of(connection)
    if beginner is not None and beginner.is_current:
        _mend_permits(http2)
    _reset_streams(http2, watch)
    _mend_window(http2)
    told: bytes = http2._h2_state.data_to_send()
    return told


def forget_ended(connection: Any, watch: "FrameWatch") -> None:
    """Let an upload that waits for room see that the server has ended its stream.

    h2 goes on telling the room of an ended stream, which is none any more. When it has counted its
    streams it knows that one no longer, and raises. To lend room instead would not do: that of the
    connection may be taken by another upload, which would send more than the server allows.

    Args:
        connection: one that speaks HTTP/2.
        watch: what watches its frames.
    """
    state = _http2_of(connection)._h2_state
    if state.open_outbound_streams >= 0:  # always, and the ended ones are forgotten in passing
        watch.ended &= state.streams.keys()  # what is left has come, and was not read yet


def _http2_of(connection: Any) -> Any:
    """Give httpcore's exchange, which stands inside the connections that lead to it."""
    while not hasattr(connection, "_h2_state"):
        inner = getattr(connection, "_connection", None)
        connection = connection._exchange if inner is None else inner
    return connection


def _mend_permits(http2: Any) -> None:
    """Take the permits that the first request, if it was cancelled, did not come to take.

    httpcore makes a hundred and takes all but one of them again, a loop turn for each. When it is
    stopped in between, the server's settings release more than there may be.
    """
    permits = getattr(http2, "_max_streams_semaphore", None)
    if permits is not None:
        while permits._anyio_semaphore.value > http2._max_streams:
            permits._anyio_semaphore.acquire_nowait()


def _reset_streams(http2: Any, watch: "FrameWatch") -> None:
    """Reset the streams that nobody waits for any more.

    Otherwise the server goes on sending, and fills the window that the other streams share.
    """
    state = http2._h2_state
    abandoned = watch.unfinished - http2._events.keys()
    for stream_id in abandoned & state.streams.keys():
        if state.streams[stream_id].open:
            state.reset_stream(stream_id, CANCEL)


def _mend_window(http2: Any) -> None:
    """Allow the server again what has come for requests that left it unread, RFC 9113 section 6.9.

    httpcore gives room for what it reads, and forgets what it did not read with its stream. The
    window of the connection would grow narrower with each of them, for all that follow.
    """
    state = http2._h2_state
    window = state._inbound_flow_control_window_manager
    lost = window.max_window_size - window.current_window_size - window._bytes_processed
    for events in http2._events.values() if lost > 0 else ():
        lost -= sum(getattr(event, "flow_controlled_length", None) or 0 for event in events)
    if lost > 0:
        state.increment_flow_control_window(lost)
