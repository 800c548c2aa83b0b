"""Tells the ``trace`` extension of a request what its connection does, by httpcore's names."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpcore

__all__ = ["tell"]


@contextlib.asynccontextmanager
async def tell(
    request: httpcore.Request, name: str, /, **info: Any
) -> AsyncIterator[dict[str, Any]]:
    """Tell the ``trace`` extension of a request that something begins, and how it ends."""
    trace = request.extensions.get("trace")
    told: dict[str, Any] = {"return_value": None}
    if trace is None:
        yield told
        return
    await trace(f"{name}.started", info)
    try:
        yield told
    except BaseException as error:
        await trace(f"{name}.failed", {"exception": error})
        raise
    await trace(f"{name}.complete", told)
