"""What is remembered of heads gives the bytes and fields that hpack gives without it."""

import copy
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


@given(st.lists(st.one_of(HEADS, SIZES), max_size=30))
def test_what_is_encoded_is_what_hpack_encodes_and_decodes(steps: list[Any]) -> None:
    """Also after the server has changed the size of the table."""
    ours, plain, decoder = Encoder(), hpack.Encoder(), hpack.Decoder()
    decoder.max_allowed_table_size = 8192
    for step in steps:
        if isinstance(step, int):
            ours.header_table_size = step
            if step != plain.header_table_size:
                plain.header_table_size = step
            continue
        block = encoded(ours, step)
        assert block == plain.encode([indexable(*field) for field in step])
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


RESPONSES = st.lists(
    st.tuples(
        st.sampled_from([b"age", b"server", b"x-a", b"x-b"]),
        st.one_of(st.sampled_from([b"", b"a", b"b"]), st.integers(0, 120).map(b"v".__mul__)),
        st.booleans(),
    ),
    max_size=5,
)


@given(st.lists(st.one_of(RESPONSES, SIZES.filter(lambda size: size <= 4096)), max_size=40))
def test_what_is_decoded_is_what_hpack_decodes(steps: list[Any]) -> None:
    """Whatever the server adds to the table, evicts from it, or makes of its size."""
    server, ours, plain = hpack.Encoder(), Decoder(), hpack.Decoder()
    for step in steps:
        if isinstance(step, int):
            if step != server.header_table_size:
                server.header_table_size = step
            continue
        block = server.encode([(b":status", b"200"), *step])
        expected = [tuple(field) for field in plain.decode(block, raw=True)]
        head = decoded_fields(ours.decode(block)).head()
        assert [(b":status", b"%d" % head.status), *head.headers] == expected
        if not block.startswith(b"\x88"):
            continue  # it announces a size, which would announce it again
        expected = [tuple(field) for field in plain.decode(block, raw=True)]
        head = decoded_fields(ours.decode(block)).head()
        assert [(b":status", b"200"), *head.headers] == expected
        server.header_table = copy.deepcopy(
            plain.header_table
        )  # the repetition may have added to it


def test_the_same_bytes_mean_other_fields_once_the_table_has_changed() -> None:
    """Position 62 is the newest entry, RFC 7541 section 2.3.3."""
    server, decoder = hpack.Encoder(), Decoder()
    for value in (b"1", b"2"):
        decoder.decode(server.encode([(b":status", b"200"), (b"x-a", value)]))
        head = decoded_fields(decoder.decode(b"\x88\xbe")).head()
        assert head.headers == [(b"x-a", value)]


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
