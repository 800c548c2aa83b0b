"""What is remembered of heads gives the bytes and fields that hpack gives without it."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.http2.compression import PLACEHOLDER, Decoder, Encoder, decoded_fields
from typed_async_client.http2.heads import Headers

FIELDS = st.tuples(
    st.sampled_from([b":method", b":path", b"accept", b"x-a", b"x-b", b"cookie", b"authorization"]),
    st.one_of(
        st.sampled_from([b"", b"GET", b"/", b"a", b"b"]),
        st.binary(max_size=30),
        st.integers(0, 300).map(bytes),
    ),
)
HEADS = st.lists(FIELDS, min_size=1, max_size=6)
SIZES = st.sampled_from([0, 40, 80, 200, 4096, 8192])
NEVER_INDEXED = (b":path", b"authorization")


def indexable(name: bytes, value: bytes) -> Any:
    """Return a field as hpack takes it."""
    if name in NEVER_INDEXED or (name == b"cookie" and len(value) < 20):
        return hpack.NeverIndexedHeaderTuple(name, value)
    return hpack.HeaderTuple(name, value)


def encoded(encoder: Encoder, fields: Headers) -> bytes:
    """Encode the head of a request."""
    encoder.fields = fields
    return encoder.encode(PLACEHOLDER)


def plainly_encoded(encoder: Any, fields: Headers, added: Counter[bytes]) -> Iterator[bytes]:
    """Encode the head of a request with hpack; a name that was added eight times isn't any more."""
    if encoder.header_table.resized:
        yield encoder.encode(())
    for name, value in fields:
        field = (
            indexable(name, value)
            if added[name] < 8
            else hpack.NeverIndexedHeaderTuple(name, value)
        )
        block = encoder.encode([field])
        added[name] += block[0] & 0xC0 == 0x40
        yield block


@given(st.lists(st.one_of(HEADS, SIZES), max_size=30))
def test_what_is_encoded_is_what_hpack_encodes_and_decodes(steps: list[Any]) -> None:
    """Also after the server has changed the size of the table."""
    ours, plain, decoder, added = Encoder(), hpack.Encoder(), hpack.Decoder(), Counter[bytes]()
    decoder.max_allowed_table_size = 8192
    for step in steps:
        if isinstance(step, int):
            ours.header_table_size = step
            if step != plain.header_table_size:
                plain.header_table_size = step
            continue
        block = encoded(ours, step)
        assert block == b"".join(plainly_encoded(plain, step, added))
        assert decoder.decode(block, raw=True) == step


def test_a_smaller_table_is_announced_even_if_the_server_asks_for_it_twice() -> None:
    """RFC 7541 section 4.2: the next head begins with the new size."""
    encoder = Encoder()
    encoder.header_table_size = 100
    encoder.header_table_size = 100
    assert encoded(encoder, [(b":method", b"GET")]) == b"\x3f\x45\x82"


def test_a_server_cannot_make_the_table_large() -> None:
    """What it asks for is bounded, and the bound is announced."""
    encoder = Encoder()
    encoder.header_table_size = 2**30
    assert encoder.header_table_size == 64 * 1024
    assert encoder.table_size_changes == [64 * 1024]


VALUES = st.sampled_from([b"", b"v", b"w", b"v" * 40, b"v" * 80])
PARTS = st.one_of(
    st.just(b"\xbe"),  # the newest in the table
    st.just(b"\xbf"),  # the one before it
    VALUES.map(lambda value: b"\x40\x01a" + bytes([len(value)]) + value),  # added to the table
    VALUES.map(lambda value: b"\x00\x01b" + bytes([len(value)]) + value),  # not added
)
RESIZES = st.sampled_from([b"", b"", b"", b"\x20", b"\x3f\x31", b"\x20\x3f\x31", b"\x3f\xe1\x1f"])
"""To 0, 80 or 4096 bytes."""
BLOCKS = st.builds(
    lambda size, parts: size + b"\x88" + b"".join(parts), RESIZES, st.lists(PARTS, max_size=3)
)
ADDS = b"\x88\x40\x01a\x01x\x40\x01a\x01y"


