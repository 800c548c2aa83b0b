"""A slow and simple parser of responses, following RFC 9112, to compare the real parsers with.

The strict grammar is what llhttp accepts with the help of ``http1/rewriter.py`` and ``http1/chunks.py``.

It shares neither code nor approach with them: it looks at the whole message at once, with one
regular expression for each rule of the grammar, and uses no socket.
"""

import dataclasses
import re

__all__ = ["ParsedResponse", "parse_response"]

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"


@dataclasses.dataclass(frozen=True, slots=True)
class ParsedResponse:
    """A response, as the client reads it.

    Attributes:
        status: the status code.
        body: the whole body.
    """

    status: int
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class _Grammar:
    """The expressions in which strict and lax parsing differ."""

    line_end: bytes
    text: bytes
    is_lax: bool

    @property
    def start(self) -> bytes:
        return rb"HTTP/(1\.[0-9]) ([0-9]{3})(?: (%b*))?%b" % (self.text, self.line_end)

    @property
    def fields(self) -> bytes:
        field = rb"%b:%b*%b" % (_TOKEN, self.text, self.line_end)
        folded = rb"(?:[ \t]+%b*%b)*" % (self.text, self.line_end)
        return rb"((?:%b%b)*)%b" % (field, folded, self.line_end)

    @property
    def chunk(self) -> bytes:
        return rb"([0-9A-Fa-f]+)[ \t]*(?:;%b*)?\r\n" % self.text

    @property
    def variants(self) -> tuple["_Grammar", ...]:
        """The grammars of lines that all end alike; bare line feeds can't be mixed with CRLF."""
        return (self,) if self.is_lax else (self, dataclasses.replace(self, line_end=b"\n"))


_STRICT = _Grammar(
    line_end=rb"\r\n",
    text=rb"[\t -~\x80-\xff]",
    is_lax=False,
)

_LAX = _Grammar(
    line_end=rb"\r?\n",
    text=rb"[^\x00\r\n\x0b\x0c]",
    is_lax=True,
)
"""The heads that h11 accepts as well, as described in ``pool/connector.py``."""


def parse_response(data: bytes, *, lax: bool = False) -> ParsedResponse | None:
    """Parse the response to a GET; return None if there is no valid one.

    Args:
        data: all that the server sent before it closed the connection.
        lax: also accept what h11 accepts and RFC 9112 allows a client to reject.
    """
    grammar = _LAX if lax else _STRICT
    interim = 0
    while (found := _match_head(grammar, data)) is not None:
        variant, head = found
        version, status, _, fields = head.groups()
        data = data[head.end() :]
        code = int(status)
        if code < 100 or code == 101:
            return None
        if code >= 200:
            return _add_body(grammar, version, code, _parse_fields(variant, fields), data)
        interim += 1
        if interim > 20:
            return None
    return None


def _match_head(grammar: _Grammar, data: bytes) -> tuple[_Grammar, re.Match[bytes]] | None:
    """Return the head at the start of the data, and the grammar that it follows."""
    for variant in grammar.variants:
        head = re.match(variant.start + variant.fields, data)
        if head is not None:
            return variant, head
    return None


Fields = list[tuple[bytes, bytes]]


def _parse_fields(grammar: _Grammar, fields: bytes) -> Fields:
    """Return lower-case names, and values, of header lines, with folded lines joined."""
    unfolded = re.sub(grammar.line_end + rb"[ \t]+", b" ", fields)
    lines = [line for line in re.split(grammar.line_end, unfolded) if line]
    pairs = [line.split(b":", 1) for line in lines]
    return [(name.lower(), value.strip(b" \t")) for name, value in pairs]


def _add_body(
    grammar: _Grammar, version: bytes, status: int, fields: Fields, data: bytes
) -> ParsedResponse | None:
    """Parse the body, RFC 9112 section 6.3; return None if it is incomplete or ambiguous."""
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
    if codings and codings != [b"chunked"]:
        return None
    if codings and lengths and not grammar.is_lax:
        return None
    length = _single_length(lengths)
    if lengths and length is None:
        return None
    if status in (204, 304):
        return ParsedResponse(status, b"")
    if codings:
        body = _parse_chunks(data)
    elif length is None:
        body = data
    else:
        body = data[:length] if len(data) >= length else None
    return None if body is None else ParsedResponse(status, body)


def _single_length(lengths: list[bytes]) -> int | None:
    distinct = {part.strip(b" \t") for value in lengths for part in value.split(b",")}
    if len(distinct) != 1:
        return None
    (digits,) = distinct
    return int(digits) if re.fullmatch(rb"[0-9]{1,20}", digits) else None


def _parse_chunks(data: bytes) -> bytes | None:
    """Parse a chunked body, with its trailers, which isn't left to h11."""
    body = b""
    while (head := re.match(_STRICT.chunk, data)) is not None:
        size = int(head[1], 16)
        data = data[head.end() :]
        if size == 0:
            ends = any(re.match(variant.fields, data) for variant in _STRICT.variants)
            return body if ends else None
        if data[size : size + 2] != b"\r\n":
            return None
        body, data = body + data[:size], data[size + 2 :]
    return None
