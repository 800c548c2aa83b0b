"""Responses as llhttp reads them: what they mean, whole or in pieces, and what is refused."""

import itertools

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.http1.parser import ResponseParser

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\nX-Sum: 5\r\n\r\n"
)
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"


def read(data: bytes, method: bytes = b"GET") -> ResponseParser:
    """Read a response that comes in one piece."""
    reading = ResponseParser(method)
    reading.feed(data)
    return reading


def feed_all(reading: ResponseParser, pieces: list[bytes]) -> None:
    """Feed one piece after the other."""
    for piece in pieces:
        reading.feed(piece)


def read_in_pieces(data: bytes, cuts: list[int]) -> ResponseParser:
    """Read a response that is cut at some places."""
    reading = ResponseParser(b"GET")
    edges = sorted({0, *(cut % (len(data) + 1) for cut in cuts), len(data)})
    for begin, end in itertools.pairwise(edges):
        reading.feed(data[begin:end])
    return reading


@pytest.mark.parametrize("data", [PLAIN, CHUNKED, INTERIM + PLAIN, INTERIM * 3 + CHUNKED])
@given(cuts=st.lists(st.integers(min_value=0, max_value=1000), max_size=30))
def test_a_response_reads_the_same_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    """Status, headers, body, trailers and keep-alive do not depend on segments."""
    reading = read_in_pieces(data, cuts)
    assert (reading.status, reading.reason, reading.version) == (200, b"OK", b"1.1")
    assert b"".join(reading.parts) == b"hello"
    assert reading.is_complete
    assert reading.keeps_alive
    assert not reading.has_leftovers
    assert reading.trailers == ([(b"X-Sum", b"5")] if b"chunked" in data else [])
    assert b"Link" not in dict(reading.headers)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
        b"HTTP/1.1 99 No\r\n\r\n",
        b"HTTP/1.1 099 No\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        INTERIM * 21 + PLAIN,
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(data: bytes) -> None:
    """As httpcore's error for what the peer did wrong."""
    with pytest.raises(httpcore.RemoteProtocolError):
        read(data)


def test_a_head_without_an_end_is_refused() -> None:
    """At a hundred kilobytes, whether in one header or in many."""
    reading = ResponseParser(b"GET")
    reading.feed(b"HTTP/1.1 200 OK\r\nX: ")
    with pytest.raises(httpcore.RemoteProtocolError, match="head is larger"):
        feed_all(reading, [b"a" * 10_000] * 100)


def test_trailers_without_an_end_are_refused() -> None:
    """Their bound is the same."""
    reading = read(CHUNKED[: CHUNKED.index(b"X-Sum")])
    with pytest.raises(httpcore.RemoteProtocolError, match="trailers larger"):
        feed_all(reading, [b"X-%d: %b\r\n" % (n, b"a" * 10_000) for n in range(100)])


