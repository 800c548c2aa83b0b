"""Unusual and invalid responses, and what each parser makes of them."""

__all__ = ["CHUNKED", "COMPLETE", "HEAD", "INTERIM", "RESPONSES", "Bodies"]

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
COMPLETE = HEAD + b"Content-Length: 2\r\n\r\nok"

Bodies = tuple[str | None, str | None]
"""A response's body with llhttp and with h11, or None if it is refused."""

RESPONSES: dict[str, tuple[bytes, Bodies]] = {
    "two Content-Lengths": (
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        (None, None),
    ),
    "two lengths in one field": (HEAD + b"Content-Length: 2, 3\r\n\r\nok!", (None, None)),
    "the same length twice": (
        HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        ("ok", "ok"),
    ),
    "the same length twice in one field": (HEAD + b"Content-Length: 2, 2\r\n\r\nok", ("ok", "ok")),
    "a length with chunked": (
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        (None, "ok"),
    ),
    "a folded line": (HEAD + b"X-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\nok", ("ok", "ok")),
    "a folded first line": (HEAD + b" X-A: 1\r\nContent-Length: 2\r\n\r\nok", (None, None)),
    "a NUL in a folded line": (
        HEAD + b"X-A: 1\r\n \x00\r\nContent-Length: 2\r\n\r\nok",
        (None, None),
    ),
    "a coding in a folded line": (
        HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ("ok", "ok"),
    ),
    "bare line feeds": (COMPLETE.replace(b"\r\n", b"\n"), ("ok", "ok")),
    "one bare line feed": (HEAD + b"Content-Length: 2\nX-A: 1\r\n\r\nok", (None, "ok")),
    "a bare carriage return": (HEAD + b"X-A: 1\r2\r\nContent-Length: 2\r\n\r\nok", (None, None)),
    "a control character in a value": (
        HEAD + b"X-A: 1\x012\r\nContent-Length: 2\r\n\r\nok",
        (None, "ok"),
    ),
    "NUL in a value": (HEAD + b"X-A: 1\x002\r\nContent-Length: 2\r\n\r\nok", (None, None)),
    "NUL in the reason phrase": (COMPLETE.replace(b"OK", b"O\x00K"), (None, None)),
    "a control character in the reason phrase": (COMPLETE.replace(b"OK", b"O\x01K"), (None, "ok")),
    "a space before the colon": (COMPLETE.replace(b"Length:", b"Length :"), (None, None)),
    "an empty field name": (HEAD + b": 1\r\nContent-Length: 2\r\n\r\nok", (None, None)),
    "a negative length": (HEAD + b"Content-Length: -2\r\n\r\nok", (None, None)),
    "a length with a sign": (HEAD + b"Content-Length: +2\r\n\r\nok", (None, None)),
    "a hexadecimal length": (HEAD + b"Content-Length: 0x2\r\n\r\nok", (None, None)),
    "a length with an underscore": (HEAD + b"Content-Length: 0_2\r\n\r\nok", (None, None)),
    "an empty length": (HEAD + b"Content-Length:\r\n\r\nok", (None, None)),
    "a length of 30 digits": (HEAD + b"Content-Length: %s\r\n\r\nok" % (b"9" * 30), (None, None)),
    "a chunk size with 0x": (CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n", (None, None)),
    "a chunk size with a sign": (CHUNKED + b"+2\r\nok\r\n0\r\n\r\n", (None, None)),
    "a negative chunk size": (CHUNKED + b"-2\r\nok\r\n0\r\n\r\n", (None, None)),
    "a chunk size with an underscore": (CHUNKED + b"0_2\r\nok\r\n0\r\n\r\n", (None, None)),
    "a chunk size after a space": (CHUNKED + b" 2\r\nok\r\n0\r\n\r\n", (None, None)),
    "a chunk size before a space": (CHUNKED + b"2 \r\nok\r\n0\r\n\r\n", ("ok", "ok")),
    "a blank after a semicolon": (CHUNKED + b"2; a=b\r\nok\r\n0\r\n\r\n", ("ok", "ok")),
    "a blank before a semicolon": (CHUNKED + b"2 ;a=b\r\nok\r\n0\r\n\r\n", ("ok", "ok")),
    "blanks around an equals sign": (CHUNKED + b"2;a = b\r\nok\r\n0\r\n\r\n", ("ok", "ok")),
    "a control character in a chunk extension": (
        CHUNKED + b"2;a=\x01\r\nok\r\n0\r\n\r\n",
        (None, None),
    ),
    "a bare line feed after the last chunk": (CHUNKED + b"2\r\nok\r\n0\r\n\n", ("ok", "ok")),
    "a folded trailer": (CHUNKED + b"2\r\nok\r\n0\r\nX-A: a\r\n b\r\n\r\n", ("ok", "ok")),
    "bare line feeds in some trailers": (
        CHUNKED + b"2\r\nok\r\n0\r\nX-A: a\nX-B: b\r\n\r\n",
        (None, None),
    ),
    "a trailer without a colon": (CHUNKED + b"2\r\nok\r\n0\r\nX-A\r\n\r\n", (None, None)),
    "a chunk size of 30 digits": (CHUNKED + b"f" * 30 + b"\r\nok\r\n0\r\n\r\n", (None, None)),
    "a chunk size of 30 digits that is small": (
        CHUNKED + b"0" * 29 + b"2\r\nok\r\n0\r\n\r\n",
        ("ok", "ok"),
    ),
    "a chunk longer than its size": (CHUNKED + b"2\r\nok!\r\n0\r\n\r\n", (None, None)),
    "a chunk that ends with a line feed": (CHUNKED + b"2\r\nok\n0\r\n\r\n", (None, None)),
    "chunks in HTTP/1.0": (
        CHUNKED.replace(b"1.1", b"1.0") + b"2\r\nok\r\n0\r\n\r\n",
        ("ok", "ok"),
    ),
    "a coding after chunked": (
        HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        (None, None),
    ),
    "a coding before chunked": (
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        (None, None),
    ),
    "chunked twice": (
        HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nok\r\n0\r\n\r\n",
        (None, None),
    ),
    "chunked with a parameter": (
        HEAD + b"Transfer-Encoding: chunked;q=1\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        (None, None),
    ),
    "HTTP/1.2": (COMPLETE.replace(b"1.1", b"1.2"), ("ok", "ok")),
    "HTTP/2.0": (COMPLETE.replace(b"1.1", b"2.0"), (None, None)),
    "RTSP": (COMPLETE.replace(b"HTTP/1.1", b"RTSP/1.0"), (None, None)),
    "lower-case HTTP": (COMPLETE.replace(b"HTTP", b"http"), (None, None)),
    "an empty line before the response": (b"\r\n" + COMPLETE, (None, None)),
    "an empty line after an interim response": (INTERIM + b"\r\n" + COMPLETE, (None, None)),
    "RTSP after an interim response": (
        INTERIM + COMPLETE.replace(b"HTTP/1.1", b"RTSP/1.0"),
        (None, None),
    ),
    "status 99": (COMPLETE.replace(b"200", b"099"), (None, None)),
    "101 without an Upgrade request": (
        b"HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nok",
        (None, None),
    ),
    "an interim response that closes": (
        INTERIM.replace(b"Link: </a>", b"Connection: close") + COMPLETE,
        ("ok", "ok"),
    ),
    "an interim response with a length": (
        b"HTTP/1.1 199 Other\r\nContent-Length: 50\r\n\r\n" + COMPLETE,
        ("ok", "ok"),
    ),
    "an interim response with a length and chunked": (
        INTERIM.replace(b"Link: </a>", b"Content-Length: 1\r\nTransfer-Encoding: chunked")
        + COMPLETE,
        ("ok", "ok"),
    ),
    "an interim response with a folded line": (
        INTERIM.replace(b"</a>", b"</a>,\r\n </b>") + COMPLETE,
        ("ok", "ok"),
    ),
    "non-ASCII text in the reason phrase": (COMPLETE.replace(b"OK", b"\xe9t\xe9"), ("ok", "ok")),
    "a header without a value": (HEAD + b"X-A:\r\nContent-Length: 2\r\n\r\nok", ("ok", "ok")),
    "21 interim responses": (21 * INTERIM + COMPLETE, (None, None)),
    "20 interim responses": (20 * INTERIM + COMPLETE, ("ok", "ok")),
}
"""The differences between the parsers are described in ``pool/connector.py``."""
