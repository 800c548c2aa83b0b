"""Cleans up after a request that was abandoned on an HTTP/2 connection, where httpcore doesn't.

These are plain calls, made before any other request of the connection can continue.
"""

import asyncio
import weakref
from typing import TYPE_CHECKING, Any, cast

from typed_async_client.http2.frames import CANCEL
from typed_async_client.private import (
    drop_surplus_permits,
    h2_state_of,
    pending_events_of,
    unacknowledged_bytes,
)

if TYPE_CHECKING:
    from typed_async_client.http2.draining import FrameWatch

__all__ = ["Opener", "forget_ended", "reset_abandoned"]


class Opener:
    """The task that begins to speak HTTP/2 on a connection: the current one."""

    def __init__(self) -> None:
        self._task = weakref.ref(cast("asyncio.Task[Any]", asyncio.current_task()))

    @property
    def is_current(self) -> bool:
        """Whether it is the current task still."""
        return self._task() is asyncio.current_task()


def reset_abandoned(connection: Any, watch: "FrameWatch", opener: Opener | None) -> bytes:
    """Forget the streams of requests that have ended; give what the server is to be told of it.

    Args:
        connection: one that speaks HTTP/2.
        watch: what watches its frames.
        opener: who began it.
    """
    if opener is not None and opener.is_current:
        drop_surplus_permits(connection)
    _reset_streams(connection, watch)
    _restore_window(connection)
    frames: bytes = h2_state_of(connection).data_to_send()
    return frames


def forget_ended(connection: Any, watch: "FrameWatch") -> None:
    """Let an upload that waits for room see that the server has ended its stream.

    h2 goes on telling the room of an ended stream, which is none any more. When it has counted its
    streams it knows that one no longer, and raises. To lend room instead would not do: that of the
    connection may be taken by another upload, which would send more than the server allows.

    Args:
        connection: one that speaks HTTP/2.
        watch: what watches its frames.
    """
    state = h2_state_of(connection)
    if state.open_outbound_streams >= 0:  # always, and the ended ones are forgotten in passing
        watch.ended &= state.streams.keys()  # what is left has come, and was not read yet


def _reset_streams(connection: Any, watch: "FrameWatch") -> None:
    """Reset the streams that no request waits for any more.

    Otherwise the server goes on sending and fills the window that the other streams share.
    """
    state = h2_state_of(connection)
    abandoned = watch.unfinished - pending_events_of(connection).keys()
    for stream_id in abandoned & state.streams.keys():
        if state.streams[stream_id].open:
            state.reset_stream(stream_id, CANCEL)


def _restore_window(connection: Any) -> None:
    """Give back the room taken by data that arrived for abandoned requests, RFC 9113 section 6.9.

    httpcore gives back room for what it reads, and forgets unread data together with its stream. The
    window of the connection would shrink with each of them, for every later request.
    """
    state = h2_state_of(connection)
    lost = unacknowledged_bytes(state)
    for events in pending_events_of(connection).values() if lost > 0 else ():
        lost -= sum(getattr(event, "flow_controlled_length", None) or 0 for event in events)
    if lost > 0:
        state.increment_flow_control_window(lost)