@pytest.mark.parametrize(
    ("method", "data"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        (b"GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_a_response_without_a_body_ends_with_its_head(method: bytes, data: bytes) -> None:
    """Whatever length it tells."""
    reading = read(data, method)
    assert reading.is_complete
    assert reading.keeps_alive
    assert list(reading.parts) == []


@pytest.mark.parametrize(
    ("method", "data"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\nhello"),
        (b"GET", PLAIN + b"more"),
        (b"GET", PLAIN + PLAIN),
        (b"GET", CHUNKED + b"HTTP/1.1 200"),
    ],
)
def test_bytes_beyond_a_response_are_left_over(method: bytes, data: bytes) -> None:
    """They are nobody's body, and the connection is used no more."""
    reading = read(data, method)
    assert reading.is_complete
    assert reading.has_leftovers
    assert b"".join(reading.parts) in (b"", b"hello")
    assert (b"".join(reading.parts) == b"hello") == (method == b"GET" and b" 200 " in data[:13])


def test_bytes_that_come_after_the_end_are_left_over_too() -> None:
    """In a segment of their own."""
    reading = read(PLAIN)
    reading.feed(b"HTTP/1.1 200 OK\r\n")
    assert reading.has_leftovers


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_connection_that_is_to_be_closed_is_not_kept(data: bytes) -> None:
    """Because the server says so, or because of its version."""
    assert not read(data).keeps_alive


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: x-a\r\nConnection: keep-alive\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nconnection: x-a , Close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\n\r\n", False),
    ],
)
def test_an_answer_to_head_keeps_its_connection_without_a_length_too(
    head: bytes,
    kept: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """There is no body whose end would have to be known."""
    assert read(head, b"HEAD").keeps_alive is kept


def test_chunks_in_http_1_0_end_the_connection_though_it_was_to_be_kept() -> None:
    """Its framing is faulty, RFC 9112 section 6.1."""
    head = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
    reading = read(head + b"0\r\n\r\n")
    assert reading.is_complete
    assert not reading.keeps_alive


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    """Which is then of no further use."""
    reading = read(b"HTTP/1.1 200 OK\r\n\r\nabc")
    assert not reading.is_complete
    reading.end()
    assert reading.is_complete
    assert not reading.keeps_alive


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "without sending a response"),
        (PLAIN[:20], "without sending a response"),
        (PLAIN[:-2], r"received 3 bytes, expected 5"),
        (CHUNKED[:-30], r"received \d bytes\)"),
    ],
)
def test_a_response_that_is_cut_is_not_whole(data: bytes, words: str) -> None:
    """The words are those that httpx's users know."""
    reading = ResponseParser(b"GET")
    if data:
        reading.feed(data)
    with pytest.raises(httpcore.RemoteProtocolError, match=words):
        reading.end()


def test_after_an_upgrade_every_byte_is_the_other_protocols() -> None:
    """From the first one behind the head."""
    reading = read(
        b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nraw"
    )
    reading.feed(b" bytes")
    assert reading.is_tunnel
    assert b"".join(reading.parts) == b"raw bytes"


def test_after_a_connect_every_byte_is_the_tunnels() -> None:
    """The answer to CONNECT has no body."""
    reading = read(b"HTTP/1.1 200 Connected\r\n\r\nraw", b"CONNECT")
    reading.feed(b" bytes")
    assert reading.is_tunnel
    assert b"".join(reading.parts) == b"raw bytes"


@pytest.mark.parametrize("length", [b"Content-Length: 4\r\n", b"Transfer-Encoding: chunked\r\n"])
@given(cut=st.integers(min_value=1, max_value=80))
def test_what_an_answer_to_connect_says_of_its_length_is_passed_over(
    length: bytes, cut: int
) -> None:
    """RFC 9110 section 9.3.6: whatever follows is the tunnel's, wherever the segments end."""
    reading, data = ResponseParser(b"CONNECT"), b"HTTP/1.1 200 OK\r\n" + length + b"\r\n3\r\nraw"
    feed_all(reading, [data[:cut], data[cut:]])
    assert reading.is_tunnel
    assert b"".join(reading.parts) == b"3\r\nraw"


def test_a_connect_that_is_refused_has_a_body_like_any_other() -> None:
    """There is no tunnel then."""
    reading = read(b"HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno", b"CONNECT")
    assert not reading.is_tunnel
    assert b"".join(reading.parts) == b"no"


@given(
    st.sampled_from([PLAIN, CHUNKED, INTERIM + PLAIN]),
    st.lists(st.tuples(st.integers(min_value=0, max_value=200), st.binary(max_size=3)), max_size=8),
    st.sampled_from([b"GET", b"HEAD", b"CONNECT"]),
)
def test_no_mutation_lets_another_error_out(
    data: bytes, mutations: list[tuple[int, bytes]], method: bytes
) -> None:
    """A response, or the error for what the peer did wrong; never anything else."""
    for place, piece in mutations:
        data = data[:place] + piece + data[place + 1 :]
    reading = ResponseParser(method)
    try:
        reading.feed(data)
        reading.end()
    except httpcore.RemoteProtocolError:
        return
    assert reading.has_head
