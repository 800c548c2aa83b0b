"""Decoders: a bounded piece at a time, the same however the data is split, and only whole data."""

import asyncio
import gzip
import itertools
import random
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import httpx
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.pool.brotli_decoder import Brotli
from typed_async_client.pool.decoding import BodyDecoder, decode_whole, decoder_for
from typed_async_client.pool.zlib_decoders import PIECE_SIZE, Gzip
from typed_async_client.pool.zstd_decoder import zstd_class
from typed_async_client.pool.zstd_frames import FrameSlicer

WORDS = b"some words, " * 20 + bytes(range(256))
ZEROS = bytes(16 * PIECE_SIZE + 77)


def raw_deflated(data: bytes) -> bytes:
    """Compress without the header and the checksum of zlib."""
    return zlib.compress(data, wbits=-zlib.MAX_WBITS)


def zstd_frame(data: bytes, **options: Any) -> bytes:
    """Compress to one frame of zstd."""
    return zstandard.ZstdCompressor(**options).compress(data)


def zstd_stream(data: bytes) -> bytes:
    """Compress to one frame that doesn't say how long its content is, and has a checksum."""
    compressor = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return compressor.compress(data) + compressor.flush()


def skippable_frame(data: bytes) -> bytes:
    """Return a frame that decodes to nothing."""
    return b"\x5e\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


CODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflated),
    "brotli": ("br", brotli.compress),
    "zstd": ("zstd", zstd_frame),
    "zstd with a checksum": ("zstd", zstd_stream),
}


def decoded(coding: str, *parts: bytes) -> bytes:
    """Decode a body that arrives in parts."""
    decoder = decoder_for([coding], None)
    pieces = [piece for part in parts for piece in decoder.pieces(part)]
    decoder.finish()
    return b"".join(pieces)


def split(data: bytes, size: int) -> list[bytes]:
    """Split data into parts."""
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize(("coding", "compress"), CODINGS.values(), ids=CODINGS)
def test_a_body_cut_at_any_byte_is_an_error(
    coding: str, compress: Callable[[bytes], bytes]
) -> None:
    """Only nothing at all, and all of it, are complete."""
    body = compress(WORDS)
    for length in range(1, len(body)):
        with pytest.raises(httpx.DecodingError):
            decoded(coding, body[:length])
    assert decoded(coding) == decoded(coding, b"") == b""
    assert decoded(coding, body) == decoded(coding, *split(body, 1)) == WORDS


@pytest.mark.parametrize(("coding", "compress"), CODINGS.values(), ids=CODINGS)
def test_no_piece_is_much_larger_than_a_mebibyte(
    coding: str, compress: Callable[[bytes], bytes]
) -> None:
    """Of gathered small pieces and a large one, it may have two of them."""
    body = compress(ZEROS)
    for size in (len(body), 1000):
        decoder, total = decoder_for([coding], None), 0
        for piece in itertools.chain.from_iterable(map(decoder.pieces, split(body, size))):
            assert len(piece) <= 2 * PIECE_SIZE
            total += len(piece)
        decoder.finish()
        assert total == len(ZEROS)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@given(
    words=st.lists(st.binary(max_size=300), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 2000), max_size=8),
)
def test_members_and_frames_are_decoded_however_they_are_split(
    coding: str, words: list[bytes], cuts: list[int]
) -> None:
    """One after another, to the end of the last one."""
    ways: list[Callable[[bytes], bytes]] = [gzip.compress]
    if coding == "zstd":
        ways = [zstd_frame, zstd_stream, skippable_frame]
    used = list(zip(words, itertools.cycle(ways)))
    body = b"".join(compress(word) for word, compress in used)
    ends = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    parts = [body[start:end] for start, end in itertools.pairwise(ends)]
    assert decoded(coding, *parts) == b"".join(
        word for word, compress in used if compress is not skippable_frame
    )


