"""Bounds the frames that cost work and bring no request further.

Without a bound, a server can keep a client busy with frames that are each allowed: the floods of
CVE-2019-9512, 9515, 9517 and 9518, as seen from the client. Pure: the time comes in as an argument.
"""

__all__ = ["FloodGuard"]

_MOST = 2000
"""Frames at once that are still taken for harmless."""

_PER_SECOND = 100
"""Frames per second that are harmless for any length of time."""

_BYTES_PER_FRAME = 256
"""Bytes of bodies, in either direction, that justify one more frame."""


class FloodGuard:
    """Counts the frames that bring no request further, against those that do.

    Args:
        now: monotonic seconds.
    """

    __slots__ = ("_allowance", "_at")

    def __init__(self, now: float) -> None:
        self._allowance: float = _MOST
        self._at = now

    def allows(self, now: float, size: int = 0) -> bool:
        """Count a frame that brings no request further; return whether it is still harmless.

        Args:
            now: monotonic seconds.
            size: bytes that cost work.
        """
        self._allowance += (now - self._at) * _PER_SECOND
        self._at = now
        self._allowance = min(self._allowance, _MOST) - 1 - size / _BYTES_PER_FRAME
        return self._allowance >= 0

    def progress(self, size: int) -> None:
        """Count so many bytes of a head or a body, which bring a request further."""
        self._allowance += 1 + size / _BYTES_PER_FRAME
