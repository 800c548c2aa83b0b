"""Decodes the bodies of responses, and checks that what was decoded is complete.

httpx's decoders treat a body that ends within its gzip, deflate or brotli data as complete, and stop
after the first gzip member. The ones here have the same methods, so that httpx uses them for a streamed
body as well. They read what follows the compressed data as gzip(1) and browsers do:

=========================================  ======================================================
compressed data                            is
=========================================  ======================================================
cut before its end, or with a bad checksum ``httpx.DecodingError``, for each coding
gzip, then another member                  decoded to the end of the last one, RFC 1952 section 2.2
gzip, then NUL bytes, then a member        decoded, without the padding
gzip, then anything else                   decoded; the rest is ignored
deflate, then anything                     decoded; the rest is ignored
zstd, then another frame                   decoded to the end of the last one, RFC 8878 section 3.1
zstd or brotli, then anything else         ``httpx.DecodingError``
part of a coded representation (206)       returned as received, RFC 9110 section 15.3.7
=========================================  ======================================================
"""

import re
import zlib
from typing import Any, Protocol, TypeAlias

import httpx

from typed_async_client.private import (
    BrotliDecoder,
    DeflateDecoder,
    GZipDecoder,
    MultiDecoder,
    ZStandardDecoder,
    leave_encoded,
)

__all__ = ["complete_decoder", "decode_whole", "is_slice", "leave_slice_encoded"]

_CHUNK_SIZE = 64 * 1024
"""Bytes passed to zlib in one call: at the end of each gzip member, it copies the unused rest."""

_GZIP_MAGIC = b"\x1f\x8b"
_PARTIAL = 206
_WHOLE_RANGE = re.compile(r"bytes 0-(\d{1,20})/(\d{1,20})", re.IGNORECASE)
_TRUNCATED = "the body is truncated: its compressed data has no end"

_HttpxDecoder: TypeAlias = Any
"""A decoder of httpx, whose module is private."""


class Decoder(Protocol):
    """What httpx expects of a decoder."""

    def decode(self, data: bytes) -> bytes:
        """Decode a part of the body."""

    def flush(self) -> bytes:
        """Return what is left at the end of the body."""


def complete_decoder(decoder: _HttpxDecoder) -> Decoder:
    """Return a decoder that checks that the body is complete, in place of one of httpx."""
    if isinstance(decoder, MultiDecoder):
        children: list[Any] = [complete_decoder(child) for child in decoder.children]
        decoder.children = children
    elif isinstance(decoder, GZipDecoder):
        return _Gzip()
    elif isinstance(decoder, DeflateDecoder):
        return _Deflate()
    elif isinstance(decoder, BrotliDecoder):
        return _Brotli(decoder)
    elif isinstance(decoder, ZStandardDecoder):
        return _Zstandard(decoder)
    replaced: Decoder = decoder
    return replaced


def decode_whole(decoder: Decoder, raw: bytes) -> bytes:
    """Decode a complete body; an empty one isn't encoded, whatever its headers say.

    Raises:
        httpx.DecodingError: the encoded body is invalid or truncated.
    """
    return decoder.decode(raw) + decoder.flush()


def is_slice(response: httpx.Response) -> bool:
    """Whether a response has only a part of a representation, RFC 9110 section 15.3.7.

    A 206 response that says that it covers all bytes has the whole of it. Several parts, in a
    multipart body, don't say so.
    """
    if response.status_code != _PARTIAL:
        return False
    covered = _WHOLE_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return covered is None or int(covered[1]) + 1 != int(covered[2])


def leave_slice_encoded(response: Any) -> None:
    """Let httpx, or httpx2, return the body of a 206 response as received, unless it is whole.

    The content coding was applied to the whole representation, before a part of it was selected.
    """
    if response.status_code == _PARTIAL and is_slice(response):
        leave_encoded(response)


class _Gzip:
    """Decodes gzip members, one after another."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._held = b""  # the first byte of another member, or of something else
        self._has_input = self._is_ignoring = False

    def decode(self, data: bytes) -> bytes:
        self._has_input = self._has_input or bool(data)
        parts: list[bytes] = []
        for start in range(0, len(data), _CHUNK_SIZE):
            rest = data[start : start + _CHUNK_SIZE]
            while rest and not self._is_ignoring:
                if self._inflate.eof:
                    rest = self._start_of_member(rest)
                else:
                    parts.append(_inflated(self._inflate, rest))
                    rest = self._inflate.unused_data
        return b"".join(parts)

    def flush(self) -> bytes:
        if self._has_input and (self._held or not self._inflate.eof):
            raise httpx.DecodingError(_TRUNCATED)
        return b""

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


class _Deflate:
    """Decodes the zlib format, or raw deflate data, which some servers send instead."""

    def __init__(self) -> None:
        self._inflate: Any = None
        self._held = b""  # a first byte, which doesn't tell the two apart

    def decode(self, data: bytes) -> bytes:
        if self._inflate is None:
            data, self._held = self._held + data, b""
            if len(data) < 2:  # noqa: PLR2004 - the length of a zlib header
                self._held = data
                return b""
            self._inflate = zlib.decompressobj(_window_bits(data))
        return b"" if self._inflate.eof else _inflated(self._inflate, data)

    def flush(self) -> bytes:
        if self._held or not (self._inflate is None or self._inflate.eof):
            raise httpx.DecodingError(_TRUNCATED)
        return b""


class _Brotli:
    """Decodes brotli with httpx's decoder, which doesn't notice the end of the data."""

    def __init__(self, decoder: _HttpxDecoder) -> None:
        self._decoder = decoder
        self._has_input = False

    def decode(self, data: bytes) -> bytes:
        self._has_input = self._has_input or bool(data)
        decoded: bytes = self._decoder.decode(data)
        return decoded

    def flush(self) -> bytes:
        rest: bytes = self._decoder.flush()
        if self._has_input and not self._decoder.decompressor.is_finished():
            raise httpx.DecodingError(_TRUNCATED)
        return rest


class _Zstandard:
    """Decodes zstd with httpx's decoder, which fails if a frame ends where a read does."""

    def __init__(self, decoder: _HttpxDecoder) -> None:
        self._decoder = decoder

    def decode(self, data: bytes) -> bytes:
        if not data:
            return b""
        if self._decoder.decompressor.eof:
            self._decoder = type(self._decoder)()
        decoded: bytes = self._decoder.decode(data)
        return decoded

    def flush(self) -> bytes:
        rest: bytes = self._decoder.flush()
        return rest


def _window_bits(data: bytes) -> int:
    """Return zlib's parameter for data in the zlib format, RFC 1950 section 2.2, or without it."""
    method, flags = data[0], data[1]
    is_zlib = method & 0x8F == zlib.DEFLATED and (method << 8 | flags) % 31 == 0
    return zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS


def _inflated(decompressor: Any, data: bytes) -> bytes:
    try:
        decoded: bytes = decompressor.decompress(data)
    except zlib.error as error:
        raise httpx.DecodingError(str(error)) from error
    return decoded
