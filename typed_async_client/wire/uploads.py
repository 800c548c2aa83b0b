"""Closes the generators that request bodies were read from, once a request has ended.

A generator that is left half-way keeps open what it has opened, such as the file that it reads, until
its last reference is gone.
"""

import asyncio
from typing import Any

from typed_async_client.private import started_generator
from typed_async_client.sent import WatchedBody

__all__ = ["aclose_generator", "close_generator"]


async def aclose_generator(body: Any) -> None:
    """Close the generator that a request body was read from, in part: nobody will read on.

    One that wasn't started holds nothing, and may still be sent. Nor is anything else closed that
    the caller has opened, such as a file.
    """
    generator = started_generator(_source(body))
    if generator is None:
        return
    try:
        await generator.aclose()
    except Exception as error:  # noqa: BLE001 - of the caller's own cleanup; the request has ended
        context = {"message": "a request body failed to close", "exception": error}
        asyncio.get_running_loop().call_exception_handler({**context, "asyncgen": generator})


def close_generator(body: Any) -> None:
    """Close the generator of a synchronous request body, as ``aclose_generator`` does.

    Raises:
        Exception: whatever the generator raises.
    """
    generator = started_generator(_source(body))
    if generator is not None:
        generator.close()


def _source(body: Any) -> Any:
    while isinstance(body, WatchedBody):
        body = body.source
    return body
