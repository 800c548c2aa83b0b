"""Reports to the ``trace`` extension of a request what its connection does, by httpcore's names."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpcore

__all__ = ["trace"]


@contextlib.asynccontextmanager
async def trace(
    request: httpcore.Request, name: str, /, **info: Any
) -> AsyncIterator[dict[str, Any]]:
    """Report that something starts, and that it completes or fails.

    Yields:
        What the completion reports; put its ``return_value`` there.
    """
    listener = request.extensions.get("trace")
    report: dict[str, Any] = {"return_value": None}
    if listener is None:
        yield report
        return
    await listener(f"{name}.started", info)
    try:
        yield report
    except BaseException as error:
        await listener(f"{name}.failed", {"exception": error})
        raise
    await listener(f"{name}.complete", report)