@given(data=st.binary(max_size=200), cuts=st.lists(st.integers(1, 199), max_size=4))
def test_bytes_of_any_kind_are_cut_into_slices_without_loss(data: bytes, cuts: list[int]) -> None:
    """Whether they are frames is for the library to say."""
    for start in (b"", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"):
        body = start + data
        ends = [0, *sorted({cut for cut in cuts if cut < len(body)}), len(body)]
        slicer = FrameSlicer()
        parts = [body[first:end] for first, end in itertools.pairwise(ends)]
        assert b"".join(part for each in parts for part in slicer.slices(each)) == body


def test_a_slice_of_a_zstd_frame_has_at_most_eight_blocks() -> None:
    """Each of them decodes to 128 KiB; here, four bytes do."""
    block = (1 << 1 | 128 * 1024 << 3).to_bytes(3, "little") + b"\0"
    last = (1 | 1 << 1 | 5 << 3).to_bytes(3, "little") + b"\0"
    frame = b"\x28\xb5\x2f\xfd\x00\x58" + 20 * block + last
    assert [len(part) for part in FrameSlicer().slices(frame)] == [6 + 32, 32, 20]
    assert decoded("zstd", frame) == bytes(20 * 128 * 1024 + 5)


def test_a_zstd_window_of_more_than_eight_mebibytes_is_refused() -> None:
    """HTTP doesn't allow it (RFC 9659), and it would be kept in memory."""
    for log, is_allowed in ((23, True), (24, False)):
        options = zstandard.ZstdCompressionParameters(window_log=log)
        compressor = zstandard.ZstdCompressor(compression_params=options).compressobj()
        body = compressor.compress(ZEROS) + compressor.flush()
        if is_allowed:
            assert decoded("zstd", body) == ZEROS
            continue
        with pytest.raises(httpx.DecodingError, match="requires too much memory"):
            decoded("zstd", body)


@pytest.mark.parametrize("name", ["zstandard", "compression.zstd", "backports.zstd"])
def test_each_library_for_zstd_decodes_the_same(name: str) -> None:
    """Those that are installed: frames one after another, in pieces, and only complete ones."""
    library = pytest.importorskip(name)
    make = zstd_class(library)
    body = zstd_frame(ZEROS) + skippable_frame(b"abc") + zstd_stream(WORDS)
    for size in (len(body), 1000, 1):
        decoder = make(library)
        pieces = [piece for part in split(body, size) for piece in decoder.pieces(part)]
        decoder.finish()
        assert b"".join(pieces) == ZEROS + WORDS
        assert max(map(len, pieces)) <= PIECE_SIZE
    for cut in range(1, 30):
        decoder = make(library)
        for _ in decoder.pieces(body[:-cut]):
            pass
        with pytest.raises(httpx.DecodingError):
            decoder.finish()
    make(library).finish()
    for bad in (b"no zstd at all", b"\x28\xb5\x2f\xfd\x00\xff\x01\0\0"):
        with pytest.raises(httpx.DecodingError):
            next(make(library).pieces(bad))


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("zstd", zstd_frame(WORDS) + b"and more"),
        ("br", brotli.compress(WORDS) + b"\0"),
        ("br", b"no brotli at all"),
        ("gzip", b"no gzip at all"),
    ],
)
def test_what_cannot_be_decoded_is_an_error(coding: str, body: bytes) -> None:
    """Also behind the end of zstd and brotli data."""
    with pytest.raises(httpx.DecodingError):
        decoded(coding, body)


class OldDecompressor:
    """Brotli as it was before version 1.2: its output has no limit."""

    def __init__(self) -> None:
        self._inner = brotli.Decompressor()
        self.largest = 0

    def decompress(self, data: bytes) -> bytes:
        """Decode all that is given, as brotlicffi names it."""
        piece: bytes = self._inner.process(data)
        self.largest = max(self.largest, len(piece))
        return piece

    def is_finished(self) -> bool:
        """Whether the end was reached."""
        finished: bool = self._inner.is_finished()
        return finished


class OldBrotli:
    """A module like ``brotli``."""

    error = brotli.error
    Decompressor = OldDecompressor


def test_an_older_brotli_is_given_few_bytes_at_a_time() -> None:
    """They decode to 16 MiB at most, or little more."""
    zeros = bytes(100 * PIECE_SIZE)
    decoder = Brotli(OldBrotli)
    assert sum(map(len, decoder.pieces(brotli.compress(zeros, quality=5)))) == len(zeros)
    decoder.finish()
    assert vars(decoder)["_decompressor"].largest <= 33 * PIECE_SIZE
    small = Brotli(OldBrotli)
    assert b"".join(small.pieces(brotli.compress(WORDS))) == WORDS
    with pytest.raises(httpx.DecodingError):
        next(Brotli(OldBrotli).pieces(b"no brotli at all"))


# As httpx calls a decoder


def test_a_decoder_returns_a_piece_at_each_call_until_it_is_drained() -> None:
    """An empty part of the body asks for the next one."""
    decoder = decoder_for(["gzip"], None)
    content = decoder.decode(gzip.compress(ZEROS))
    assert len(content) <= 2 * PIECE_SIZE
    while not decoder.is_drained:
        content += decoder.decode(b"")
    assert content + decoder.flush() == ZEROS
    assert decoder.decode(b"") == b""


def test_a_decoder_loses_nothing_if_it_is_not_drained() -> None:
    """A response of a class of its own may call it once for each part only."""
    random.seed(1)
    noise = random.randbytes(100_000)
    for data in (ZEROS, noise + ZEROS + noise):
        decoder = decoder_for(["gzip"], None)
        parts = [decoder.decode(part) for part in split(gzip.compress(data), 5000)]
        assert b"".join(parts) + decoder.flush() == data


def test_only_a_body_with_too_many_codings_is_refused() -> None:
    """Before anything is decoded; one without a byte is no such body."""
    assert decoder_for(["gzip"] * 3, 3).decode(b"\x1f") == b""
    decoder = decoder_for(["gzip"] * 200, 3)
    assert (decoder.decode(b""), decoder.flush()) == (b"", b"")
    with pytest.raises(httpx.DecodingError, match=r"200 content codings \(gzip, .*\.\.\.\)"):
        decoder.decode(b"\x1f")


async def test_other_tasks_run_while_a_large_body_is_decoded() -> None:
    """Once for every four pieces."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    await asyncio.sleep(0)
    decoder: BodyDecoder = decoder_for(["gzip"], None)
    assert await decode_whole(decoder, gzip.compress(ZEROS)) == ZEROS
    assert turns >= len(ZEROS) // (4 * PIECE_SIZE)
    counting.cancel()


def test_padding_within_the_start_of_a_gzip_member_makes_it_something_else() -> None:
    """Only NUL bytes before a member are padding, wherever the parts of the body end."""
    member = gzip.compress(b"more")
    decoder = Gzip()
    parts = [gzip.compress(b"words"), member[:1], b"\0" + member[1:]]
    assert b"".join(b"".join(decoder.pieces(part)) for part in parts) == b"words"
    decoder.finish()
