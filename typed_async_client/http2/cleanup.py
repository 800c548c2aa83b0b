"""Cleans up after a request that was abandoned on an HTTP/2 connection, where httpcore doesn't.

Everything here is synchronous: it is done before any other request of the connection can continue.
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
    from typed_async_client.http2.draining import FrameFilter

__all__ = ["OpeningTask", "drop_reset_streams", "reset_abandoned"]


class OpeningTask:
    """The current task, which is sending the HTTP/2 preface on a connection."""

    def __init__(self) -> None:
        self._task = weakref.ref(cast("asyncio.Task[Any]", asyncio.current_task()))

    @property
    def is_current(self) -> bool:
        """Whether that task is running now."""
        return self._task() is asyncio.current_task()


def reset_abandoned(
    connection: Any, frame_filter: "FrameFilter", opening_task: OpeningTask | None
) -> bytes:
    """Reset the streams of requests that have ended, and return the frames to send for that.

    Args:
        connection: a connection that speaks HTTP/2.
        frame_filter: the filter of its frames.
        opening_task: the task that sent its preface.
    """
    if opening_task is not None and opening_task.is_current:
        drop_surplus_permits(connection)  # cancelled before httpcore had withheld them
    _reset_streams(connection, frame_filter)
    _restore_window(connection)
    frames: bytes = h2_state_of(connection).data_to_send()
    return frames


def drop_reset_streams(connection: Any, frame_filter: "FrameFilter") -> None:
    """Drop h2's state of streams that were reset, so that their uploads fail instead of waiting.

    h2 keeps returning the window of a stream after it was reset, when that window is meaningless.
    Once it has counted its open streams, it has dropped the closed ones, and raises for them.
    Pretending that there is room in the window wouldn't work: another upload may use up the window
    of the connection meanwhile, and more would be sent than the server allows.

    Args:
        connection: a connection that speaks HTTP/2.
        frame_filter: the filter of its frames.
    """
    state = h2_state_of(connection)
    if state.open_outbound_streams >= 0:  # always true; h2 drops closed streams as it counts them
        frame_filter.reset_streams &= (
            state.streams.keys()
        )  # httpcore hasn't read the reset of these yet


def _reset_streams(connection: Any, frame_filter: "FrameFilter") -> None:
    """Reset the streams that no request waits for any more.

    Otherwise the server keeps sending, and fills the window that the other streams share.
    """
    state = h2_state_of(connection)
    abandoned = frame_filter.unfinished - pending_events_of(connection).keys()
    for stream_id in abandoned & state.streams.keys():
        if state.streams[stream_id].open:
            state.reset_stream(stream_id, CANCEL)


def _restore_window(connection: Any) -> None:
    """Acknowledge the data that arrived for abandoned requests, RFC 9113 section 6.9.

    httpcore acknowledges data when it is read. It drops unread data together with its stream, so
    the window of the connection would shrink with each abandoned request, for all later ones.
    """
    state = h2_state_of(connection)
    lost = unacknowledged_bytes(state)
    for events in pending_events_of(connection).values() if lost > 0 else ():
        lost -= sum(getattr(event, "flow_controlled_length", None) or 0 for event in events)
    if lost > 0:
        state.increment_flow_control_window(lost)
