"""Decodes gzip and deflate bodies, a bounded piece at a time."""

import zlib
from collections.abc import Iterator
from typing import Any, Final

import httpx

__all__ = ["PIECE_SIZE", "TRUNCATED", "Deflate", "Gzip"]

PIECE_SIZE: Final = 2**20
"""Bytes that one call to a library may decode, at most, or about so."""

TRUNCATED: Final = "the body is truncated: its compressed data has no end"

_GZIP_MAGIC: Final = b"\x1f\x8b"


class Gzip:
    """Decodes gzip members, one after another."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._held = b""  # the first byte of another member, or of something else
        self._has_input = self._is_ignoring = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Decode a part of the body."""
        self._has_input = self._has_input or bool(data)
        has_more = False  # zlib holds more of the output
        while (data or has_more) and not self._is_ignoring:
            if self._inflate.eof:
                data, has_more = self._start_of_member(data), False
                continue
            piece, data = _inflated(self._inflate, data)
            has_more = len(piece) == PIECE_SIZE
            yield piece

    def finish(self) -> None:
        """Check that the last member is complete."""
        if self._has_input and (self._held or not self._inflate.eof):
            raise httpx.DecodingError(TRUNCATED)

    def _start_of_member(self, data: bytes) -> bytes:
        """Return the data from where the next member starts; empty if that isn't known yet."""
        data = self._held + data.lstrip(b"\0" if not self._held else b"")
        start, self._held = data[:2], b""
        if start == _GZIP_MAGIC:
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
            return data
        if start == _GZIP_MAGIC[:1]:
            self._held = data
        self._is_ignoring = bool(data) and not self._held
        return b""


class Deflate:
    """Decodes the zlib format, or raw deflate data, which some servers send instead."""

    def __init__(self) -> None:
        self._inflate: Any = None
        self._held = b""  # a first byte, which doesn't tell the two apart

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Decode a part of the body; what follows the compressed data is ignored."""
        if self._inflate is None:
            data, self._held = self._held + data, b""
            if len(data) < 2:  # noqa: PLR2004 - the length of a zlib header
                self._held = data
                return
            self._inflate = zlib.decompressobj(_window_bits(data))
        has_more = False
        while (data or has_more) and not self._inflate.eof:
            piece, data = _inflated(self._inflate, data)
            has_more = len(piece) == PIECE_SIZE
            yield piece

    def finish(self) -> None:
        """Check that the data is complete."""
        if self._held or not (self._inflate is None or self._inflate.eof):
            raise httpx.DecodingError(TRUNCATED)


def _window_bits(data: bytes) -> int:
    """Return zlib's parameter for data in the zlib format, RFC 1950 section 2.2, or without it."""
    method, flags = data[0], data[1]
    is_zlib = method & 0x8F == zlib.DEFLATED and (method << 8 | flags) % 31 == 0
    return zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS


def _inflated(decompressor: Any, data: bytes) -> tuple[bytes, bytes]:
    """Return a decoded piece, and the data that is left."""
    try:
        piece: bytes = decompressor.decompress(data, PIECE_SIZE)
    except zlib.error as error:
        raise httpx.DecodingError(str(error)) from error
    return piece, decompressor.unused_data if decompressor.eof else decompressor.unconsumed_tail
