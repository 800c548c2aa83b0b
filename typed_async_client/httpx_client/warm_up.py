"""Opens the connections of a client before they are needed, in whichever pool serves each URL."""

import asyncio
from collections.abc import Iterable
from typing import Any

import httpx

from typed_async_client.libraries import is_from
from typed_async_client.pool.transport import AsyncPoolTransport
from typed_async_client.pool.warm_up import WarmUpReport, check_origin, checked_urls
from typed_async_client.private import transport_for
from typed_async_client.urls import origin_name

__all__ = ["warm_up"]

_TIMEOUT = httpx.Timeout(5.0)
"""For a client that has none."""


async def warm_up(
    client: Any, urls: Iterable[httpx.URL | str], connections: int
) -> list[WarmUpReport]:
    """Open connections to the origins of URLs, without sending a request.

    Args:
        client: an httpx client.
        urls: URLs of the origins, which may be relative to its ``base_url``.
        connections: how many idle connections each origin should have.

    Raises:
        TypeError: ``urls`` isn't a collection of URLs, or a URL is served by another transport than
            our pool, which can't open connections early.
        ValueError: ``connections`` isn't an integer >= 1.
        httpx.UnsupportedProtocol: the scheme of a URL isn't supported; nothing was opened.
    """
    absolute = [_absolute(client, url) for url in checked_urls(urls, connections)]
    for url in absolute:
        check_origin(url)  # before the first pool opens anything
    by_pool: dict[AsyncPoolTransport, list[httpx.URL]] = {}
    for url in absolute:
        by_pool.setdefault(_pool_for(client, url), []).append(url)
    timeout = getattr(client, "timeout", _TIMEOUT)
    done = await asyncio.gather(
        *(
            pool.warm_up(some, connections=connections, timeout=timeout)
            for pool, some in by_pool.items()
        )
    )
    found = {report.origin: report for reports in done for report in reports}
    return [found[name] for name in dict.fromkeys(map(origin_name, absolute))]


def _absolute(client: Any, url: httpx.URL) -> httpx.URL:
    """Merge a relative URL with the base URL of a client, as far as its origin is concerned."""
    base = httpx.URL(str(getattr(client, "base_url", "")))
    return base if url.is_relative_url and base.is_absolute_url else url


def _pool_for(client: Any, url: httpx.URL) -> AsyncPoolTransport:
    transport = transport_for(client, url) if is_from(client, "httpx", "httpx2") else client
    if isinstance(transport, AsyncPoolTransport):
        return transport
    raise TypeError(
        f"no connection to {origin_name(url)} can be opened early: it is served by "
        f"{type(transport).__name__}, and only an AsyncPoolTransport can do that"
    )
