"""Responses to mutate, with their meaning, and mutants that were once misread."""

from reference_parser import ParsedResponse

__all__ = ["CORPUS", "REGRESSIONS"]

_TEXT = b"The quick brown fox jumps over the lazy dog.\r\n"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

CORPUS: dict[str, tuple[bytes, ParsedResponse]] = {
    "Content-Length": (
        b"HTTP/1.1 200 OK\r\nServer: a\r\nContent-Length: 12\r\nX-B: b\r\n\r\nHello, world",
        ParsedResponse(200, b"Hello, world"),
    ),
    "Content-Length of 0": (
        b"HTTP/1.1 201 Created\r\nLocation: /1\r\nContent-Length: 0\r\n\r\n",
        ParsedResponse(201, b""),
    ),
    "an error status": (
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 4\r\n\r\nbusy",
        ParsedResponse(503, b"busy"),
    ),
    "a body that looks like a response": (
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n"
            b"HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nwrong"
        ),
        ParsedResponse(200, b"HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nwrong"),
    ),
    "one chunk": (
        _CHUNKED + b"c\r\nHello, world\r\n0\r\n\r\n",
        ParsedResponse(200, b"Hello, world"),
    ),
    "chunk extensions and trailers": (
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
            b'6;a=b\r\nHello,\r\n006;c="d e";f\r\n world\r\n0\r\nX-Sum: 12\r\n\r\n'
        ),
        ParsedResponse(200, b"Hello, world"),
    ),
    "chunks that contain line ends": (
        _CHUNKED + b"2E\r\n" + _TEXT + b"\r\n2e\r\n" + _TEXT + b"\r\n0\r\n\r\n",
        ParsedResponse(200, 2 * _TEXT),
    ),
    "an empty chunked body": (_CHUNKED + b"0\r\n\r\n", ParsedResponse(200, b"")),
    "a body that ends with the connection": (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + _TEXT,
        ParsedResponse(200, _TEXT),
    ),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\nHello", ParsedResponse(200, b"Hello")),
    "HTTP/1.0 with Content-Length": (
        b"HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nHello",
        ParsedResponse(404, b"Hello"),
    ),
    "no reason phrase": (
        b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
        ParsedResponse(200, b"ok"),
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\nX-A: a\r\n\r\n", ParsedResponse(204, b"")),
    "not modified": (
        b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 100\r\n\r\n',
        ParsedResponse(304, b""),
    ),
    "after interim responses": (
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        ),
        ParsedResponse(200, b"ok"),
    ),
    "after interim responses with framing headers": (
        (
            b"HTTP/1.1 103 Early Hints\r\nConnection: close\r\nLink: </a>,\r\n </b>\r\n\r\n"
            b"HTTP/1.1 102 Processing\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        ),
        ParsedResponse(200, b"ok"),
    ),
    "folded lines": (
        (
            b"HTTP/1.1 200 OK\r\nX-A: a\r\n\tb\r\n  \r\n c\r\nContent-Length:\r\n 2\r\n"
            b"Content-Length: 2 , 2\r\n\r\nok"
        ),
        ParsedResponse(200, b"ok"),
    ),
    "bare line feeds": (
        b"HTTP/1.1 200 OK\nX-A: a\n b\nContent-Length: 2\n\nok",
        ParsedResponse(200, b"ok"),
    ),
    "blanks around chunk sizes, and folded trailers": (
        (
            b"HTTP/1.2 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"6; a=b\r\nHello,\r\n006  \r\n world\r\n0 \r\nX-Sum: 12\r\n 13\r\n\r\n"
        ),
        ParsedResponse(200, b"Hello, world"),
    ),
    "unusual field values": (
        (
            b"HTTP/1.1 200 \xc3\x89t\xc3\xa9\r\nX-Empty:\r\nX-Spaces:  a \t b  \r\nX-8: \xff\r\n"
            b"Content-Length:\t2 \r\n\r\nok"
        ),
        ParsedResponse(200, b"ok"),
    ),
}
"""What the server sends before it closes the connection, and how it must be read, by name."""

REGRESSIONS: tuple[bytes, ...] = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;q=1\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 O\x00K\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\nok",
    b"HTTP/1.1 103 Hints\r\n\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 103 Hints\r\n\r\nICE/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
)
"""Mutants that were once accepted, or misread."""
