"""Notices that a body that is read again isn't the same as before.

Whether an object starts over each time it is iterated can't always be told before: one may make a new
generator each time over a source that can be read only once, whose rest would be sent, or nothing.
"""

from typing import Final

__all__ = ["Readings"]

_COMPARED: Final = 1024
"""Bytes at the start of a body that are kept, and compared."""


class Readings:
    """What all readings of a body, so far, have returned."""

    __slots__ = ("_longest", "_start")

    def __init__(self) -> None:
        self._longest: int = 0
        self._start: bytes = b""

    def difference(self, position: int, part: bytes) -> str:
        """Add a part of the body; return how it differs from before, or an empty text.

        Args:
            position: the bytes before it, in this reading.
            part: the part.
        """
        end = position + len(part)
        self._longest = max(self._longest, end)
        if position >= _COMPARED or type(part) is not bytes:  # something else isn't sent
            return ""
        known = self._start[position:end]
        if not part.startswith(known):
            return "other bytes"
        if end > len(self._start):
            self._start += part[len(known) : _COMPARED - position]
        return ""

    def difference_at_end(self, size: int) -> str:
        """Return how a reading that has ended after ``size`` bytes differs from those before."""
        return "fewer bytes" if size < self._longest else ""
