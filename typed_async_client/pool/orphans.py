"""Finds connections that a pool of httpcore has lost, and how the pool gets them back.

httpcore 1.0.9 opens a connection in the turn after it has given it to a request that waited for one. If
the request is cancelled, or times out, in between, nobody opens or closes the connection any more, and
it takes up its place in the pool for good. httpcore2 gives it to the next request instead.
"""

from collections.abc import Coroutine
from typing import Any

import httpcore

from typed_async_client.private import connections_in_use

__all__ = ["reclaiming_requests"]

_UNOPENED = "CONNECTING"
"""How httpcore describes a connection that isn't open yet; one that has failed says so."""


def reclaiming_requests(pool: Any, url: Any) -> list[Coroutine[Any, Any, Any]]:
    """Return requests that make a pool drop its lost connections to a host, and serve who waits.

    Each must be cancelled through anyio before it sends anything. httpcore marks the connection of
    such a request as failed, drops those, and looks for connections whenever a request ends.

    Args:
        pool: an asynchronous pool; none but httpcore's loses connections.
        url: a URL of the host, of httpx.
    """
    if not isinstance(pool, httpcore.AsyncConnectionPool):
        return []
    target = httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )
    in_use = connections_in_use(pool)
    orphans: list[Any] = [
        connection
        for connection in pool.connections
        if connection.info() == _UNOPENED
        and connection.can_handle_request(target.origin)
        and not any(connection is each for each in in_use)
    ]
    senders = [*orphans, pool] if orphans else []
    return [one.handle_async_request(httpcore.Request("GET", target)) for one in senders]
