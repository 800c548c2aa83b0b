"""The response parser: what it reads from whole and split responses, and what it refuses."""

import itertools

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.http1.parser import ResponseParser

SIMPLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\nX-Sum: 5\r\n\r\n"
)
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"


def parse(data: bytes, method: bytes = b"GET") -> ResponseParser:
    """Parse a response that arrives in one piece."""
    response = ResponseParser(method)
    response.feed(data)
    return response


def feed_all(response: ResponseParser, pieces: list[bytes]) -> None:
    """Feed one piece after another."""
    for piece in pieces:
        response.feed(piece)


def parse_in_pieces(data: bytes, cuts: list[int]) -> ResponseParser:
    """Parse a response that is split at the given offsets."""
    response = ResponseParser(b"GET")
    edges = sorted({0, *(cut % (len(data) + 1) for cut in cuts), len(data)})
    for start, end in itertools.pairwise(edges):
        response.feed(data[start:end])
    return response


@pytest.mark.parametrize("data", [SIMPLE, CHUNKED, INTERIM + SIMPLE, INTERIM * 3 + CHUNKED])
@given(cuts=st.lists(st.integers(min_value=0, max_value=1000), max_size=30))
def test_a_response_is_parsed_the_same_however_it_is_split(data: bytes, cuts: list[int]) -> None:
    """Status, headers, body, trailers and keep-alive don't depend on TCP segments."""
    response = parse_in_pieces(data, cuts)
    assert (response.status, response.reason, response.version) == (200, b"OK", b"1.1")
    assert b"".join(response.parts) == b"hello"
    assert response.is_complete
    assert response.keep_alive
    assert not response.has_leftovers
    assert response.trailers == ([(b"X-Sum", b"5")] if b"chunked" in data else [])
    assert b"Link" not in dict(response.headers)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n A: b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n\tc\0\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n 1\r\n 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2,\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\nC: d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n A: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
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
        INTERIM * 21 + SIMPLE,
    ],
)
def test_an_ambiguous_or_invalid_response_is_refused(data: bytes) -> None:
    """With httpcore's error for a violation by the peer."""
    with pytest.raises(httpcore.RemoteProtocolError):
        parse(data)


def test_an_endless_head_is_refused() -> None:
    """It may have 100 KiB at most."""
    response = ResponseParser(b"GET")
    response.feed(b"HTTP/1.1 200 OK\r\nX: ")
    with pytest.raises(httpcore.RemoteProtocolError, match="head is larger"):
        feed_all(response, [b"a" * 10_000] * 100)


@pytest.mark.parametrize("interim", [b"", INTERIM])
@pytest.mark.parametrize(("size", "fits"), [(102_400, True), (102_401, False)])
def test_a_complete_head_is_measured_without_the_body_behind_it(
    interim: bytes, size: int, *, fits: bool
) -> None:
    """Its last part may have arrived with a part of the body; interim responses count."""
    start = interim + b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\nX: "
    head = start + b"a" * (size - len(start) - 4) + b"\r\n\r\n"
    response = ResponseParser(b"GET")
    pieces = [head[:65_536], head[65_536:] + bytes(50_000)]
    if fits:
        feed_all(response, pieces)
        assert (response.is_complete, response.received) == (True, 50_000)
    else:
        with pytest.raises(httpcore.RemoteProtocolError, match="head is larger"):
            feed_all(response, pieces)


def test_endless_trailers_are_refused() -> None:
    """The same limit applies to them."""
    response = parse(CHUNKED[: CHUNKED.index(b"X-Sum")])
    with pytest.raises(httpcore.RemoteProtocolError, match="trailers are larger"):
        feed_all(response, [b"X-%d: %b\r\n" % (n, b"a" * 10_000) for n in range(100)])


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
    """Whatever length it declares."""
    response = parse(data, method)
    assert response.is_complete
    assert response.keep_alive
    assert list(response.parts) == []


@pytest.mark.parametrize(
    ("method", "data"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\nhello"),
        (b"GET", SIMPLE + b"more"),
        (b"GET", SIMPLE + SIMPLE),
        (b"GET", CHUNKED + b"HTTP/1.1 200"),
    ],
)
def test_bytes_after_a_response_are_leftovers(method: bytes, data: bytes) -> None:
    """They belong to no body, and the connection can't be reused."""
    response = parse(data, method)
    assert response.is_complete
    assert response.has_leftovers
    assert b"".join(response.parts) in (b"", b"hello")
    assert (b"".join(response.parts) == b"hello") == (method == b"GET" and b" 200 " in data[:13])


