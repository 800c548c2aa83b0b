"""httpcore's HTTP/1.1 connection on h11, without its lock.

httpcore guards a connection's state with a lock that yields to the event loop whenever it is acquired.
Our pool doesn't need it: it assigns a connection to one request at a time, and nothing else runs
between two awaits.
"""

from typing import Any

import httpcore

__all__ = ["H11Connection"]


class _NoLock:
    """Replaces httpcore's lock."""

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        pass


class H11Connection(httpcore.AsyncHTTP11Connection):
    """An open connection that speaks HTTP/1.1.

    Args:
        origin: the origin it is connected to.
        stream: the network stream.
    """

    def __init__(self, origin: httpcore.Origin, stream: Any) -> None:
        super().__init__(origin, stream)
        self._state_lock: Any = _NoLock()