@given(
    st.lists(BLOCKS, min_size=1, max_size=4).flatmap(
        lambda some: st.lists(st.sampled_from([ADDS, *some]), min_size=4, max_size=12)
    )
)
def test_what_is_decoded_is_what_hpack_decodes(blocks: list[bytes]) -> None:
    """Whatever a server adds to the table, evicts from it, makes of its size, or repeats."""
    ours, plain = Decoder(), hpack.Decoder()
    for block in [ADDS, *blocks]:
        try:
            expected = [tuple(field) for field in plain.decode(block, raw=True)]
        except hpack.HPACKDecodingError:  # nothing is at that position: the connection ends
            with pytest.raises(hpack.HPACKDecodingError):
                ours.decode(block)
            return
        head = decoded_fields(ours.decode(block)).head()
        assert [(b":status", b"%d" % head.status), *head.headers] == expected


def test_the_same_bytes_mean_other_fields_once_the_table_has_changed() -> None:
    """Position 62 is the newest entry, RFC 7541 section 2.3.3."""
    server, decoder = hpack.Encoder(), Decoder()
    for value in (b"1", b"2"):
        decoder.decode(server.encode([(b":status", b"200"), (b"x-a", value)]))
        head = decoded_fields(decoder.decode(b"\x88\xbe")).head()
        assert head.headers == [(b"x-a", value)]


def test_what_was_evicted_is_not_remembered() -> None:
    """A smaller table keeps its newest entries only."""
    decoder = Decoder()
    for block in (ADDS, b"\x88\xbf", b"\x3f\x13\x88"):  # two entries, the older one, 50 bytes
        decoder.decode(block)
    with pytest.raises(hpack.HPACKDecodingError):
        decoder.decode(b"\x88\xbf")


def test_a_size_is_set_each_time_it_is_sent() -> None:
    """Also if nothing had to be evicted in between."""
    decoder = Decoder()
    small, large = b"\x3f\x13\x88", b"\x3f\xe1\x1f\x88"
    for block, size in [(small, 50), (small, 50), (large, 4096), (small, 50)]:
        decoder.decode(block)
        assert decoder.header_table_size == size


def test_many_different_heads_are_decoded_correctly() -> None:
    """More than are remembered."""
    server, decoder = hpack.Encoder(), Decoder()
    for number in [*range(300), *range(300)]:
        field = (b"etag", b"%d" % number)
        block = server.encode([(b":status", b"200"), hpack.NeverIndexedHeaderTuple(*field)])
        assert decoded_fields(decoder.decode(block)).head().headers == [field]


@pytest.mark.parametrize("times", [1, 2])
def test_the_limit_of_a_head_holds_each_time(times: int) -> None:
    """A head that is too large isn't remembered."""
    decoder = Decoder()
    large = hpack.Encoder().encode(
        [(b":status", b"200"), hpack.NeverIndexedHeaderTuple(b"x-a", bytes(70_000))]
    )
    for _ in range(times):
        with pytest.raises(hpack.OversizedHeaderListError):
            decoder.decode(large)


def test_a_header_that_differs_each_time_is_kept_out_of_the_table() -> None:
    """After a few values; otherwise it would push out the others, and nothing could be remembered."""
    encoder, decoder = Encoder(), hpack.Decoder()
    entries = []
    for number in range(30):
        encoder.fields = [(b":method", b"GET"), (b"accept", b"text/x"), (b"x-id", b"%d" % number)]
        assert decoder.decode(encoder.encode(()), raw=True) == encoder.fields
        entries.append(len(encoder.header_table.dynamic_entries))
    assert entries[10:] == [entries[10]] * 20
    assert entries[10] < 12
