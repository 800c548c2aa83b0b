"""An httpx response that reads and decodes its body in one piece, unless it is streamed.

httpx reads every body, even one that has already arrived, through four async generators, each of which
the event loop registers and forgets. How a body is decoded, streamed or not, is in ``decoding.py``.
Everything else is left to httpx. The private names used here are listed in ``private_names.py``.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from typed_async_client.pool.decoding import complete_decoder, decode_whole, leave_slice_encoded
from typed_async_client.private import set_decoder, stream_under

__all__ = ["SPENT", "WholeResponse"]


class _Spent(httpx.AsyncByteStream):
    """The stream of a response whose body was read to its end."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise httpx.StreamConsumed


SPENT = _Spent()
"""Replaces the stream of a response that was read; httpx's stream refers back to the response."""


class WholeResponse(httpx.Response):
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
        if hasattr(self, "_content") or self.is_stream_consumed or self.is_closed:
            return await super().aread()
        if not self._has_own_stream():
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
            content = decode_whole(self._get_content_decoder(), raw) if self._is_encoded() else raw
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
        self._raw_body = self.stream = wrap(self._raw_body)

    async def aclose(self) -> None:
        """Close the response, and drop its stream, which in httpx refers back to it.

        Raises:
            httpx.HTTPError: see ``httpx.Response.aclose``.
        """
        await super().aclose()
        self._drop_stream()

    def _drop_stream(self) -> None:
        self.stream: Any = SPENT
        self._raw_body = SPENT

    def _get_content_decoder(self) -> Any:
        if not hasattr(self, "_decoder"):
            leave_slice_encoded(self)
            set_decoder(self, complete_decoder(super()._get_content_decoder()))
        return self._decoder

    def _has_own_stream(self) -> bool:
        """Whether the stream is this body, with no wrapper except httpx's own.

        An event hook or an outer transport may have wrapped it in a stream that counts, limits or
        changes the bytes.
        """
        return stream_under(self.stream) is self._raw_body

    def _is_encoded(self) -> bool:
        return any(name.lower() == b"content-encoding" for name, _ in self.headers.raw)

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: value for name, value in super().__getstate__().items() if name != "_raw_body"
        }