def test_bytes_that_arrive_after_the_end_are_leftovers_too() -> None:
    """Here they arrive in a separate segment."""
    response = parse(SIMPLE)
    response.feed(b"HTTP/1.1 200 OK\r\n")
    assert response.has_leftovers


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nConnection: close, keep-alive\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_connection_that_the_server_closes_is_not_kept_alive(data: bytes) -> None:
    """It sends ``Connection: close``, or speaks HTTP/1.0."""
    assert not parse(data).keep_alive


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: x-a\r\nConnection: keep-alive\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nconnection: x-a , Close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\n\r\n", False),
    ],
)
def test_a_response_to_head_needs_no_length_to_keep_the_connection_alive(
    head: bytes,
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """It has no body whose end must be found."""
    assert parse(head, b"HEAD").keep_alive is expected


def test_a_chunked_http_1_0_response_is_not_kept_alive() -> None:
    """Its framing is faulty, RFC 9112 section 6.1, even if the server sends keep-alive."""
    head = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
    response = parse(head + b"0\r\n\r\n")
    assert response.is_complete
    assert not response.keep_alive


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    """So the connection can't be kept alive."""
    response = parse(b"HTTP/1.1 200 OK\r\n\r\nabc")
    assert not response.is_complete
    response.end()
    assert response.is_complete
    assert not response.keep_alive


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "without sending a response"),
        (SIMPLE[:20], "without sending a response"),
        (SIMPLE[:-2], r"received 3 bytes, expected 5"),
        (CHUNKED[:-30], r"received \d bytes\)"),
    ],
)
def test_a_truncated_response_is_an_error(data: bytes, message: str) -> None:
    """The messages are those that httpx users know."""
    response = ResponseParser(b"GET")
    if data:
        response.feed(data)
    with pytest.raises(httpcore.RemoteProtocolError, match=message):
        response.end()


def test_after_an_upgrade_all_bytes_belong_to_the_new_protocol() -> None:
    """Starting with the first one after the head."""
    response = parse(
        b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nraw"
    )
    response.feed(b" bytes")
    assert response.is_tunnel
    assert b"".join(response.parts) == b"raw bytes"


def test_after_a_connect_all_bytes_belong_to_the_tunnel() -> None:
    """A successful response to CONNECT has no body."""
    response = parse(b"HTTP/1.1 200 Connected\r\n\r\nraw", b"CONNECT")
    response.feed(b" bytes")
    assert response.is_tunnel
    assert b"".join(response.parts) == b"raw bytes"


@pytest.mark.parametrize("length", [b"Content-Length: 4\r\n", b"Transfer-Encoding: chunked\r\n"])
@given(cut=st.integers(min_value=1, max_value=80))
def test_the_length_in_a_response_to_connect_is_ignored(length: bytes, cut: int) -> None:
    """RFC 9110 section 9.3.6: all that follows belongs to the tunnel, however it is split."""
    response, data = ResponseParser(b"CONNECT"), b"HTTP/1.1 200 OK\r\n" + length + b"\r\n3\r\nraw"
    feed_all(response, [data[:cut], data[cut:]])
    assert response.is_tunnel
    assert b"".join(response.parts) == b"3\r\nraw"


def test_a_refused_connect_has_a_body_like_any_other_response() -> None:
    """No tunnel is opened."""
    response = parse(b"HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno", b"CONNECT")
    assert not response.is_tunnel
    assert b"".join(response.parts) == b"no"


@given(
    st.sampled_from([SIMPLE, CHUNKED, INTERIM + SIMPLE]),
    st.lists(st.tuples(st.integers(min_value=0, max_value=200), st.binary(max_size=3)), max_size=8),
    st.sampled_from([b"GET", b"HEAD", b"CONNECT"]),
)
def test_a_mutated_response_raises_no_other_error(
    data: bytes, mutations: list[tuple[int, bytes]], method: bytes
) -> None:
    """It is parsed, or refused with ``RemoteProtocolError``; never anything else."""
    for index, replacement in mutations:
        data = data[:index] + replacement + data[index + 1 :]
    response = ResponseParser(method)
    try:
        response.feed(data)
        response.end()
    except httpcore.RemoteProtocolError:
        return
    assert response.has_head
