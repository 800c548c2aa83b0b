"""Closes the generators that request bodies are read from, which httpx leaves open when it stops half-way."""

from collections.abc import AsyncGenerator
from typing import Any

from typed_async_client.private import started_generator

__all__ = ["close_source"]


async def close_source(parts: Any, body: Any) -> None:
    """Close what reads a request body, and the generator that it is read from, if that has begun.

    Args:
        parts: the iterator over the body; None if there is none.
        body: the body, of httpx or httpx2.
    """
    for source in (parts, started_generator(body)):
        if isinstance(source, AsyncGenerator):
            await source.aclose()
