"""One HTTP/1.1 connection on h11, as httpcore implements it, for a pool that needs no lock.

httpcore guards a connection's state with a lock that yields to the event loop whenever it is taken. The
pool gives a connection to one request at a time, and between two awaits nothing else runs.
"""

from typing import Any

import httpcore

__all__ = ["H11Connection"]


class _NoLock:
    """Takes the place of httpcore's lock."""

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        pass


class H11Connection(httpcore.AsyncHTTP11Connection):
    """An open connection that speaks HTTP/1.1.

    Args:
        origin: where it leads.
        stream: its bytes.
    """

    def __init__(self, origin: httpcore.Origin, stream: Any) -> None:
        super().__init__(origin, stream)
        self._state_lock: Any = _NoLock()
