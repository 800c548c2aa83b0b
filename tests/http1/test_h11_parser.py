"""The response parser on h11: it agrees with the one on llhttp, except where the docs say so."""

import itertools

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.http1.base_parser import BaseParser
from typed_async_client.http1.h11_parser import H11Parser
from typed_async_client.http1.parser import ResponseParser

HEAD = b"HTTP/1.1 200 OK\r\n"
SIMPLE = HEAD + b"Content-Length: 5\r\nX-A: 1\r\n\r\nhello"
CHUNKED = (
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\nX-Sum: 5\r\n\r\n"
)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\nContent-Length: 9\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
OLD = b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n"

RESPONSES: tuple[tuple[bytes, bytes], ...] = (
    (b"GET", SIMPLE),
    (b"GET", CHUNKED),
    (b"GET", CHUNKED + SIMPLE),
    (b"GET", SIMPLE + b"more"),
    (b"GET", HEAD + b"\r\nuntil the end"),
    (b"GET", HEAD + b"\r\n"),
    (b"GET", HEAD + b"Content-Length: 0\r\n\r\n"),
    (b"GET", HEAD + b"Connection: x, Close\r\nContent-Length: 1\r\n\r\na"),
    (b"GET", OLD + b"Content-Length: 5\r\n\r\nhello"),
    (b"GET", OLD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (b"GET", OLD.replace(b"Keep-Alive", b"close, keep-alive") + b"Content-Length: 0\r\n\r\n"),
    (b"GET", OLD.replace(b"Connection: Keep-Alive\r\n", b"") + b"Content-Length: 0\r\n\r\n"),
    (b"GET", OLD + b"\r\nuntil the end"),
    (b"GET", INTERIM * 20 + SIMPLE),
    (b"POST", CONTINUE + CHUNKED),
    (b"GET", b"HTTP/1.1 204 No Content\r\n\r\nhello"),
    (b"GET", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"),
    (b"HEAD", HEAD + b"\r\n"),
    (b"HEAD", SIMPLE),
    (b"HEAD", HEAD + b"Transfer-Encoding: chunked\r\n\r\n"),
    (b"GET", SWITCH + b"raw"),
    (b"CONNECT", HEAD + b"Content-Length: 3\r\n\r\nraw"),
    (b"CONNECT", b"HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno"),
    (b"GET", HEAD + b"x-A: \xe9\r\nX-a:b\r\nContent-Length: 0\r\n\r\n"),
)
"""Methods, and what both parsers read from the response to them."""


def parse(data: bytes, method: bytes = b"GET") -> H11Parser:
    """Parse a response that arrives in one piece."""
    response = H11Parser(method)
    response.feed(data)
    return response


def feed_in_segments(response: H11Parser, data: bytes) -> None:
    """Feed a response in pieces that are as large as those of a socket."""
    for start in range(0, len(data), 70_000):
        response.feed(data[start : start + 70_000])


def state_of(response: BaseParser) -> tuple[object, ...]:
    """Return what can be read of a response."""
    return (
        (response.version, response.status, response.reason, response.headers),
        (b"".join(response.parts), response.received, response.trailers),
        (response.got_continue, response.has_head, response.is_complete),
        (response.is_tunnel, response.has_leftovers, response.keep_alive),
    )


@given(
    case=st.sampled_from(RESPONSES),
    cuts=st.lists(st.integers(min_value=0, max_value=1000), max_size=30),
)
def test_both_parsers_read_the_same_however_a_response_is_split(
    case: tuple[bytes, bytes], cuts: list[int]
) -> None:
    """Of each part of it, and in the end."""
    method, data = case
    parsers: list[BaseParser] = [H11Parser(method), ResponseParser(method)]
    edges = sorted({0, *(cut % (len(data) + 1) for cut in cuts), len(data)})
    for start, end in itertools.pairwise(edges):
        for parser in parsers:
            parser.feed(data[start:end])
        assert [parser.has_head for parser in parsers] in ([False] * 2, [True] * 2)
    assert state_of(parsers[0]) == state_of(parsers[1])


@pytest.mark.parametrize("method_and_data", RESPONSES)
def test_both_parsers_take_the_end_of_a_connection_alike(
    method_and_data: tuple[bytes, bytes],
) -> None:
    """After each number of bytes: as the end of the body, or as an error with the same message."""
    method, data = method_and_data
    for size in range(len(data) + 1):
        endings: list[str] = []
        for parser in (H11Parser(method), ResponseParser(method)):
            try:
                if size:
                    parser.feed(data[:size])
                if not parser.is_complete:
                    parser.end()
                endings.append(f"{parser.received} bytes, keep-alive: {parser.keep_alive}")
            except httpcore.RemoteProtocolError as error:
                endings.append(str(error))
        assert endings[0] == endings[1]


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"A: b\nContent-Length: 5\r\n\r\nhello",
        HEAD + b"A: b\x01c\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 O\x01K\r\nContent-Length: 5\r\n\r\nhello",
    ],
    ids=["a bare line feed", "a control character", "the same in the reason phrase"],
)
def test_h11_accepts_heads_that_llhttp_refuses(data: bytes) -> None:
    """The list of differences in the documentation has them."""
    assert b"".join(parse(data).parts) == b"hello"
    with pytest.raises(httpcore.RemoteProtocolError):
        ResponseParser(b"GET").feed(data)


