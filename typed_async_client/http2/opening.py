"""httpcore's HTTP/2 connection, which can be opened before its first request.

httpcore sends the preface with the first request. Here a request without a method, which is never sent,
ends right after the preface. The private names of ``AsyncHTTP2Connection`` used here are listed in
``private_names.py``. h2, an optional dependency, isn't imported.
"""

import contextlib

import httpcore

from typed_async_client.wire.messages import OpenedError

__all__ = ["OpenableHttp2"]


class OpenableHttp2(httpcore.AsyncHTTP2Connection):
    """A connection that can be opened without a request."""

    async def open(self, request: httpcore.Request) -> None:
        """Send the preface, with the timeouts of a request that isn't sent.

        Args:
            request: a request without a method.
        """
        with contextlib.suppress(OpenedError):
            await self.handle_async_request(request)

    async def _send_request_headers(self, request: httpcore.Request, stream_id: int) -> None:
        """Send the head of a request; one without a method ends here.

        Raises:
            OpenedError: the request has no method.
        """
        if not request.method:
            raise OpenedError
        await super()._send_request_headers(request, stream_id)
