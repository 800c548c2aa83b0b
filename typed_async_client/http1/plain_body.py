"""Reads a body that isn't chunked: it has a declared length, or ends with its connection.

llhttp would copy each part of it, and has nothing to check there.
"""

__all__ = ["PlainReader"]


class PlainReader:
    """Takes the rest of a body as it arrives.

    Args:
        left: bytes that are missing; None if the body ends with its connection.

    Attributes:
        has_leftovers: whether there were bytes beyond its end.
        is_complete: whether all of it was received; always False if its end isn't known.
    """

    __slots__ = ("_left", "has_leftovers", "is_complete")

    def __init__(self, left: int | None) -> None:
        self._left = left
        self.has_leftovers: bool = False
        self.is_complete: bool = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the parts of the body in received bytes."""
        if self._left is None:
            return [data]
        if len(data) > self._left:
            data, self.has_leftovers = data[: self._left], True
        self._left -= len(data)
        self.is_complete = self._left == 0
        return [data]
