"""Lets other tasks run while bytes are written to a peer that reads fast: no write to it waits."""

import asyncio

__all__ = ["WritePace"]

_TURN_SIZE = 256 * 1024
"""Most bytes written in one turn of the event loop."""

_WRITE_COST = 4 * 1024
"""What each write counts for in addition, because a body may have many small or empty parts."""


class WritePace:
    """Counts what a stream has written since the event loop last ran other tasks."""

    __slots__ = ("_in_this_turn",)

    def __init__(self) -> None:
        self._in_this_turn = 0

    def start_turn(self) -> None:
        """Start over, because the stream waits for its peer."""
        self._in_this_turn = 0

    async def keep(self, size: int) -> None:
        """Count a write that didn't wait; if a lot was written, let other tasks run."""
        self._in_this_turn += size + _WRITE_COST
        if self._in_this_turn > _TURN_SIZE:
            self._in_this_turn = 0
            await asyncio.sleep(0)
