"""What the tests of middleware share: an application that remembers, and a client that is watched."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import httpx

from typed_async_client import AsyncEvent, AsyncResilientClient, Call, CallNext, EventType

__all__ = ["App", "Watched", "tagging", "watched_client"]


class App:
    """Answers each request with what it has received; raises or answers what it is told first.

    Args:
        *first: what becomes of the first requests: an error, or a status.
    """

    def __init__(self, *first: Exception | int) -> None:
        self.first = list(first)
        self.requests: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests.append(request)
        outcome = self.first.pop(0) if self.first else 200
        if isinstance(outcome, Exception):
            raise outcome
        return httpx.Response(outcome, content=await request.aread())


class Watched:
    """A client with the events that it has published.

    Args:
        client: the client.
    """

    def __init__(self, client: AsyncResilientClient) -> None:
        self.client = client
        self.events: list[AsyncEvent] = []
        for kind in set(EventType) - {EventType.STARTED}:
            client.add_event_callback(kind, self.events.append)

    async def kinds(self) -> list[str]:
        """Return the kinds of all events, once every one is delivered and numbered in order."""
        results = await self.client.wait_for_all_requests()
        for request_id in results:
            own = [event for event in self.events if event.context.request_id == request_id]
            assert [event.seq for event in own] == list(range(len(own)))
            assert [event.is_terminal for event in own] == [False] * (len(own) - 1) + [True]
            assert results[request_id].status.value in {own[-1].event_type.value, "error"}
        return [event.event_type.value for event in self.events]


@contextlib.asynccontextmanager
async def watched_client(
    app: Callable[..., Any] | httpx.AsyncBaseTransport, middleware: Sequence[Any], **options: Any
) -> AsyncIterator[Watched]:
    """Open a client around an application, or around a transport, with a known jitter."""
    async with AsyncResilientClient(
        transport=app if isinstance(app, httpx.AsyncBaseTransport) else httpx.MockTransport(app),
        middleware=middleware,
        random=lambda: 0.5,
        **options,
    ) as client:
        yield Watched(client)


def tagging(name: str, log: list[str]) -> Any:
    """Return a middleware that notes when it is entered and left."""

    async def tag(call: Call, call_next: CallNext) -> httpx.Response:
        log.append(f"{name} in")
        response = await call_next(call)
        log.append(f"{name} out")
        return response

    return tag
