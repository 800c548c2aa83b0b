"""h11's connection, which reads the response while it sends a body.

httpcore reads nothing until it has sent the whole body, and ignores ``Expect: 100-continue``. The
private names of ``AsyncHTTP11Connection`` used here are listed in ``private_names.py``.
"""

import copy
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any

import httpcore

from typed_async_client.http1.expect import expects_continue, wait_for_continue
from typed_async_client.http1.framing import Framing
from typed_async_client.http1.h11 import H11Connection
from typed_async_client.http1.upload import SENT_AT_ONCE, UploadStream
from typed_async_client.wire.messages import REPLAYABLE_BODIES, timeout_of

__all__ = ["H11Exchange"]

_CONTINUE, _SWITCHING, _FINAL = 100, 101, 200


class H11Exchange(H11Connection):
    """An open connection that speaks HTTP/1.1.

    Args:
        origin: the origin it is connected to.
        stream: the network stream.
    """

    def __init__(self, origin: httpcore.Origin, stream: Any) -> None:
        super().__init__(origin, stream)
        self._network = stream
        self._upload: UploadStream | None = None  # the network stream while there is an upload
        self._early_events: deque[Any] = deque()  # received before the body was sent

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
            if self._early_events and _is_final(self._early_events[-1]):
                return
        body: Any = request.stream
        if isinstance(request.stream, REPLAYABLE_BODIES) and _size(body) <= SENT_AT_ONCE:
            await super()._send_request_body(request)
            return
        shadow = copy.copy(request)

        async def send(parts: AsyncIterator[bytes]) -> None:
            shadow.stream = parts
            await super(H11Exchange, self)._send_request_body(shadow)

        self._upload = self._network_stream = UploadStream(self._network)
        await self._upload.send_beside(body, send, self._receive_status)
        if not self._upload.has_upload:
            self._forget_upload()

    def _receive_event(self, timeout: float | None = None) -> Coroutine[Any, Any, Any]:
        if self._early_events:
            return _return(self._early_events.popleft())
        return super()._receive_event(timeout)

    def _response_closed(self) -> Coroutine[Any, Any, None]:
        """Keep the connection if everything was sent and received; end the upload otherwise."""
        if self._upload is None and not self._early_events:
            return super()._response_closed()
        return self._end_upload()

    async def _end_upload(self) -> None:
        self._early_events.clear()
        if self._upload is None or self._upload.is_sent:
            self._forget_upload()
            await super()._response_closed()
        else:
            await self.aclose()
            await self._upload.end_upload()

    def _forget_upload(self) -> None:
        self._upload, self._network_stream = None, self._network

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
        while not _is_final(event := await self._receive_early(None)):
            pass
        status: int = event.status_code
        return status


async def _return(event: Any) -> Any:
    return event


def _size(body: Iterable[bytes]) -> int:
    return sum(len(part) for part in body)


def _is_final(event: Any) -> bool:
    """Whether an event is the head of the response; before it, there are only interim heads."""
    status: int = event.status_code
    return status >= _FINAL or status == _SWITCHING
