"""Sends one request with a synchronous httpx client, in a thread, or with an async one."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

__all__ = ["KINDS", "options_for", "send_request"]

KINDS = ["sync", "async"]
"""The two kinds of client that a transport can serve."""


async def send_request(
    kind: str, method: str, url: str, *, client: Mapping[str, Any], **options: Any
) -> httpx.Response:
    """Create a client of the given kind, send one request with it, and close it.

    Args:
        kind: one of ``KINDS``.
        method: the request's method.
        url: the request's URL.
        client: options for the client.
        **options: options for the request.
    """
    if kind == "async":
        async with httpx.AsyncClient(trust_env=False, **client) as async_client:
            return await async_client.request(method, url, **options)

    def send() -> httpx.Response:
        with httpx.Client(trust_env=False, **client) as sync_client:
            return sync_client.request(method, url, **options)

    return await asyncio.to_thread(send)


def options_for(transport: Any) -> dict[str, Any]:
    """Return the options of a client that sends everything through the given transport."""
    return {"transport": transport}
