"""Ways to spoil a response, and recipes of them for hypothesis to choose from.

Each takes the response, a place and a value, whatever these numbers are, and gives another one.
"""

import re
from collections.abc import Callable

from hypothesis import strategies as st
from response_corpus import CORPUS

__all__ = ["MUTATIONS", "mutants"]

Mutation = Callable[[bytes, int, int], bytes]

_HEADERS = (
    b"Content-Length: 2",
    b"Content-Length: 12",
    b"content-length: 12",
    b"Content-Length: 12, 12",
    b"Content-Length: 12,2",
    b"Content-Length: +12",
    b"Content-Length: -1",
    b"Content-Length: 0xc",
    b"Content-Length: 1_2",
    b"Content-Length: 1 2",
    b"Content-Length:",
    b"Content-Length : 2",
    b"Content-Length: 99999999999999999999",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: CHUNKED",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding : chunked",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: upgrade\r\nUpgrade: other",
    b"Content-Encoding: gzip",
    b"X-Folded: a\r\n b",
    b"X-Folded: a\r\n\tContent-Length: 2",
    b"X-Nul: a\0b",
    b"X-Control: a\x01b",
    b"X-Return: a\rb",
    b"X-Feed: a\nb",
    b"X-Feed: a\nContent-Length: 2",
    b"X-Return: a\rContent-Length: 2",
    b"X-No-Colon",
    b": no name",
    b" X-Space: a",
    b"X-Long: " + b"a" * 5000,
)
_SIZES = (
    b"0xc", b"+c", b"-c", b"c_", b"0_c", b" c", b"c ", b"c\t", b"\tc", b"", b"g", b"C", b"0000c", b"d",
    b"b", b"f" * 15, b"f" * 16, b"f" * 17, b"1" + b"0" * 16, b"0" * 25 + b"c", b"c;", b"c;a=b",
    b'c;a="b;c"', b"c ;a=b", b"c;a=\0", b"c;\n", b"c;a=b\r", b"c,c", b"12.0", b"\xef\xbc\x8c",
)  # fmt: skip
_STARTS = (
    b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1  200 OK", b"HTTP/1.1 200  OK", b"HTTP/1.1\t200 OK",
    b"HTTP/1.1 200OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 +20 OK", b"HTTP/1.1 2x0 OK",
    b"HTTP/1.1 000 OK", b"HTTP/1.1 099 OK", b"HTTP/1.1 100 OK", b"HTTP/1.1 101 OK", b"HTTP/1.1 199 OK",
    b"HTTP/1.1 204 OK", b"HTTP/1.1 205 OK", b"HTTP/1.1 304 OK", b"HTTP/1.1 600 OK", b"HTTP/1.1 999 OK",
    b"HTTP/1.0 200 OK", b"HTTP/0.9 200 OK", b"HTTP/1.2 200 OK", b"HTTP/2.0 200 OK", b"HTTP/2 200 OK",
    b"HTTP/11 200 OK", b"HTTP/1.1.1 200 OK", b"http/1.1 200 OK", b"HTTPS/1.1 200 OK", b"RTSP/1.0 200 OK",
    b"ICE/1.0 200 OK", b"ICY 200 OK", b" HTTP/1.1 200 OK", b"HTTP/1.1 200 O\0K", b"HTTP/1.1 200 O\rK",
    b"HTTP/1.1 200 O\x01K", b"HTTP/1.1 200 OK\r", b"HTTP/1.1", b"", b"GET / HTTP/1.1", b"Hello",
)  # fmt: skip
_PIECES = (
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b";", b"0", b"1", b"f", b"-", b"+", b"\x7f",
    b"\xff", b"\r\n\r\n", b"\n\n", b"\r\r\n", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray", b"\x16\x03\x01\x02\x00", b"<html>",
)  # fmt: skip
_TRAILERS = (
    b"X-A: 1\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"X-A: 1\n", b" X: 1\r\n",
    b"X-A\r\n", b"X-A: 1\r\n 2\r\n", b"X-A: \0\r\n", b": 1\r\n", b"\n", b"HTTP/1.1 200 OK\r\n",
)  # fmt: skip
_INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def flip(data: bytes, place: int, value: int) -> bytes:
    """Change a byte."""
    place %= len(data)
    return data[:place] + bytes([data[place] ^ (value or 1)]) + data[place + 1 :]


