"""One request, by a plain httpx client in a thread or by an async one here."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

__all__ = ["KINDS", "options_for", "send_request"]

KINDS = ["sync", "async"]
"""The two kinds of client that a transport may serve."""


async def send_request(
    kind: str, method: str, url: str, *, client: Mapping[str, Any], **options: Any
) -> httpx.Response:
    """Make a client of that kind, let it send one request, and close it.

    Args:
        kind: one of ``KINDS``.
        method: of the request.
        url: of the request.
        client: options of the client.
        **options: options of the request.
    """
    if kind == "async":
        async with httpx.AsyncClient(trust_env=False, **client) as asynchronous:
            return await asynchronous.request(method, url, **options)

    def send() -> httpx.Response:
        with httpx.Client(trust_env=False, **client) as plain:
            return plain.request(method, url, **options)

    return await asyncio.to_thread(send)


def options_for(transport: Any) -> dict[str, Any]:
    """Give the options of a client that sends everything through a transport."""
    return {"transport": transport}
