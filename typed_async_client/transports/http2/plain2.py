"""One HTTP/2 connection, as httpcore speaks it, on which no request ends for another's sake.

httpcore fails every request of a connection when one has waited too long for its answer, and lets
the others wait longer than they may, because one reads for all. Here each waits for its own time.
And a server may answer before it has the whole request, and then want no more of it, RFC 9113
section 8.1: httpcore would raise that the rest could not be sent, and forget the answer.

Connections through proxies are made by httpcore, and do so still. Names of httpcore 1.0 used that
are not in its documentation, of ``AsyncHTTP2Connection``: ``_receive_stream_event``,
``_wait_for_outgoing_flow``, ``_read_incoming_data``, ``_send_request_body``, ``_events`` and
``_network_stream``. Of h2, which is an extra, nothing is imported.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import httpcore

__all__ = ["Http2Exchange"]

_T = TypeVar("_T")

_NO_ERROR = 0
"""Error code: the stream was ended because it has served its purpose, RFC 9113 section 7."""

_WITHOUT_TIMEOUT = httpcore.Request("GET", "http://a.test/")
"""Stands for whoever reads: it does so for all of them, and each is bounded by itself."""


class Http2Exchange(httpcore.AsyncHTTP2Connection):
    """httpcore's connection, whose requests have their own timeouts and their early answers."""

    async def _receive_stream_event(self, request: httpcore.Request, stream_id: int) -> Any:
        waiting = super()._receive_stream_event(request, stream_id)
        return await (waiting if self._events.get(stream_id) else self._bounded(request, waiting))

    async def _wait_for_outgoing_flow(self, request: httpcore.Request, stream_id: int) -> int:
        return await self._bounded(request, super()._wait_for_outgoing_flow(request, stream_id))

    async def _read_incoming_data(self, request: httpcore.Request) -> Any:  # noqa: ARG002 - see above
        return await super()._read_incoming_data(_WITHOUT_TIMEOUT)

    async def _bounded(self, request: httpcore.Request, waiting: Coroutine[Any, Any, _T]) -> _T:
        """Wait as long as one request may.

        A connection on which nothing came for anybody meanwhile may be dead: who is on it goes on
        waiting, and nobody joins them.
        """
        timeout = request.extensions.get("timeout", {}).get("read")
        stream: Any = self._network_stream
        received = stream.received
        try:
            async with asyncio.timeout(timeout):
                return await waiting
        except TimeoutError as error:
            if stream.received == received:
                stream.drain()
            raise httpcore.ReadTimeout(f"nothing came on the stream for {timeout} s") from error

    async def _send_request_body(self, request: httpcore.Request, stream_id: int) -> None:
        try:
            await super()._send_request_body(request, stream_id)
        except Exception as error:
            is_refusal = type(error).__module__.partition(".")[0] == "h2"
            if not (is_refusal and self._is_answered(stream_id)):
                raise

    def _is_answered(self, stream_id: int) -> bool:
        """Whether the whole answer is there, and the server ended the stream without complaint."""
        events = self._events[stream_id]
        is_whole = any(type(event).__name__ == "StreamEnded" for event in events)
        return is_whole and getattr(events[-1], "error_code", None) == _NO_ERROR
