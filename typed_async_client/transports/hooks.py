"""What the client asks httpx to tell it of each request that an attempt sends.

An attempt is more than one request when it follows a redirect or answers a challenge. The hooks
made here see each of them go out and be answered, and keep the attempt's tally.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

from typed_async_client.facts import Tally, current_tally

__all__ = ["with_hooks"]


def with_hooks(given: Mapping[str, Any] | None, *, in_process: bool) -> dict[str, list[Any]]:
    """Give the event hooks of a client that keeps tallies: the given ones, and ours around them.

    Args:
        given: the ``event_hooks`` of the caller.
        in_process: whether requests go to an application in this process, which has them as soon
            as they are sent: no error of it tells of a failed connection.
    """

    async def before_each(request: httpx.Request) -> None:
        tally = current_tally()
        tally.hops += 1
        tally.answered = tally.answered or in_process
        if not isinstance(request.stream, httpx.ByteStream):
            request.stream = _WatchedBody(request.stream, tally)

    async def after_each(_: httpx.Response) -> None:
        current_tally().answered = True

    hooks = dict(given or {})
    return {
        **hooks,
        "request": [*hooks.get("request", ()), before_each],
        "response": [after_each, *hooks.get("response", ())],
    }


class _WatchedBody(httpx.AsyncByteStream):
    """A body that is made on the way, noted in the tally once it has begun."""

    def __init__(self, body: Any, tally: Tally) -> None:
        self._body = body
        self._tally = tally

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._tally.body_begun = True
        async for part in self._body:
            yield part

    async def aclose(self) -> None:
        await self._body.aclose()
