"""Rewrites the heads of responses that llhttp refuses although they have only one meaning.

llhttp's own leniency would also accept what has several meanings. So a head that it refuses is rewritten
to one that a strict parser accepts, and parsed again; whatever isn't rewritten stays refused:

=================================================  ===============================================
a head with                                        is rewritten to
=================================================  ===============================================
folded lines                                       one line, with a space; RFC 9112 section 5.2
the same length twice, or in a list                one length, RFC 9110 section 8.6
an HTTP version above 1.1, such as 1.2             HTTP/1.1, RFC 9110 section 2.5
line feeds only, at the end of each line           CRLF, RFC 9112 section 2.2
framing or connection headers, if the status is    none: an interim response has no body, and
1xx                                                doesn't end the connection
=================================================  ===============================================

A head that mixes CRLF and bare line feeds isn't rewritten: somebody may have injected a line there.
"""

import re

import httpcore

__all__ = ["HeadRewriter"]

_CRLF = b"\r\n"
_START = re.compile(rb"HTTP/(1\.[0-9]) ([0-9]{3})")
_TEXT = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_LENGTH = re.compile(rb"[0-9]{1,20}")
_DROPPED_FROM_INTERIM = (b"connection", b"content-length", b"transfer-encoding")


class HeadRewriter:
    """Rewrites heads, which may be split anywhere, one after another.

    Attributes:
        size: bytes of the heads so far.
        version: the HTTP version of the current head, as sent.
    """

    def __init__(self) -> None:
        self.size: int = 0
        self.version: bytes = b"1.1"
        self._field: list[bytes] = []  # a line, and its continuation lines
        self._is_interim = False
        self._length = b""
        self._line_end = b""  # of the head; empty before its first line
        self._rest = b""  # the start of a line

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Rewrite a part of a head; return it, and what follows if this was the end of the head.

        A line is held back until it is known whether the next one continues it.

        Raises:
            httpcore.RemoteProtocolError: it isn't the head of a response, or mixes line ends.
        """
        data, start, rewritten = self._rest + data, 0, b""
        lines: list[bytes] = []
        while (end := data.find(b"\n", start) + 1) > 0:
            line, start = data[start:end], end
            self.size += len(line)
            if not self._line_end:
                lines.append(self._rewrite_start(line))
            elif line == self._line_end:
                rewritten = b"".join([*lines, self.held(), _CRLF])
                self._length = self._line_end = self._rest = b""
                return rewritten, data[start:]
            else:
                lines.append(self._add_line(line))
        self._rest = data[start:]
        return b"".join(lines), b""

    def held(self) -> bytes:
        """Return the line that is held back, rewritten, and forget it."""
        field = b" ".join(self._field)
        self._field = []
        name, colon, value = field.partition(b":")
        value = value.strip(b" \t")
        if not colon or not _TEXT.fullmatch(value):
            return field + _CRLF if field else b""
        if self._is_interim and name.lower() in _DROPPED_FROM_INTERIM:
            return b""
        if name.lower() == b"content-length":
            value = self._merge_length(value)
            return name + b": " + value + _CRLF if value else b""
        return name + b": " + value + _CRLF

    def _rewrite_start(self, line: bytes) -> bytes:
        self._line_end = _CRLF if line.endswith(_CRLF) else b"\n"
        start = _START.match(line)
        if start is None:
            raise httpcore.RemoteProtocolError(f"invalid status line: {line[:40]!r}")
        self.version = start[1]
        self._is_interim = start[2].startswith(b"1") and start[2] != b"101"
        version = min(start[1], b"1.1")
        return b"HTTP/" + version + line[start.end(1) : -len(self._line_end)] + _CRLF

    def _add_line(self, line: bytes) -> bytes:
        """Add a line to the field that it continues; or hold it back, and return the one before."""
        text = line.removesuffix(self._line_end)
        if text == line or (self._line_end == b"\n" and text.endswith(b"\r")):
            raise httpcore.RemoteProtocolError("the head mixes CRLF and bare line feeds")
        if not text.startswith((b" ", b"\t")):
            field = self.held()
            self._field = [text]
            return field
        if not self._field:
            raise httpcore.RemoteProtocolError("the first header starts with a blank")
        self._field.append(text.lstrip(b" \t"))
        return b""

    def _merge_length(self, value: bytes) -> bytes:
        """Return the only length so far; nothing if an earlier field has it, or all if they differ."""
        lengths = {length.strip(b" \t") for length in value.split(b",")}
        if self._length:
            lengths.add(self._length)
        (length, *others) = lengths
        if others or not _LENGTH.fullmatch(length):
            return value or b","  # llhttp refuses it
        is_first, self._length = not self._length, length
        return length if is_first else b""
