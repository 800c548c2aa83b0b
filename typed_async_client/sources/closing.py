"""Closes the generators that request bodies are read from: httpx leaves them open when it stops half-way.

Until its last reference is gone, such a generator keeps open what it has opened. What it raises while it
is closed is reported, and never raised: its request has ended for another reason, or has a response.
"""

import logging
from typing import Any

from typed_async_client.private import source_of, started_generator
from typed_async_client.sources.generators import CLOSING_FAILED, aclose_generator
from typed_async_client.sources.streamed import StreamedBody

__all__ = ["aclose_source", "close_source"]

_log = logging.getLogger("typed_async_client")


async def aclose_source(body: Any, parts: Any = None) -> None:
    """Close the generator that a request body was read from, in part: nobody will read on.

    One that wasn't started holds nothing, and may still be sent. One that is just being read belongs
    to whoever reads it. Nor is anything else closed that the caller has opened, such as a file.

    Args:
        body: the body, of httpx or httpx2.
        parts: the iterator over it, if there is one.
    """
    stream = _unwrapped(body)
    source = source_of(stream)
    await aclose_generator(parts)
    await aclose_generator(started_generator(stream))
    if isinstance(source, StreamedBody):
        await source.aclose()


def close_source(body: Any) -> None:
    """Close the generator of a synchronous request body, as ``aclose_source`` does.

    There may be no event loop, so the logger ``typed_async_client`` gets what it raises.
    """
    source = started_generator(_unwrapped(body))
    try:
        if source is not None:
            source.close()
    except Exception:  # noqa: BLE001 - of the caller's own cleanup
        _log.exception(CLOSING_FAILED)


def _unwrapped(body: Any) -> Any:
    """Return the body that was passed to the client, without the wrappers that watch it."""
    while (source := getattr(body, "source", None)) is not None:
        body = source
    return body
