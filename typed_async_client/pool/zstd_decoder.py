"""Decodes zstd bodies, a bounded piece at a time, with whichever library is installed.

httpx decodes zstd with ``zstandard``, which httpx2 doesn't need: Python 3.14 has a module of its own, and
``backports.zstd`` is the same for earlier versions.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import httpx

from typed_async_client.pool.zlib_decoders import PIECE_SIZE, TRUNCATED
from typed_async_client.pool.zstd_frames import FrameSlicer

__all__ = ["StandardZstd", "Zstandard", "zstd_class", "zstd_library"]

_WINDOW_LOG: Final = 23
"""Windows, which are kept in memory, have 8 MiB at most in HTTP (RFC 9659 section 3)."""


def _import_library() -> Any:
    with contextlib.suppress(ImportError):
        import zstandard  # noqa: PLC0415 - one of three libraries, none of which is required

        return zstandard
    with contextlib.suppress(ImportError):
        import compression.zstd as standard  # noqa: PLC0415 - the same

        return standard
    with contextlib.suppress(ImportError):
        import backports.zstd as backport  # noqa: PLC0415 - the same

        return backport
    return None


zstd_library: Any = _import_library()
"""The library; None if none is installed."""


class _Frames:
    """What the decoders of frames have in common: the frame that they are in, if any."""

    def __init__(self) -> None:
        self._frame: Any = None

    def finish(self) -> None:
        """Check that the last frame is complete."""
        if self._frame is not None and not self._frame.eof:
            raise httpx.DecodingError(TRUNCATED)


class Zstandard(_Frames):
    """Decodes zstd frames, one after another, with ``zstandard``, whose output has no limit.

    Args:
        library: the module.
    """

    def __init__(self, library: Any) -> None:
        super().__init__()
        self._context = library.ZstdDecompressor(max_window_size=2**_WINDOW_LOG)
        self._errors: type[Exception] = library.ZstdError
        self._slicer = FrameSlicer()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Decode a part of the body."""
        for part in self._slicer.slices(data):
            if self._frame is None or self._frame.eof:
                self._frame = self._context.decompressobj()
            try:
                piece = self._frame.decompress(part)
            except self._errors as error:
                raise httpx.DecodingError(str(error)) from error
            yield piece


class StandardZstd(_Frames):
    """Decodes zstd frames, one after another, with the module of Python 3.14 or its backport.

    Args:
        library: the module.
    """

    def __init__(self, library: Any) -> None:
        super().__init__()
        self._errors: type[Exception] = library.ZstdError
        self._make = library.ZstdDecompressor
        self._options = {library.DecompressionParameter.window_log_max: _WINDOW_LOG}

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Decode a part of the body."""
        has_more = False
        while data or has_more:
            if self._frame is None or self._frame.eof:
                self._frame = self._make(options=self._options)
            try:
                piece = self._frame.decompress(data, PIECE_SIZE)
            except self._errors as error:
                raise httpx.DecodingError(str(error)) from error
            data = self._frame.unused_data if self._frame.eof else b""
            has_more = not (self._frame.eof or self._frame.needs_input)
            yield piece


def zstd_class(library: Any) -> "type[StandardZstd | Zstandard]":
    """Return what decodes with a library."""
    return StandardZstd if hasattr(library, "DecompressionParameter") else Zstandard
