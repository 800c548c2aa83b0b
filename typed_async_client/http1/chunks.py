"""Decodes chunked bodies, RFC 9112 section 7.1.

llhttp refuses the blanks around a chunk extension that a recipient must accept, RFC 9110 section 5.6.3,
and doesn't report where, so that it can't be helped within a body. The line of a chunk size and the data of a chunk must end with CRLF. The
trailers may end their lines as a head may, see ``rewriter.py``.
"""

import re

import httpcore

__all__ = ["ChunkedReader"]

_CRLF = b"\r\n"
_SIZE_LINE = re.compile(rb"0*([0-9A-Fa-f]{1,16})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
"""Leading zeros aside, a size has 16 digits at most: it is below 2 to the 64th, as in llhttp."""

_SIZE_START = re.compile(rb"[0-9A-Fa-f]")

_BLANK_LINE = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\r\n[ \t]+")
_FIELDS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n")


class ChunkedReader:
    """Decodes one chunked body, which may be split anywhere.

    Args:
        trailers: names and values of the trailer fields are added to it.

    Attributes:
        has_leftovers: whether there were bytes beyond the end of the body.
        is_complete: whether the body and its trailers have been received.
    """

    def __init__(self, trailers: list[tuple[bytes, bytes]]) -> None:
        self.has_leftovers: bool = False
        self.is_complete: bool = False
        self._in_chunk = False  # until the line end after its data
        self._in_trailers = False
        self._left = 0  # bytes of the chunk that are still to come
        self._rest = b""  # received, but too short to be understood
        self._trailers = trailers

    def feed(self, data: bytes) -> list[bytes]:
        """Decode a part of the body, and return the data of its chunks.

        Raises:
            httpcore.RemoteProtocolError: it isn't a valid chunked body.
        """
        if self._rest and b"\n" not in data:  # all that can be incomplete ends with it
            self._rest += data
            return []
        if self._rest:
            data = self._rest + data
        parts: list[bytes] = []
        start, end = 0, -1
        while end != start < len(data) and not self.is_complete:
            end, start = start, self._advance(data, start, parts)
        self._rest = data[start:]
        self.has_leftovers = self.is_complete and bool(self._rest)
        return parts

    def _advance(self, data: bytes, start: int, parts: list[bytes]) -> int:
        """Read on, and return where the rest starts; at ``start`` if something is incomplete."""
        if self._left:
            part = data[start : start + self._left]
            self._left -= len(part)
            parts.append(part)
            return start + len(part)
        if self._in_chunk:
            return self._end_chunk(data, start)
        if self._in_trailers:
            return self._read_trailers(data, start)
        start = _read_complete_chunks(data, start, parts)
        return self._read_size(data, start) if start < len(data) else start

    def _read_size(self, data: bytes, start: int) -> int:
        line = _SIZE_LINE.match(data, start)
        if line is None:
            if data.find(b"\n", start) >= 0 or not _SIZE_START.match(data, start):
                raise httpcore.RemoteProtocolError(
                    f"invalid chunk size line: {data[start : start + 40]!r}"
                )
            return start
        self._left = int(line[1], 16)
        self._in_chunk = self._left > 0
        self._in_trailers = not self._in_chunk
        return line.end()

    def _end_chunk(self, data: bytes, start: int) -> int:
        end = data[start : start + 2]
        if end == _CRLF:
            self._in_chunk = False
            return start + 2
        if end != _CRLF[: len(end)]:
            raise httpcore.RemoteProtocolError(f"a chunk is followed by {end!r}, not by a line end")
        return start

    def _read_trailers(self, data: bytes, start: int) -> int:
        # The line end before the trailers isn't part of them, but an empty block starts with one.
        blank = _BLANK_LINE.match(b"\n" + data[start : start + 2])
        end = start + blank.end() - 1 if blank else _end_of_block(data, start)
        if end > start:
            self._trailers += _parse_trailers(data[start:end])
            self.is_complete = True
        return end


def _read_complete_chunks(data: bytes, start: int, parts: list[bytes]) -> int:
    """Read the chunks that have arrived completely, except the last one, which is empty."""
    while (line := _SIZE_LINE.match(data, start)) is not None:
        first = line.end()
        end = first + int(line[1], 16)
        if end == first or not data.startswith(_CRLF, end):
            break
        parts.append(data[first:end])
        start = end + 2
    return start


def _end_of_block(data: bytes, start: int) -> int:
    """Return where the first block of lines ends that a blank line ends; ``start`` if none does."""
    blank = _BLANK_LINE.search(data, start)
    return blank.end() if blank else start


def _parse_trailers(block: bytes) -> list[tuple[bytes, bytes]]:
    """Parse trailers that end with a blank line; the line ends are all CRLF, or all LF."""
    if _CRLF not in block:
        block = block.replace(b"\n", _CRLF)
    block = _FOLD.sub(b" ", block)
    if not _FIELDS.fullmatch(block):
        raise httpcore.RemoteProtocolError("invalid trailers")
    fields = [line.split(b":", 1) for line in block.split(_CRLF) if line]
    return [(name, value.strip(b" \t")) for name, value in fields]
