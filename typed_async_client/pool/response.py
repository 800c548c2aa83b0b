"""A response of httpx whose body is read whole by plain calls, where nobody asked for its parts.

httpx walks even through a body that has come already by four async generators, each of which the
event loop registers and forgets. And it takes a body that is cut within its gzip or deflate for a
whole one, and passes over a second gzip member. All else is httpx's own.

Names of httpx 0.28 used that are not in its documentation: ``Response._content``,
``Response._num_bytes_downloaded``, ``Response._get_content_decoder``, ``Response._request``,
``_client.BoundAsyncStream`` with its ``_stream``, and of ``_decoders`` ``MultiDecoder`` with its
``children``, ``GZipDecoder`` and ``DeflateDecoder`` with their ``decompressor``.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx

from typed_async_client.private import DeflateDecoder, GZipDecoder, MultiDecoder, stream_under

__all__ = ["SPENT", "WholeResponse"]

_PIECE = 64 * 1024
"""Bytes given to zlib at once: it copies what it leaves of them behind the end of each member."""


class _Spent(httpx.AsyncByteStream):
    """A body that was read to its end."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise httpx.StreamConsumed


SPENT = _Spent()
"""What a response has for a stream once it was read; httpx's own would lead back to the response."""


class WholeResponse(httpx.Response):
    """An ``httpx.Response`` on a stream that has ``read_whole()``."""

    def __init__(self, status: int, headers: Any, body: Any, extensions: Any) -> None:
        super().__init__(status, headers=headers, stream=body, extensions=extensions)
        self._raw_body = body

    async def aread(self) -> bytes:
        """Read the body to its end, and give it decoded.

        A gzip body may have several members, RFC 1952 section 2.2. Each of them, and a deflate
        body, must be there to its end. What is read in parts, by ``aiter_bytes()`` and the like,
        or through a stream that was put in the place of this body's, is decoded by httpx, which
        does not ask for that.

        Raises:
            httpx.DecodingError: the body is no whole one in its codings.
            httpx.HTTPError: as ``httpx.Response.aread`` does.
        """
        if hasattr(self, "_content") or self.is_stream_consumed or self.is_closed:
            return await super().aread()
        if not self._is_the_stream_ours():
            return await super().aread()
        self.is_stream_consumed = True
        try:
            raw = await self._raw_body.read_whole()
            self._num_bytes_downloaded = len(raw)
            content = _decoded(self._get_content_decoder(), raw) if self._is_coded() else raw
            if "aclose" in vars(self):  # put there by a hook that waits to hear of it
                await self.aclose()
            else:
                self.is_closed = True
                await self.stream.aclose()  # type: ignore[union-attr]  # it is an async one
        except httpx.RequestError as error:
            with contextlib.suppress(RuntimeError):  # it has no request
                error.request = self.request
            raise
        self._content = content
        self.stream = self._raw_body = SPENT
        return content

    def _is_the_stream_ours(self) -> bool:
        """Say whether nothing but httpx's own wrapping stands between the stream and the body.

        An event hook or a transport around ours may have put a stream of its own there, which
        counts, limits or changes what passes.
        """
        return stream_under(self.stream) is self._raw_body

    def _is_coded(self) -> bool:
        return any(name.lower() == b"content-encoding" for name, _ in self.headers.raw)

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: value for name, value in super().__getstate__().items() if name != "_raw_body"
        }


def _decoded(decoder: Any, raw: bytes) -> bytes:
    """Decode a body that is there to its last byte; one without bytes has no coding to end."""
    if not raw:
        return raw
    if isinstance(decoder, MultiDecoder):
        for child in decoder.children:
            raw = _decoded(child, raw)
        return raw
    if isinstance(decoder, GZipDecoder):
        return _ungzipped(decoder, raw)
    content: bytes = decoder.decode(raw) + decoder.flush()
    if isinstance(decoder, DeflateDecoder):
        _check_end(decoder)
    return content


def _ungzipped(decoder: GZipDecoder, raw: bytes) -> bytes:
    """Decode one gzip member after the other; nothing else may stand behind one."""
    parts: list[bytes] = []
    for start in range(0, len(raw), _PIECE):
        rest = raw[start : start + _PIECE]
        while rest:
            if decoder.decompressor.eof:
                decoder = GZipDecoder()
            parts.append(decoder.decode(rest))
            rest = decoder.decompressor.unused_data
    _check_end(decoder)
    return b"".join(parts)


def _check_end(decoder: GZipDecoder | DeflateDecoder) -> None:
    if not decoder.decompressor.eof:
        raise httpx.DecodingError("the body ends before its content coding does")
