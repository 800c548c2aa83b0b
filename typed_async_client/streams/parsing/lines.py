"""Splits a stream of UTF-8 text at line feeds, whatever the parts in which it arrives."""

from typing import Final

__all__ = ["BOM", "LineSplitter"]

BOM: Final = b"\xef\xbb\xbf"
"""The byte order mark in UTF-8, which isn't part of the text that it precedes."""


class LineSplitter:
    r"""Splits text into lines, each ended by LF or CR LF.

    These are the line ends of NDJSON. Nothing else ends a line: a JSON string may contain U+2028,
    U+0085 and others that ``str.splitlines()`` splits at.

    Args:
        max_bytes: the most bytes in a line, without its LF.

    Attributes:
        count: the lines that were returned.
        is_too_long: whether a line had more bytes than that; no other follows.

    Example:
        >>> splitter = LineSplitter(max_bytes=100)
        >>> splitter.feed(b'{"a": 1}\r'), splitter.feed(b'\n{"a"'), splitter.feed(b": 2}")
        ([], ['{"a": 1}'], [])
        >>> splitter.end()
        ['{"a": 2}']
    """

    def __init__(self, *, max_bytes: int) -> None:
        self.count: int = 0
        self.is_too_long: bool = False
        self._max_bytes = max_bytes
        self._pending = bytearray()

    def feed(self, part: bytes) -> list[str]:
        """Return the lines that a part of the stream completes."""
        *ended, rest = part.split(b"\n")
        if ended:
            ended[0] = bytes(self._pending) + ended[0]
            self._pending.clear()
        self._pending += rest
        lines: list[str] = []
        for line in ended:
            if self._exceeds(line):
                return lines
            lines.append(self._text(line.removesuffix(b"\r")))
        self._exceeds(self._pending)
        return lines

    def end(self) -> list[str]:
        """Return the last line, if no line end follows it; empty if there is none."""
        rest = bytes(self._pending)
        self._pending.clear()
        is_text = rest and not (self.count == 0 and rest == BOM)
        return [self._text(rest)] if is_text else []

    def _exceeds(self, line: bytes | bytearray) -> bool:
        """Whether a line is too long; nothing is kept then."""
        if self.is_too_long or len(line) > self._max_bytes:
            self.is_too_long = True
            self._pending.clear()
        return self.is_too_long

    def _text(self, line: bytes) -> str:
        if self.count == 0:
            line = line.removeprefix(BOM)
        self.count += 1
        return line.decode("utf-8", "replace")
