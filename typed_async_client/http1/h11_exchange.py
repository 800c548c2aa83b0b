"""httpcore's HTTP/1.1 connection on h11, which reads the response while it sends a body.

httpcore reads nothing until it has sent the whole body, and ignores ``Expect: 100-continue``. It also
guards the state of a connection with a lock that yields to the event loop whenever it is acquired. Our
pool assigns a connection to one request at a time, and nothing else runs between two awaits, so that no
lock is needed. The private names of ``AsyncHTTP11Connection`` used here are listed in
``private_names.py``.
"""

import copy
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import httpcore

from typed_async_client.http1.framing import Framing
from typed_async_client.http1.upgrade import switches_protocols
from typed_async_client.http1.upload import UploadStream, fits_at_once
from typed_async_client.wire.interim import expects_continue, wait_for_continue
from typed_async_client.wire.messages import REPLAYABLE_BODIES, timeout_of

__all__ = ["H11Exchange"]

_CONTINUE, _SWITCHING, _FINAL = 100, 101, 200

_RECEIVED = ("DONE", "MUST_CLOSE", "CLOSED")
"""The states of the server, as h11 names them, when its response has been received completely."""


class _NoLock:
    """Replaces httpcore's lock."""

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        pass


class H11Exchange(httpcore.AsyncHTTP11Connection):
    """An open connection that speaks HTTP/1.1.

    Args:
        origin: the origin it is connected to.
        stream: the network stream.
    """

    def __init__(self, origin: httpcore.Origin, stream: Any) -> None:
        self._stream = UploadStream(stream)
        super().__init__(origin, self._stream)
        self._state_lock: Any = _NoLock()
        self._early_events: deque[Any] = deque()  # received before the body was sent

    async def open(self, _: httpcore.Request) -> None:
        """Become idle without a request; nothing is sent."""
        states: Any = type(self._state)
        if self._state is states.NEW:
            self._state = states.IDLE

    def _send_request_body(self, request: httpcore.Request) -> Coroutine[Any, Any, None]:
        """Send the body; an empty one, which most requests have, as httpcore does."""
        body: Any = request.stream
        if isinstance(request.stream, REPLAYABLE_BODIES) and not any(body):
            return super()._send_request_body(request)
        return self._send_watched_body(request)

    async def _send_watched_body(self, request: httpcore.Request) -> None:
        """Send the body, once the server asks for it if the request says so."""
        if expects_continue(request) and Framing(request).has_body:
            await wait_for_continue(self._receive_continue, timeout_of(request, "read"))
            if self._has_responded(request):
                return
        body: Any = request.stream
        if fits_at_once(body):
            await super()._send_request_body(request)
            return
        shadow = copy.copy(request)

        async def send(parts: AsyncIterator[bytes]) -> None:
            shadow.stream = parts
            await super(H11Exchange, self)._send_request_body(shadow)

        await self._stream.send_beside(request, send, self._receive_status)

    def _receive_event(self, timeout: float | None = None) -> Coroutine[Any, Any, Any]:
        if self._early_events:
            return _return(self._early_events.popleft())
        return super()._receive_event(timeout)

    def _response_closed(self) -> Coroutine[Any, Any, None]:
        """Keep the connection if everything was sent and received."""
        self._early_events.clear()
        return super()._response_closed() if self._stream.is_idle else self._end_upload()

    async def _end_upload(self) -> None:
        """Keep the connection after an upload, which may have to be waited for."""
        is_received = self._h11_state.their_state.__name__ in _RECEIVED
        try:
            if is_received and await self._stream.end_upload() and not self.is_closed():
                await super()._response_closed()
        finally:
            if not self.is_idle():
                await self._abandon()

    async def _abandon(self) -> None:
        """Close the connection, and end what is still being sent."""
        await self.aclose()
        await self._stream.end_upload()

    async def _receive_early(self, timeout: float | None) -> Any:
        event = await super()._receive_event(timeout)
        self._early_events.append(event)
        return event

    async def _receive_continue(self, timeout: float) -> bool:
        event = await self._receive_early(timeout)
        is_continue: bool = event.status_code == _CONTINUE
        return is_continue or _is_final(event)

    async def _receive_status(self) -> int:
        """Read the head of the response."""
        while not (self._early_events and _is_final(self._early_events[-1])):
            await self._receive_early(None)
        status: int = self._early_events[-1].status_code
        return status

    def _has_responded(self, request: httpcore.Request) -> bool:
        """Whether the server has responded, and doesn't wait for the body to switch protocols."""
        event = self._early_events[-1] if self._early_events else None
        if event is None or not _is_final(event):
            return False
        return not switches_protocols(request, event.status_code)


async def _return(event: Any) -> Any:
    return event


def _is_final(event: Any) -> bool:
    """Whether an event is the head of the response; before it, there are only interim heads."""
    status: int = event.status_code
    return status >= _FINAL or status == _SWITCHING
