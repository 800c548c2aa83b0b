"""Mutations of a response, and a hypothesis strategy that combines them.

Each takes the response and two arbitrary integers, a position and a value, and returns a new one.
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
    b"c; a=b", b"c ; a = b", b"c;\ta", b"c \t", b'c;a="b;c"', b"c ;a=b", b"c;a=\0", b"c;\n", b"c;a=b\r", b"c,c", b"12.0", b"\xef\xbc\x8c",
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
_FRAGMENTS = (
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b";", b"0", b"1", b"f", b"-", b"+", b"\x7f",
    b"\xff", b"\r\n\r\n", b"\n\n", b"\r\r\n", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray", b"\x16\x03\x01\x02\x00", b"<html>",
)  # fmt: skip
_TRAILERS = (
    b"X-A: 1\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"X-A: 1\n", b" X: 1\r\n",
    b"X-A\r\n", b"X-A: 1\r\n 2\r\n", b"X-A: \0\r\n", b": 1\r\n", b"\n", b"HTTP/1.1 200 OK\r\n",
)  # fmt: skip
_INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def flip(data: bytes, position: int, value: int) -> bytes:
    """Change a byte."""
    position %= len(data)
    return data[:position] + bytes([data[position] ^ (value or 1)]) + data[position + 1 :]


def flip_in_head(data: bytes, position: int, value: int) -> bytes:
    """Change a byte of the head."""
    return flip(data, position % max(len(data.partition(b"\r\n\r\n")[0]), 1), value)


def delete(data: bytes, position: int, value: int) -> bytes:
    """Remove a few bytes."""
    position %= len(data)
    return data[:position] + data[position + 1 + value % 3 :]


def cut(data: bytes, position: int, value: int) -> bytes:
    """Truncate."""
    return data[: position % len(data)]


def insert(data: bytes, position: int, value: int) -> bytes:
    """Insert a fragment."""
    position %= len(data) + 1
    return data[:position] + _FRAGMENTS[value % len(_FRAGMENTS)] + data[position:]


def prepend(data: bytes, position: int, value: int) -> bytes:
    """Prepend a fragment, one to three times."""
    return (1 + position % 3) * _FRAGMENTS[value % len(_FRAGMENTS)] + data


def append(data: bytes, position: int, value: int) -> bytes:
    """Append a fragment."""
    return data + _FRAGMENTS[value % len(_FRAGMENTS)]


def add_header(data: bytes, position: int, value: int) -> bytes:
    """Insert a header line."""
    head, end, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    lines.insert(1 + position % len(lines), _HEADERS[value % len(_HEADERS)])
    return b"\r\n".join(lines) + end + body


def repeat_line(data: bytes, position: int, value: int) -> bytes:
    """Repeat a line of the head."""
    head, end, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    lines.insert(value % (len(lines) + 1), lines[position % len(lines)])
    return b"\r\n".join(lines) + end + body


def swap_lines(data: bytes, position: int, value: int) -> bytes:
    """Swap two lines of the head."""
    head, end, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    one, other = position % len(lines), value % len(lines)
    lines[one], lines[other] = lines[other], lines[one]
    return b"\r\n".join(lines) + end + body


def change_line_end(data: bytes, position: int, value: int) -> bytes:
    """Replace one line ending, or all of them."""
    other = (b"\n", b"\r", b"\r\r\n", b"\n\r", b"\0\r\n", b" \r\n", b"\r\n ")[value % 7]
    if position % 5 == 0:
        return data.replace(b"\r\n", other)
    ends = [found.start() for found in re.finditer(rb"\r\n", data)] or [0]
    chosen = ends[position % len(ends)]
    return data[:chosen] + other + data[chosen + 2 :]


def change_chunk_size(data: bytes, position: int, value: int) -> bytes:
    """Replace the size of a chunk."""
    sizes = list(re.finditer(rb"(?<=\r\n)[0-9A-Fa-f]+(?=[;\r])", data))
    if not sizes:
        return data
    found = sizes[position % len(sizes)]
    return data[: found.start()] + _SIZES[value % len(_SIZES)] + data[found.end() :]


def add_trailer(data: bytes, position: int, value: int) -> bytes:
    """Insert a line after the last chunk."""
    return data.replace(b"\r\n0\r\n", b"\r\n0\r\n" + _TRAILERS[value % len(_TRAILERS)])


def change_start(data: bytes, position: int, value: int) -> bytes:
    """Replace the status line."""
    return _STARTS[value % len(_STARTS)] + data[max(data.find(b"\r\n"), 0) :]


def drop_head(data: bytes, position: int, value: int) -> bytes:
    """Keep only the body, as in HTTP/0.9."""
    return data.partition(b"\r\n\r\n")[2]


def flood(data: bytes, position: int, value: int) -> bytes:
    """Prepend up to thirty interim responses."""
    return value % 31 * _INTERIM + data


MUTATIONS: tuple[Mutation, ...] = (
    flip, flip_in_head, delete, cut, insert, prepend, append, add_header, add_header, repeat_line,
    swap_lines, change_line_end, change_chunk_size, change_chunk_size, add_trailer, change_start,
    drop_head, flood,
)  # fmt: skip


def _mutated(data: bytes, steps: list[tuple[Mutation, int, int]]) -> bytes:
    for mutate, position, value in steps:
        data = mutate(data, position, value) or b"\r\n"
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

mutants = st.builds(_mutated, st.sampled_from([data for data, _ in CORPUS.values()]), _steps)
"""Responses of the corpus after one to three mutations."""
