"""Takes back the connections that a pool of httpcore has lost.

httpcore 1.0.9 opens a connection in the turn after it has given it to a request that waited for one. If
the request is cancelled, or times out, in between, nobody opens or closes the connection any more, and
it takes up its place in the pool for good. httpcore2 gives it to the next request instead.
"""

from typing import Any

import httpcore

__all__ = ["take_back_orphans"]

_UNOPENED = "CONNECTING"
"""How httpcore describes a connection that isn't open yet; one that has failed says so."""


def take_back_orphans(pool: Any) -> list[Any]:
    """Let a pool forget unopened connections that belong to no request, and serve those that wait.

    All of it happens in one turn of the event loop, so that nobody is given such a connection
    meanwhile.

    Args:
        pool: an asynchronous pool; nothing is done to any but httpcore's.

    Returns:
        Idle connections to be closed, which the pool has replaced.
    """
    if not isinstance(pool, httpcore.AsyncConnectionPool):
        return []
    in_use = [request.connection for request in pool._requests]  # noqa: SLF001 - listed in private_names.py
    orphans: list[Any] = [
        connection
        for connection in pool.connections
        if connection.info() == _UNOPENED and not any(connection is each for each in in_use)
    ]
    for connection in orphans:
        pool._connections.remove(connection)  # noqa: SLF001 - the same
    return pool._assign_requests_to_connections() if orphans else []  # noqa: SLF001 - the same
