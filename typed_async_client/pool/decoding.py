"""Decodes the bodies of responses in bounded steps, and checks that what was decoded is complete.

httpx's decoders decode all that they are given at once, however large that becomes. They treat a body
that ends within its gzip, deflate or brotli data as complete, and stop after the first gzip member. The
one here has their methods, so that httpx uses it for a streamed body as well. It reads what follows the
compressed data as gzip(1) and browsers do:

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
zstd with a window of more than 8 MiB      ``httpx.DecodingError``, RFC 9659 section 3
part of a coded representation (206)       returned as received, RFC 9110 section 15.3.7
=========================================  ======================================================
"""

import asyncio
import io
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

import httpx

from typed_async_client.pool.brotli_decoder import Brotli, brotli_library
from typed_async_client.pool.zlib_decoders import PIECE_SIZE, Deflate, Gzip
from typed_async_client.pool.zstd_decoder import zstd_class, zstd_library
from typed_async_client.private import leave_encoded

__all__ = [
    "PIECES_PER_TURN",
    "BodyDecoder",
    "codings_of",
    "decode_whole",
    "decoder_for",
    "leave_slice_encoded",
    "too_many_codings",
]

PIECES_PER_TURN: Final = 4
"""Pieces to decode before other tasks get a turn of the event loop: 4 MiB take some 10 ms."""

_SLICE_SIZE: Final = 16 * 1024
"""Bytes to decode in one step: at the end of each gzip member, zlib copies the unused rest."""

_MANY: Final = 256
"""Pieces that take about as long as a large one, as each may be that of another frame or member."""

_SHOWN: Final = 5
"""Codings named in a message."""

_PARTIAL: Final = 206
_WHOLE_RANGE = re.compile(r"bytes 0-(\d{1,20})/(\d{1,20})", re.IGNORECASE)


Pieces: TypeAlias = Generator[bytes, None, None]


class Decoder(Protocol):
    """Decodes one content coding."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Decode a part of the body, a piece at a time."""

    def finish(self) -> None:
        """Raise ``httpx.DecodingError`` unless the data is complete."""


_DECODERS: Mapping[str, Callable[[], Decoder]] = {
    "gzip": Gzip,
    "x-gzip": Gzip,  # RFC 9110 section 8.4.1.3
    "deflate": Deflate,
    **({} if brotli_library is None else {"br": lambda: Brotli(brotli_library)}),
    **({} if zstd_library is None else {"zstd": lambda: zstd_class(zstd_library)(zstd_library)}),
}


def codings_of(headers: Any) -> list[str]:
    """Return the content codings of a response that are decoded, in the order they were applied.

    As in httpx, those that aren't known, or whose library isn't installed, are left out.
    """
    values = headers.get_list("content-encoding", split_commas=True)
    return [coding for value in values if (coding := value.strip().lower()) in _DECODERS]


def too_many_codings(codings: Sequence[str], max_encodings: int | None) -> str:
    """Return why a body with these codings isn't decoded; empty if it is."""
    if max_encodings is None or len(codings) <= max_encodings:
        return ""
    shown = ", ".join(codings[:_SHOWN]) + (", ..." if len(codings) > _SHOWN else "")
    return (
        f"the body has {len(codings)} content codings ({shown}), of which at most {max_encodings} "
        f"can be decoded, as each of them can make few bytes very many: pass max_encodings="
        f"{len(codings)} to the client if you trust the server"
    )


def decoder_for(
    codings: Sequence[str], max_encodings: int | None, check: "Check | None" = None
) -> "BodyDecoder":
    """Return what decodes a body.

    Args:
        codings: its content codings, all of which are known.
        max_encodings: how many there may be; None is no limit.
        check: called after each piece, see ``BodyDecoder``.
    """
    if reason := too_many_codings(codings, max_encodings):
        return BodyDecoder([_Refusing(reason)])
    return BodyDecoder([_DECODERS[coding]() for coding in reversed(codings)], check)


Check = Callable[[int, bool], None]
"""Takes how many bytes a coding was decoded to, and whether it is the last one to be decoded. It raises
if they are too many."""


