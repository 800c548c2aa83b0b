"""Reads a response the slow and plain way, from all of its bytes, as RFC 9112 has it.

The tests compare the parsers with it. It shares no code and no method with either: it looks at the
whole message at once, with one expression for each rule of the grammar, and knows no socket.
"""

import dataclasses
import re

__all__ = ["Answer", "read_strictly"]

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with.

    Attributes:
        status: the status code.
        body: the whole body.
    """

    status: int
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class _Grammar:
    """The expressions that strict and lax reading differ in."""

    line_end: bytes
    text: bytes
    version: bytes
    size: bytes
    is_lax: bool

    @property
    def start(self) -> bytes:
        return rb"HTTP/(%b) ([0-9]{3})(?: (%b*))?%b" % (self.version, self.text, self.line_end)

    @property
    def fields(self) -> bytes:
        field = rb"%b:%b*%b" % (_TOKEN, self.text, self.line_end)
        folded = rb"(?:[ \t]+%b*%b)*" % (self.text, self.line_end) if self.is_lax else b""
        return rb"((?:%b%b)*)%b" % (field, folded, self.line_end)

    @property
    def chunk(self) -> bytes:
        extension = rb"[^\n]*" if self.is_lax else rb"[\t -~\x80-\xff]*"
        return rb"(%b)(?:;%b)?%b\r\n" % (self.size, extension, rb"[ \t]*" if self.is_lax else b"")


_STRICT = _Grammar(
    line_end=rb"\r\n",
    text=rb"[\t -~\x80-\xff]",
    version=rb"1\.[01]",
    size=rb"[0-9A-Fa-f]+",
    is_lax=False,
)

_LAX = _Grammar(
    line_end=rb"\r?\n",
    text=rb"[^\x00\r\n\x0b\x0c]",
    version=rb"[0-9]\.[0-9]",
    size=rb"[0-9A-Fa-f]{1,20}",
    is_lax=True,
)
"""What h11 takes as well, as ``pool/connector.py`` tells."""


def read_strictly(data: bytes, *, lax: bool = False) -> Answer | None:
    """Give the answer to a GET in ``data``, after which the connection ended; None for no answer.

    Args:
        data: all that the server sent.
        lax: whether to take what h11 takes and RFC 9112 lets a client refuse.
    """
    grammar = _LAX if lax else _STRICT
    interim = 0
    while (head := re.match(grammar.start + grammar.fields, data)) is not None:
        version, status, _, fields = head.groups()
        data = data[head.end() :]
        code = int(status)
        if code < 100 or code == 101:
            return None
        if code >= 200:
            return _with_body(grammar, version, code, _named(grammar, fields), data)
        interim += 1
        if interim > 20 and not lax:
            return None
    return None


Fields = list[tuple[bytes, bytes]]


def _named(grammar: _Grammar, fields: bytes) -> Fields:
    """Give names in lower case, and values, of header lines; a folded line is put in one."""
    unfolded = re.sub(grammar.line_end + rb"[ \t]+", b" ", fields)
    lines = [line for line in re.split(grammar.line_end, unfolded) if line]
    pairs = [line.split(b":", 1) for line in lines]
    return [(name.lower(), value.strip(b" \t")) for name, value in pairs]


def _with_body(
    grammar: _Grammar, version: bytes, status: int, fields: Fields, data: bytes
) -> Answer | None:
    """Take the body, RFC 9112 section 6.3; None when it is not whole, or its end is in doubt."""
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
    if codings and codings != [b"chunked"]:
        return None
    if codings and lengths and not grammar.is_lax:
        return None
    length = _one_length(lengths)
    if lengths and length is None:
        return None
    if status in (204, 304):
        return Answer(status, b"")
    if codings:
        body = _of_chunks(grammar, data)
    elif length is None:
        body = data
    else:
        body = data[:length] if len(data) >= length else None
    return None if body is None else Answer(status, body)


def _one_length(lengths: list[bytes]) -> int | None:
    told = {part.strip(b" \t") for value in lengths for part in value.split(b",")}
    if len(told) != 1:
        return None
    (digits,) = told
    return int(digits) if re.fullmatch(rb"[0-9]{1,20}", digits) else None


def _of_chunks(grammar: _Grammar, data: bytes) -> bytes | None:
    body = b""
    while (head := re.match(grammar.chunk, data)) is not None:
        size = int(head[1], 16)
        data = data[head.end() :]
        if size == 0:
            return body if re.match(grammar.fields, data) else None
        if data[size : size + 2] != b"\r\n":
            return None
        body, data = body + data[:size], data[size + 2 :]
    return None
