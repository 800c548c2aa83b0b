"""Decodes brotli bodies, a bounded piece at a time, with the library that httpx uses."""

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import httpx

from typed_async_client.pool.zlib_decoders import PIECE_SIZE, TRUNCATED

__all__ = ["Brotli", "brotli_library"]

_GROWTH_LIMIT: Final = PIECE_SIZE // 2
"""Bytes from which the library stops to decode; its buffer may have grown to twice as many."""

_TINY: Final = 16
"""Bytes to decode in one call with a library older than 1.2, which has no such limit: they are too
short to begin more than one or two blocks, of 16 MiB at most (RFC 7932 section 9.2)."""


def _import_library() -> Any:
    with contextlib.suppress(ImportError):
        import brotli  # noqa: PLC0415 - one of two libraries, neither of which is required

        return brotli
    with contextlib.suppress(ImportError):
        import brotlicffi  # noqa: PLC0415 - the same

        return brotlicffi
    return None


brotli_library: Any = _import_library()
"""The library; None if it isn't installed."""


class Brotli:
    """Decodes one brotli stream.

    Args:
        library: ``brotli`` or ``brotlicffi``.
    """

    def __init__(self, library: Any) -> None:
        self._errors: type[Exception] = library.error
        self._decompressor = library.Decompressor()
        self._has_input = False
        self._process = (
            getattr(self._decompressor, "process", None) or self._decompressor.decompress
        )
        self._limit: dict[str, int] = {"output_buffer_limit": _GROWTH_LIMIT}
        try:
            self._process(b"", **self._limit)
        except TypeError:
            self._limit = {}

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Decode a part of the body."""
        self._has_input = self._has_input or bool(data)
        size = PIECE_SIZE if self._limit else _TINY
        for start in range(0, len(data), size):
            piece = self._decoded(data[start : start + size])
            while piece:
                yield piece
                piece = self._decoded(b"")

    def finish(self) -> None:
        """Check that the data is complete."""
        if self._has_input and not self._decompressor.is_finished():
            raise httpx.DecodingError(TRUNCATED)

    def _decoded(self, data: bytes) -> bytes:
        try:
            piece: bytes = self._process(data, **self._limit)
        except self._errors as error:
            raise httpx.DecodingError(str(error)) from error
        return piece
