"""What the client asks httpx to tell it of each request that an attempt sends.

An attempt is more than one request when it follows a redirect or answers a challenge. The hooks
made here see each of them go out and be answered, and keep the attempt's tally.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import httpx

from typed_async_client.facts import Tally, current_tally

__all__ = ["SendingUnseen", "WatchedBody", "watch_body", "with_hooks"]


_REPLAYED = type(httpx.Request("POST", "http://a.test/", files={"a": b""}).stream)
"""Bodies of forms, which httpx makes anew for each attempt."""


def watch_body(request: httpx.Request, tally: Tally) -> None:
    """Note in a tally when a body that is made on the way begins to be sent."""
    if not isinstance(request.stream, httpx.ByteStream):
        request.stream = WatchedBody(request.stream, tally)


class SendingUnseen(httpx.AsyncBaseTransport):
    """Notes in the tally that a request may be processed as soon as it is handed over.

    Args:
        transport: one of which ``sends_unseen`` is true; it is closed with this one.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Hand the request over."""
        current_tally().answered = True
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()


def with_hooks(given: Mapping[str, Any] | None) -> dict[str, list[Any]]:
    """Give the event hooks of a client that keeps tallies: the given ones, and ours around them."""
    hooks = dict(given or {})
    return {
        **hooks,
        "request": [*hooks.get("request", ()), _before_each],
        "response": [_after_each, *hooks.get("response", ())],
    }


async def _before_each(request: httpx.Request) -> None:
    tally = current_tally()
    tally.hops += 1
    watch_body(request, tally)


async def _after_each(_: httpx.Response) -> None:
    current_tally().answered = True


class WatchedBody(httpx.AsyncByteStream, httpx.SyncByteStream):
    """A body that is made on the way, noted in the tally once it has begun."""

    def __init__(self, body: Any, tally: Tally) -> None:
        self._body = body
        self._tally = tally

    def __iter__(self) -> Iterator[bytes]:
        self._note()
        yield from self._body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._note()
        async for part in self._body:
            yield part

    def close(self) -> None:
        """Close the body that a plain client sends."""
        self._body.close()

    async def aclose(self) -> None:
        """Close the body that an async client sends."""
        await self._body.aclose()

    def _note(self) -> None:
        self._tally.body_begun = True
        if not isinstance(self._body, _REPLAYED):
            self._tally.body_used_up = True
