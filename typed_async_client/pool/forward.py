"""Sends the requests for an http origin to a proxy that forwards them, RFC 9112 section 3.2.2."""

import copy
import logging
from typing import Any

import httpcore

from typed_async_client.hosts import authority_host
from typed_async_client.pool.opening import Hop, Opening
from typed_async_client.wire.trace import CONNECTION_LOGGER

__all__ = ["ForwardDialer", "merge_headers"]


class ForwardDialer:
    """Reaches an origin through a proxy that reads each request and sends it on.

    Args:
        proxy: the proxy.
    """

    logger: logging.Logger | None = CONNECTION_LOGGER

    def __init__(self, proxy: httpcore.Proxy) -> None:
        self.origin: httpcore.Origin = proxy.url.origin
        self._proxy = proxy

    async def dial(self, opening: Opening) -> Any:
        """Connect to the proxy."""
        return await opening.reach(Hop.of_proxy(self._proxy))

    def prepare(self, request: httpcore.Request) -> httpcore.Request:
        """Return the request as the proxy gets it, with its target absolute and the proxy's headers."""
        prepared = copy.copy(request)
        origin = self.origin
        prepared.url = httpcore.URL(
            scheme=origin.scheme,
            host=origin.host,
            port=origin.port,
            target=_absolute_target(request.url),
        )
        prepared.headers = merge_headers(self._proxy.headers, request.headers)
        return prepared


def _absolute_target(url: httpcore.URL) -> bytes:
    """Return a URL in absolute form; ``*`` becomes an empty path, RFC 9112 section 3.2.4."""
    host = authority_host(url.host.decode("ascii")).encode("ascii")
    port = b"" if url.port is None else b":%d" % url.port
    return b"%b://%b%b%b" % (url.scheme, host, port, b"" if url.target == b"*" else url.target)


def merge_headers(
    defaults: list[tuple[bytes, bytes]], chosen: list[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    """Return the chosen headers, after the default ones that they don't name."""
    names = {name.lower() for name, _ in chosen}
    return [*(field for field in defaults if field[0].lower() not in names), *chosen]
