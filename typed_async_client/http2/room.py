"""The uploads that wait for room in a flow-control window, RFC 9113 section 5.2, and who goes next."""

import asyncio

from typed_async_client.http2.session import Session
from typed_async_client.http2.stream import Stream

__all__ = ["RoomQueue"]


class RoomQueue:
    """Lets uploads wait until the server has made room for them.

    The window of the connection goes to whoever has waited longest. An upload that finds it used up
    again keeps its place.

    Args:
        session: the session.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._waiting: dict[Stream, asyncio.Future[None]] = {}

    def wait(self, stream: Stream) -> "asyncio.Future[None]":
        """Return a future that completes when there may be room, or the stream has ended."""
        future = asyncio.get_running_loop().create_future()
        self._waiting[stream] = future  # an earlier place is kept
        return future

    def leave(self, stream: Stream) -> None:
        """Stop waiting; what was meant for this upload goes to the next ones."""
        future = self._waiting.pop(stream, None)
        if future is not None and future.done():
            self.serve()

    def serve(self) -> None:
        """Wake those that can go on, as far as the window of the connection suffices."""
        if not self._waiting:
            return
        left = self._session.window
        for stream, future in self._waiting.items():
            room = self._session.room(stream)
            if stream.id not in self._session.streams or (room and left > 0):
                left -= room
                if not future.done():
                    future.set_result(None)
