"""Closes async generators that request bodies are read from."""

import asyncio
from types import AsyncGeneratorType
from typing import Any, Final

__all__ = ["CLOSING_FAILED", "aclose_generator"]

CLOSING_FAILED: Final = "closing the generator of a request body failed"
"""The message under which an error of the caller's own cleanup is reported."""


async def aclose_generator(source: Any) -> None:
    """Close an async generator, unless it is just being read; leave anything else as it is.

    What it raises is reported to the event loop, and never raised.
    """
    if isinstance(source, AsyncGeneratorType) and not source.ag_running:
        try:
            await source.aclose()
        except Exception as error:  # noqa: BLE001 - of the caller's own cleanup
            context = {"message": CLOSING_FAILED, "exception": error, "asyncgen": source}
            asyncio.get_running_loop().call_exception_handler(context)
