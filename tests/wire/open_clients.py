"""Opens a synchronous httpx client, used in threads, or an async one, with the same interface."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx

__all__ = ["KINDS", "Send", "open_client"]

KINDS = ["sync", "async"]
"""The two kinds of client that a transport can serve."""

Send = Callable[..., Awaitable[httpx.Response]]
"""Takes a URL, a method (GET by default) and the options of ``httpx.Client.request``."""


@contextlib.asynccontextmanager
async def open_client(kind: str, **options: Any) -> AsyncIterator[Send]:
    """Open a client of the given kind, and close it at the end.

    Args:
        kind: one of ``KINDS``.
        **options: options for the client.
    """
    if kind == "async":
        async with httpx.AsyncClient(trust_env=False, **options) as client:
            yield lambda url, method="GET", **more: client.request(method, url, **more)
    else:
        sync_client = httpx.Client(trust_env=False, **options)
        with sync_client:
            yield lambda url, method="GET", **more: asyncio.to_thread(
                sync_client.request, method, url, **more
            )
