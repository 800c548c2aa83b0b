"""h11's connection, which reads the response while it sends a body.

httpcore reads nothing until it has sent the whole body, and ignores ``Expect: 100-continue``. The
private names of ``AsyncHTTP11Connection`` used here are listed in ``private_names.py``.
"""

import copy
from collections import deque
from collections.abc import AsyncIterator, Iterable
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
        self._duplex = UploadStream(stream)
        super().__init__(origin, self._duplex)
        self._early_events: deque[Any] = deque()  # received before the body was sent

    async def _send_request_body(self, request: httpcore.Request) -> None:
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

        await self._duplex.send_beside(body, send, self._receive_status)

    async def _receive_event(self, timeout: float | None = None) -> Any:
        if self._early_events:
            return self._early_events.popleft()
        return await super()._receive_event(timeout)

    async def _response_closed(self) -> None:
        """Keep the connection if everything was sent and received; end the upload otherwise."""
        self._early_events.clear()
        if self._duplex.is_sent:
            await super()._response_closed()
        else:
            await self.aclose()
        await self._duplex.end_upload()

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


def _size(body: Iterable[bytes]) -> int:
    return sum(len(part) for part in body)


def _is_final(event: Any) -> bool:
    """Whether an event is the head of the response; before it, there are only interim heads."""
    status: int = event.status_code
    return status >= _FINAL or status == _SWITCHING
