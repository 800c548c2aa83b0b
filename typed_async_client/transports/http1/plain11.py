"""One HTTP/1.1 connection on h11, as httpcore speaks it, for a pool that needs no lock.

httpcore guards a connection's state with a lock that gives way to the event loop whenever it is
taken. The pool gives a connection to one request at a time, and between two waits nobody else runs.

Names of httpcore 1.0 used that are not in its documentation:
``AsyncHTTP11Connection._state_lock`` and ``_h11_state``.
"""

from typing import Any

import httpcore

__all__ = ["H11Exchange"]


class _NoLock:
    """Stands where httpcore takes a lock."""

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        pass


class H11Exchange(httpcore.AsyncHTTP11Connection):
    """An open connection that speaks HTTP/1.1.

    Args:
        origin: where it leads.
        stream: its bytes.
    """

    def __init__(self, origin: httpcore.Origin, stream: Any) -> None:
        super().__init__(origin, stream)
        self._state_lock: Any = _NoLock()

    def is_idle(self) -> bool:
        """Whether it serves no request, and holds no byte beyond its last response."""
        return super().is_idle() and not self._h11_state.trailing_data[0]
