"""The requests that wait until the server has said how many streams it allows."""

import asyncio
from collections import deque

import httpcore

from typed_async_client.http2.errors import ConnectionEndedError, ConnectionFullError
from typed_async_client.http2.session import Session
from typed_async_client.net.timer import WaitTimer
from typed_async_client.wire.messages import timeout_of

__all__ = ["TurnQueue"]

_NO_TURN = "the server had not said how many requests it allows"
_NONE_ALLOWED = "the server allowed no request at all"


class TurnQueue:
    """Lets requests open streams, as many as there is room for.

    Before the settings of the server have come, one request goes, and the others wait: one that finds
    no room afterwards has sent nothing, and goes to another connection.

    Args:
        session: the session.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_waited_for(self) -> bool:
        """Whether requests wait, which go before those that come now."""
        return bool(self._waiting)

    async def wait(self, request: httpcore.Request, timer: WaitTimer) -> None:
        """Wait until another stream may be opened, if the server hasn't said how many may be.

        Args:
            request: the request, for its read timeout.
            timer: applies the timeout.

        Raises:
            httpcore.ConnectionNotAvailable: there is no room for it.
            httpcore.ReadTimeout: the server has sent no settings.
            Exception: the connection has failed before its first request.
        """
        session, is_newcomer = self._session, True
        while not session.has_room or (is_newcomer and self._waiting):
            session.raise_early_failure()
            if session.is_draining or session.failure is not None:
                raise ConnectionEndedError
            if not session.awaits_limit:
                raise ConnectionFullError
            turn, is_newcomer = asyncio.get_running_loop().create_future(), False
            self._waiting.append(turn)
            try:
                timeout = timeout_of(request, "read")
                await timer.limit(turn, timeout, self._timed_out)
            except BaseException:
                self.give()
                raise
            finally:
                if turn in self._waiting:
                    self._waiting.remove(turn)

    def _timed_out(self, _: str) -> httpcore.ReadTimeout:
        return httpcore.ReadTimeout(
            _NO_TURN if self._session.max_streams is None else _NONE_ALLOWED
        )

    def give(self) -> None:
        """Let those look again who wait for their turn."""
        session = self._session
        while self._waiting and (session.has_room or not session.awaits_limit):
            turn = self._waiting.popleft()
            if turn.done():
                continue
            turn.set_result(None)
            if session.awaits_limit:
                return  # there is room for one
