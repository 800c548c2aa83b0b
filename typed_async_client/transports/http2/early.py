"""An answer that comes before its request is sent whole, RFC 9113 section 8.1.

A server may answer at once, and then say that it wants no more of the request's body. httpcore
would raise that it could not send the rest, and forget the answer. Connections through proxies are
made by httpcore, and do so still.

Names of httpcore 1.0 used that are not in its documentation: ``_send_request_body`` and ``_events``
of ``AsyncHTTP2Connection``. Of h2, which is an extra, nothing is imported.
"""

import httpcore

__all__ = ["Http2Exchange"]

_NO_ERROR = 0
"""Error code: the stream was ended because it has served its purpose, RFC 9113 section 7."""


class Http2Exchange(httpcore.AsyncHTTP2Connection):
    """httpcore's connection, on which a whole answer ends the sending of its request."""

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
