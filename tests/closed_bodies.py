"""Closes a response while another task reads it."""

import asyncio

import httpx

__all__ = ["error_of_reader"]


async def error_of_reader(response: httpx.Response) -> BaseException | None:
    """Close a response while a task waits for its second part; return what that task fails with."""
    parts = response.aiter_raw()
    await anext(parts)
    reading = asyncio.ensure_future(anext(parts))
    await asyncio.sleep(0)
    await response.aclose()
    await asyncio.wait({reading}, timeout=10.0)
    return reading.exception() if reading.done() else None