def flip_in_head(data: bytes, place: int, value: int) -> bytes:
    """Change a byte where it matters most."""
    return flip(data, place % max(len(data.partition(b"\r\n\r\n")[0]), 1), value)


def delete(data: bytes, place: int, value: int) -> bytes:
    """Leave out a few bytes."""
    place %= len(data)
    return data[:place] + data[place + 1 + value % 3 :]


def cut(data: bytes, place: int, value: int) -> bytes:
    """Stop before the end."""
    return data[: place % len(data)]


def insert(data: bytes, place: int, value: int) -> bytes:
    """Put something in between."""
    place %= len(data) + 1
    return data[:place] + _PIECES[value % len(_PIECES)] + data[place:]


def prepend(data: bytes, place: int, value: int) -> bytes:
    """Put something in front, once or more often."""
    return (1 + place % 3) * _PIECES[value % len(_PIECES)] + data


def append(data: bytes, place: int, value: int) -> bytes:
    """Put something behind."""
    return data + _PIECES[value % len(_PIECES)]


def add_header(data: bytes, place: int, value: int) -> bytes:
    """Put a header among the others."""
    head, end, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    lines.insert(1 + place % len(lines), _HEADERS[value % len(_HEADERS)])
    return b"\r\n".join(lines) + end + body


def repeat_line(data: bytes, place: int, value: int) -> bytes:
    """Have a line of the head twice."""
    head, end, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    lines.insert(value % (len(lines) + 1), lines[place % len(lines)])
    return b"\r\n".join(lines) + end + body


def swap_lines(data: bytes, place: int, value: int) -> bytes:
    """Let two lines of the head change places."""
    head, end, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    one, other = place % len(lines), value % len(lines)
    lines[one], lines[other] = lines[other], lines[one]
    return b"\r\n".join(lines) + end + body


def spoil_line_end(data: bytes, place: int, value: int) -> bytes:
    """Write one of the line ends, or all of them, in another way."""
    other = (b"\n", b"\r", b"\r\r\n", b"\n\r", b"\0\r\n", b" \r\n", b"\r\n ")[value % 7]
    if place % 5 == 0:
        return data.replace(b"\r\n", other)
    ends = [found.start() for found in re.finditer(rb"\r\n", data)] or [0]
    chosen = ends[place % len(ends)]
    return data[:chosen] + other + data[chosen + 2 :]


def spoil_size(data: bytes, place: int, value: int) -> bytes:
    """Write a chunk's size in another way."""
    sizes = list(re.finditer(rb"(?<=\r\n)[0-9A-Fa-f]+(?=[;\r])", data))
    if not sizes:
        return data
    found = sizes[place % len(sizes)]
    return data[: found.start()] + _SIZES[value % len(_SIZES)] + data[found.end() :]


def add_trailer(data: bytes, place: int, value: int) -> bytes:
    """Put a line behind the last chunk."""
    return data.replace(b"\r\n0\r\n", b"\r\n0\r\n" + _TRAILERS[value % len(_TRAILERS)])


def change_start(data: bytes, place: int, value: int) -> bytes:
    """Begin in another way."""
    return _STARTS[value % len(_STARTS)] + data[max(data.find(b"\r\n"), 0) :]


def drop_head(data: bytes, place: int, value: int) -> bytes:
    """Send the body alone, as HTTP/0.9 did."""
    return data.partition(b"\r\n\r\n")[2]


def flood(data: bytes, place: int, value: int) -> bytes:
    """Send interim responses first, up to thirty."""
    return value % 31 * _INTERIM + data


MUTATIONS: tuple[Mutation, ...] = (
    flip, flip_in_head, delete, cut, insert, prepend, append, add_header, add_header, repeat_line,
    swap_lines, spoil_line_end, spoil_size, spoil_size, add_trailer, change_start, drop_head, flood,
)  # fmt: skip


def _spoilt(data: bytes, steps: list[tuple[Mutation, int, int]]) -> bytes:
    for mutate, place, value in steps:
        data = mutate(data, place, value) or b"\r\n"
    return data


_steps = st.lists(
    st.tuples(
        st.sampled_from(MUTATIONS),
        st.integers(min_value=0, max_value=255),
        st.integers(min_value=0, max_value=255),
    ),
    min_size=1,
    max_size=3,
)

mutants = st.builds(_spoilt, st.sampled_from([data for data, _ in CORPUS.values()]), _steps)
"""Responses of the corpus after one to three mutations."""
