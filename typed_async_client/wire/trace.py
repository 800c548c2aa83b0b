"""Calls a request's ``trace`` extension, with the event names that httpcore uses."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpcore

__all__ = ["trace"]


@contextlib.asynccontextmanager
async def trace(
    request: httpcore.Request, name: str, /, **info: Any
) -> AsyncIterator[dict[str, Any]]:
    """Report the start of an operation, and its completion or failure.

    Yields:
        The info of the completion event; set its ``return_value``.
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
