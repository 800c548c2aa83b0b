"""An httpx response whose body is decoded in bounded steps, whether it is streamed or not."""

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, cast

import httpx

from typed_async_client.pool.decoding import (
    PIECES_PER_TURN,
    BodyDecoder,
    codings_of,
    decoder_for,
    leave_slice_encoded,
)
from typed_async_client.private import decoder_of, set_decoder

__all__ = ["SPENT", "BoundedResponse"]


class _Spent(httpx.AsyncByteStream):
    """The stream of a response whose body was read to its end."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise httpx.StreamConsumed


SPENT = _Spent()
"""Replaces the stream of a response that was read; httpx's stream refers back to the response."""


class BoundedResponse(httpx.Response):
    """An ``httpx.Response`` that decodes its body in bounded steps.

    Attributes:
        max_encodings: how many content codings are decoded, at most; None is no limit.
    """

    max_encodings: int | None = None

    async def aread(self) -> bytes:
        """Read the body to its end, and return it decoded.

        Raises:
            ResponseTooLargeError: it is larger than ``max_response_bytes``.
            httpx.DecodingError: the encoded body is invalid or truncated, or has too many codings.
            httpx.HTTPError: see ``httpx.Response.aread``.
        """
        if not hasattr(self, "_content"):
            with io.BytesIO() as content:  # closed, as the traceback of an error would hold it
                async for part in self.aiter_bytes():
                    content.write(part)
                self._content = content.getvalue()
        return self._content

    def aiter_raw(self, chunk_size: int | None = None) -> AsyncGenerator[bytes, None]:
        """Iterate over the body as received.

        For ``aiter_bytes()``, and what calls it, an empty part follows as long as the decoder has
        more of the part before: httpx calls the decoder once for each of them.
        """
        raw = cast("AsyncGenerator[bytes, None]", super().aiter_raw(chunk_size))
        decoder = decoder_of(self)
        return _in_steps(raw, decoder) if isinstance(decoder, BodyDecoder) else raw

    async def aclose(self) -> None:
        """Close the response, and drop its stream, which in httpx refers back to it.

        Raises:
            httpx.HTTPError: see ``httpx.Response.aclose``.
        """
        await super().aclose()
        self._drop_stream()

    def _drop_stream(self) -> None:
        self.stream: Any = SPENT

    def choose_decoder(self) -> None:
        """Choose what decodes the body before it is read."""
        self._get_content_decoder()

    def _get_content_decoder(self) -> Any:
        if not hasattr(self, "_decoder") and not leave_slice_encoded(self):
            codings = codings_of(self.headers)
            if codings:
                set_decoder(self, decoder_for(codings, self.max_encodings))
        return super()._get_content_decoder()

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: value for name, value in super().__getstate__().items() if name != "max_encodings"
        }


async def _in_steps(
    raw: AsyncGenerator[bytes, None], decoder: BodyDecoder
) -> AsyncGenerator[bytes, None]:
    """Yield empty parts while the decoder has more, and let other tasks run now and then."""
    pieces = 0
    try:
        async for part in raw:
            yield part
            while not decoder.is_drained:
                pieces += 1
                if pieces % PIECES_PER_TURN == 0:
                    await asyncio.sleep(0)
                yield b""
    finally:
        await raw.aclose()
