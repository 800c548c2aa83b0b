"""The bytes that were received and not read yet."""

__all__ = ["UnreadBytes"]


class UnreadBytes:
    """A queue of bytes, which copies large bodies as rarely as possible.

    A reader that keeps up takes each read from the socket as it is. Only what comes on top of unread
    bytes is joined, so that a peer which sends single bytes can't fill the memory with small objects.
    """

    __slots__ = ("_first", "_rest")

    def __init__(self) -> None:
        self._first = b""
        self._rest = bytearray()

    def __len__(self) -> int:
        return len(self._first) + len(self._rest)

    def append(self, data: memoryview | bytes) -> None:
        """Append bytes."""
        if self._first:
            self._rest += data
        else:
            self._first = bytes(data)

    def take(self, max_bytes: int) -> bytes:
        """Remove and return up to ``max_bytes``; empty if there are none."""
        data = self._first
        if self._rest:
            data += self._rest
            self._rest.clear()
        if len(data) <= max_bytes:
            self._first = b""
            return data
        self._first = data[max_bytes:]
        return data[:max_bytes]