class BodyDecoder:
    """Decodes a body in steps; its ``decode`` and ``flush`` are what httpx calls.

    Args:
        decoders: those of its codings, in the order in which they are decoded.
        check: called after each piece of each coding; None for nothing.

    Attributes:
        is_drained: whether ``decode`` has returned all of what it was given.
        is_watched: whether it keeps the error that ends the decoding, for ``take_failure``.
    """

    def __init__(self, decoders: Sequence[Decoder], check: Check | None = None) -> None:
        self._check = check
        self._decoders = decoders
        self._pending: Iterator[bytes] = iter(())
        self._sizes = [0] * len(decoders)
        self.is_drained: bool = True
        self.is_watched: bool = False
        self._failure: Exception | None = None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Decode a part of the body; some of the pieces may be empty."""
        parts: Iterator[bytes] = iter((data,))
        for number, decoder in enumerate(self._decoders):
            pieces = _decoded(decoder, parts)
            parts = pieces if self._check is None else self._checked(number, pieces, self._check)
        try:
            yield from parts
        except httpx.RequestError as error:
            self._decoders = ()  # they hold megabytes, and the traceback of the error holds this
            self._failure = error if self.is_watched else None
            raise

    def finish(self) -> None:
        """Check that the body is complete."""
        for decoder in self._decoders:
            decoder.finish()

    def take_failure(self, *, is_complete: bool) -> Exception | None:
        """Return the error that has ended the decoding, once; None without one.

        Args:
            is_complete: whether all of the body was decoded, so that it must be complete.
        """
        failure, self._failure = self._failure, None  # its traceback refers back to this
        if failure is None and is_complete:
            try:
                self.finish()
            except httpx.DecodingError as error:
                return error
        return failure

    def decode(self, data: bytes) -> bytes:
        """Return the next piece of a part of the body.

        As long as it isn't drained, it expects to be called again, without data.
        """
        before = b""
        if data:
            before = b"".join(self._pending)
            self._pending, self.is_drained = self.pieces(data), False
        piece = next(self._pending, None)
        self.is_drained = piece is None
        return before + piece if piece else before

    def flush(self) -> bytes:
        """Return what is left at the end of the body, and check that the body is complete."""
        rest = b"".join(self._pending)
        self.finish()
        return rest

    def _checked(self, number: int, pieces: Pieces, check: Check) -> Pieces:
        is_last = number == len(self._decoders) - 1
        for piece in pieces:
            self._sizes[number] += len(piece)
            try:
                check(self._sizes[number], is_last)
            except httpx.RequestError:
                del piece
                pieces.close()
                raise
            yield piece


async def decode_whole(decoder: BodyDecoder, raw: bytes) -> bytes:
    """Decode a complete body; an empty one isn't encoded, whatever its headers say.

    Other tasks get their turn while a large body is decoded.

    Raises:
        httpx.DecodingError: the encoded body is invalid or truncated.
    """
    with io.BytesIO() as content:  # closed, so that the traceback of an error doesn't hold it
        for number, piece in enumerate(decoder.pieces(raw), 1):
            content.write(piece)
            if number % PIECES_PER_TURN == 0:
                await asyncio.sleep(0)
        decoder.finish()
        return content.getvalue()


def _decoded(decoder: Decoder, parts: Iterator[bytes]) -> Pieces:
    """Decode parts of a body in small slices, and yield at least one piece for each of these."""
    for part in parts:
        for start in range(0, len(part), _SLICE_SIZE):
            yield from _gathered(decoder.pieces(part[start : start + _SLICE_SIZE]))


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Join pieces, of which there may be very many, until they are large or have taken some time."""
    small: list[bytes] = []
    size = 0
    for piece in pieces:
        small.append(piece)
        size += len(piece)
        if size >= PIECE_SIZE or len(small) == _MANY:
            yield b"".join(small)
            small, size = [], 0
    yield b"".join(small)


class _Refusing:
    """Stands in for the decoders of a body that has too many codings, which isn't decoded at all."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if data:
            raise httpx.DecodingError(self._reason)
        return iter(())

    def finish(self) -> None:
        pass


def _is_slice(response: httpx.Response) -> bool:
    """Whether a response has only a part of a representation, RFC 9110 section 15.3.7.

    A 206 response that says that it covers all bytes has the whole of it. Several parts, in a
    multipart body, don't say so.
    """
    if response.status_code != _PARTIAL:
        return False
    covered = _WHOLE_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return covered is None or int(covered[1]) + 1 != int(covered[2])


def leave_slice_encoded(response: Any) -> bool:
    """Let httpx, or httpx2, return the body of a 206 response as received, unless it is whole.

    The content coding was applied to the whole representation, before a part of it was selected.

    Returns:
        Whether it will.
    """
    is_slice = _is_slice(response)
    if is_slice:
        leave_encoded(response)
    return is_slice
