"""What llhttp refuses, but RFC 9112 allows: it is read the same way however it is split."""

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.http1.parser import ResponseParser

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
FOLDED = HEAD + b"X-A: a\r\n b\r\n\t c\r\nContent-Length:\r\n 2\r\n\r\nok"
INTERIM = (
    b"HTTP/1.1 103 Early Hints\r\nConnection: close\r\nLink: </a>,\r\n </b>\r\n\r\n"
    b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"HTTP/1.1 199 Other\r\nContent-Length: 9\r\n\r\n"
)

RESPONSES: dict[str, tuple[bytes, list[tuple[bytes, bytes]]]] = {
    "folded lines": (FOLDED, [(b"X-A", b"a b c"), (b"Content-Length", b"2")]),
    "an empty continuation line": (
        HEAD + b"X-A: a\r\n \r\n b\r\nContent-Length: 2\r\n\r\nok",
        [(b"X-A", b"a  b"), (b"Content-Length", b"2")],
    ),
    "a folded header that looks like another": (
        HEAD + b"X-A: a\r\n Content-Length: 9\r\nContent-Length: 2\r\n\r\nok",
        [(b"X-A", b"a Content-Length: 9"), (b"Content-Length", b"2")],
    ),
    "the same length twice": (
        HEAD + b"Content-Length: 2\r\ncontent-length: 2 , 2\r\n\r\nok",
        [(b"Content-Length", b"2")],
    ),
    "bare line feeds": (
        FOLDED.replace(b"\r\n", b"\n"),
        [(b"X-A", b"a b c"), (b"Content-Length", b"2")],
    ),
    "HTTP/1.2": (
        b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok",
        [(b"Content-Length", b"2")],
    ),
    "interim responses with framing headers": (
        INTERIM + FOLDED,
        [(b"X-A", b"a b c"), (b"Content-Length", b"2")],
    ),
    "a folded transfer coding": (
        HEAD + b"Transfer-Encoding:\r\n chunked \r\n\r\n2\r\nok\r\n0\r\n\r\n",
        [(b"Transfer-Encoding", b"chunked")],
    ),
}
"""Responses, and their headers; each has the body ``ok``."""

BODIES: dict[str, tuple[bytes, list[tuple[bytes, bytes]]]] = {
    "blanks after a chunk size": (b"2   \r\nok\r\n0\t\r\n\r\n", []),
    "blanks around a chunk extension": (b"2 ; a = b\r\nok\r\n0; last\r\n\r\n", []),
    "a quoted chunk extension": (b'2;a="b;\\"c"\r\nok\r\n0\r\n\r\n', []),
    "many zeros": (b"0" * 40 + b"2\r\nok\r\n" + b"0" * 40 + b"\r\n\r\n", []),
    "one byte in a chunk": (b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n", []),
    "a bare line feed at the end": (b"2\r\nok\r\n0\r\n\n", []),
    "trailers with bare line feeds": (b"2\r\nok\r\n0\r\nX-A: a\n b\n\n", [(b"X-A", b"a b")]),
    "folded trailers": (
        b"2\r\nok\r\n0\r\nX-A: a\r\n b\r\nX-B:\r\n\r\n",
        [(b"X-A", b"a b"), (b"X-B", b"")],
    ),
}
"""Chunked bodies, which are all ``ok``, and their trailers."""


def feed_all(response: ResponseParser, pieces: list[bytes]) -> None:
    """Feed what was read, one piece after another; an empty one is the end of the connection."""
    for piece in pieces:
        response.take(piece)


def parse_in_pieces(data: bytes, cuts: list[int]) -> ResponseParser:
    """Parse a response that is split at the given offsets."""
    response, edges = ResponseParser(b"GET"), sorted({cut % len(data) for cut in cuts})
    for start, end in zip([0, *edges], [*edges, len(data)], strict=True):
        response.feed(data[start:end])
    return response


CUTS = st.one_of(
    st.lists(st.integers(min_value=0, max_value=400), max_size=9),
    st.just(list(range(400))),
)
"""A few offsets, or all of them: one byte at a time."""


@pytest.mark.parametrize(("data", "headers"), RESPONSES.values(), ids=RESPONSES)
@given(cuts=CUTS)
def test_a_head_with_one_meaning_is_accepted(
    data: bytes, headers: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    """Its headers are those of the rewritten head; nothing of an interim response is kept."""
    response = parse_in_pieces(data, cuts)
    assert (response.status, response.reason, response.headers) == (200, b"OK", headers)
    assert b"".join(response.parts) == b"ok"
    assert response.is_complete
    assert response.keep_alive
    assert not response.has_leftovers
    assert response.version == data[5:8]
    assert response.got_continue is (b" 100 " in data)


@pytest.mark.parametrize(("body", "trailers"), BODIES.values(), ids=BODIES)
@given(cuts=CUTS)
def test_a_chunked_body_with_one_meaning_is_accepted(
    body: bytes, trailers: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    """The trailers are added to the list that was there before the body."""
    data = CHUNKED + body
    response = parse_in_pieces(data, cuts)
    assert b"".join(response.parts) == b"ok"
    assert response.received == 2
    assert response.trailers == trailers
    assert response.is_complete
    assert not response.has_leftovers


@pytest.mark.parametrize("body", [body for body, _ in BODIES.values()], ids=BODIES)
@given(cuts=CUTS)
def test_what_follows_a_chunked_body_is_left_over(body: bytes, cuts: list[int]) -> None:
    """It belongs to no body, and the connection can't be reused."""
    response = parse_in_pieces(CHUNKED + body + HEAD, cuts)
    assert b"".join(response.parts) == b"ok"
    assert response.has_leftovers


@given(cuts=CUTS)
def test_an_interim_response_never_has_a_body(cuts: list[int]) -> None:
    """Whatever length it declares, so that what follows it can't be hidden in its body."""
    final = b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nok"
    for status in (b"102", b"103", b"150", b"199"):
        interim = b"HTTP/1.1 %b Interim\r\nContent-Length: %d\r\n\r\n" % (status, len(final))
        response = parse_in_pieces(interim + final, cuts)
        assert (response.status, b"".join(response.parts)) == (500, b"ok")


@pytest.mark.parametrize("interim", [b"", INTERIM])
def test_a_rewritten_head_has_the_same_limit(interim: bytes) -> None:
    """Interim responses count."""
    response = ResponseParser(b"GET")
    head = interim + HEAD + b"X-A: a\r\n" + b" b\r\n" * 30_000
    with pytest.raises(httpcore.RemoteProtocolError, match="head is larger"):
        feed_all(response, [head[start : start + 4096] for start in range(0, len(head), 4096)])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (HEAD + b"X-A: a\r\n b\r\nX-B: c", "without sending a response"),
        (HEAD + b"X-A: a\r\n b\r\nX\x01B: c\r\n", "header"),
        (HEAD + b"no colon\r\n", "header"),
    ],
)
def test_the_end_of_a_connection_in_a_folded_head_is_an_error(data: bytes, message: str) -> None:
    """A line that was held back is checked first."""
    response = ResponseParser(b"GET")
    with pytest.raises(httpcore.RemoteProtocolError, match=message):
        feed_all(response, [data, b""])


def test_after_a_folded_response_to_connect_every_byte_belongs_to_the_tunnel() -> None:
    """The tunnel starts where the head ends, as it was received."""
    response = ResponseParser(b"CONNECT")
    response.feed(b"HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 3\r\n\r\nraw bytes")
    assert response.is_tunnel
    assert b"".join(response.parts) == b"raw bytes"
