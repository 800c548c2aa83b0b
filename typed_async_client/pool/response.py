"""An httpx response that reads and decodes its body in one piece, unless it is streamed.

httpx reads every body, even one that has already arrived, through four async generators, each of which
the event loop registers and forgets. It also treats a body with truncated gzip or deflate data as
complete, and ignores all gzip members after the first. Everything else is left to httpx. The private
names used here are listed in ``private_names.py``.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx

from typed_async_client.private import DeflateDecoder, GZipDecoder, MultiDecoder, stream_under

__all__ = ["SPENT", "WholeResponse"]

_CHUNK_SIZE = 64 * 1024
"""Bytes passed to zlib in one call: at the end of each gzip member, it copies the unused rest."""


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

        A gzip body may have several members, RFC 1952 section 2.2. Each member, and a deflate body,
        must be complete. If the body is streamed, with ``aiter_bytes()`` and the like, or its
        stream was replaced, it is decoded by httpx, which doesn't check this.

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
            content = _decode(self._get_content_decoder(), raw) if self._is_encoded() else raw
            if "aclose" in vars(self):  # replaced by an event hook that must be called
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

    async def aclose(self) -> None:
        """Close the response, and drop its stream, which in httpx refers back to it.

        Raises:
            httpx.HTTPError: see ``httpx.Response.aclose``.
        """
        await super().aclose()
        self.stream = self._raw_body = SPENT

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


def _decode(decoder: Any, raw: bytes) -> bytes:
    """Decode a complete body; an empty one isn't encoded, whatever its headers say."""
    if not raw:
        return raw
    if isinstance(decoder, MultiDecoder):
        for child in decoder.children:
            raw = _decode(child, raw)
        return raw
    if isinstance(decoder, GZipDecoder):
        return _gunzip(decoder, raw)
    content: bytes = decoder.decode(raw) + decoder.flush()
    if isinstance(decoder, DeflateDecoder):
        _check_end(decoder)
    return content


def _gunzip(decoder: GZipDecoder, raw: bytes) -> bytes:
    """Decode all gzip members, which nothing else may follow."""
    parts: list[bytes] = []
    for start in range(0, len(raw), _CHUNK_SIZE):
        rest = raw[start : start + _CHUNK_SIZE]
        while rest:
            if decoder.decompressor.eof:
                decoder = GZipDecoder()
            parts.append(decoder.decode(rest))
            rest = decoder.decompressor.unused_data
    _check_end(decoder)
    return b"".join(parts)


def _check_end(decoder: GZipDecoder | DeflateDecoder) -> None:
    if not decoder.decompressor.eof:
        raise httpx.DecodingError("the body is truncated: its compressed data has no end")
