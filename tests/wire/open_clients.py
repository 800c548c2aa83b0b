"""A plain httpx client, used in threads, and an async one, behind one way to ask."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx

__all__ = ["KINDS", "Send", "open_client"]

KINDS = ["sync", "async"]
"""The two kinds of client that a transport may serve."""

Send = Callable[..., Awaitable[httpx.Response]]
"""Takes what ``httpx.Client.request`` takes; a method alone may be left out, it is GET."""


@contextlib.asynccontextmanager
async def open_client(kind: str, **options: Any) -> AsyncIterator[Send]:
    """Open a client of that kind, and close it at the end.

    Args:
        kind: one of ``KINDS``.
        **options: of the client.
    """
    if kind == "async":
        async with httpx.AsyncClient(trust_env=False, **options) as client:
            yield lambda url, method="GET", **more: client.request(method, url, **more)
    else:
        plain = httpx.Client(trust_env=False, **options)
        with plain:
            yield lambda url, method="GET", **more: asyncio.to_thread(
                plain.request, method, url, **more
            )
