"""An httpx response that reads and decodes its body in one piece, unless it is streamed.

httpx reads every body, even one that has already arrived, through four async generators, each of which
the event loop registers and forgets. How a body is decoded, streamed or not, is in ``decoding.py``.
Everything else is left to httpx. The private names used here are listed in ``private_names.py``.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import httpx

from typed_async_client.pool.bounded import SPENT, BoundedResponse
from typed_async_client.pool.decoding import BodyDecoder, decode_whole
from typed_async_client.private import stream_under

__all__ = ["WholeResponse"]


class WholeResponse(BoundedResponse):
    """An ``httpx.Response`` on a stream with a ``read_whole()`` method."""

    def __init__(self, status: int, headers: Any, body: Any, extensions: Any) -> None:
        super().__init__(status, headers=headers, stream=body, extensions=extensions)
        self._raw_body = body

    async def aread(self) -> bytes:
        """Read the body to its end, and return it decoded.

        A gzip body may have several members, RFC 1952 section 2.2. The compressed data must be
        complete, which is also checked at the end of ``aiter_bytes()`` and the like. A 206
        response with a part of a coded representation is returned as received.

        Raises:
            httpx.DecodingError: the encoded body is invalid or truncated.
            httpx.HTTPError: see ``httpx.Response.aread``.
        """
        is_over = hasattr(self, "_content") or self.is_stream_consumed or self.is_closed
        if is_over or not self.has_own_stream():
            return await super().aread()
        self.is_stream_consumed = True
        try:
            raw = await self._raw_body.read_whole()
            self._num_bytes_downloaded = len(raw)
            if "aclose" in vars(self):  # replaced by an event hook that must be called
                await self.aclose()
            else:
                self.is_closed = True
                await self.stream.aclose()
            content = await self._decoded(raw) if self._is_encoded() else raw
        except httpx.RequestError as error:
            with contextlib.suppress(RuntimeError):  # it has no request
                error.request = self.request
            raise
        self._content = content
        self._drop_stream()
        return content

    def replace_body(self, wrap: Callable[[Any], Any]) -> None:
        """Wrap the body in another that has ``read_whole()`` too.

        Args:
            wrap: takes the body, and returns the one to read instead.
        """
        self.stream: Any = wrap(self._raw_body)
        self._raw_body = self.stream

    async def _decoded(self, raw: bytes) -> bytes:
        decoder = self._get_content_decoder()
        return await decode_whole(decoder, raw) if isinstance(decoder, BodyDecoder) else raw

    def _drop_stream(self) -> None:
        super()._drop_stream()
        self._raw_body = SPENT

    def has_own_stream(self) -> bool:
        """Whether the stream is this body, with no wrapper except httpx's own.

        Such a body is never longer than its Content-Length.

        An event hook or an outer transport may have wrapped it in a stream that counts, limits or
        changes the bytes.
        """
        return stream_under(self.stream) is self._raw_body

    def _is_encoded(self) -> bool:
        return "content-encoding" in self.headers

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: value for name, value in super().__getstate__().items() if name != "_raw_body"
        }