def test_a_response_with_a_length_and_chunks_is_read_as_chunked() -> None:
    """The connection isn't kept alive, because another reader may have used the length."""
    framing = b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
    response = parse(HEAD + framing + b"5\r\nhello\r\n0\r\n\r\n")
    assert b"".join(response.parts) == b"hello"
    assert response.is_complete
    assert not response.keep_alive
    assert not parse(HEAD + framing, b"HEAD").keep_alive


def test_a_switch_of_protocols_needs_no_upgrade_header() -> None:
    """The exchange checks whether the request has asked for one."""
    response = parse(b"HTTP/1.1 101 Switching\r\n\r\nraw")
    assert response.is_tunnel
    assert b"".join(response.parts) == b"raw"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "conflicting Content-Length"),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", "chunked"),
        (HEAD + b"A : b\r\n\r\n", "illegal header line"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "unsupported version HTTP/2.0"),
        (b"HTTP/1.1 099 No\r\n\r\n", "status"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "illegal status line"),
        (INTERIM * 21 + SIMPLE, "more than 20 interim responses"),
        (HEAD + b"A: %b\r\n\r\n" % (b"a" * 102_400), "larger than 102400 bytes"),
        (HEAD + b"A: " + b"a" * 150_000, "Receive buffer too long"),
        (INTERIM.replace(b": a", b": %b" % (b"a" * 11_000)) * 20, "larger than 102400 bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_invalid_head_is_refused(data: bytes, message: str) -> None:
    """With httpcore's error for a violation by the peer; the limits apply within one read too."""
    response = H11Parser(b"GET")
    with pytest.raises(httpcore.RemoteProtocolError, match=message):
        feed_in_segments(response, data)


def test_the_error_about_a_header_does_not_quote_it() -> None:
    """It may be a secret; the error of h11 behind it doesn't either."""
    with pytest.raises(httpcore.RemoteProtocolError) as caught:
        parse(HEAD + b"Set-Cookie : token=secret\r\n\r\n")
    errors = [str(caught.value), str(caught.value.__cause__)]
    assert errors == ["illegal header line"] * 2


@given(
    st.sampled_from(RESPONSES),
    st.lists(st.tuples(st.integers(min_value=0, max_value=200), st.binary(max_size=3)), max_size=8),
)
def test_a_mutated_response_raises_no_other_error(
    case: tuple[bytes, bytes], mutations: list[tuple[int, bytes]]
) -> None:
    """It is parsed, or refused with ``RemoteProtocolError``; never anything else."""
    method, data = case
    for index, replacement in mutations:
        data = data[:index] + replacement + data[index + 1 :]
    response = H11Parser(method)
    try:
        response.feed(data)
        response.end()
    except httpcore.RemoteProtocolError:
        return
    assert response.has_head


def test_nothing_of_h11_is_kept_after_the_head() -> None:
    """The body may be long, and is read without it."""
    response = parse(SIMPLE[:-2])
    assert not any(type(value).__module__.startswith("h11") for value in vars(response).values())
