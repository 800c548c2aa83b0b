"""Sends through a ``ResilientTransport`` with middleware, with either kind of client."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx

from typed_async_client import AsyncEvent, ResilientTransport

__all__ = ["ATTEMPTS", "URL", "AsyncBody", "Sending", "Server", "passing"]

URL = "https://api.test/items"
ATTEMPTS = "typed_async_client.attempts"


class Parts:
    """A body in two parts, which can break, and says when it is closed."""

    def __init__(self, broken: Exception | None) -> None:
        self.broken = broken
        self.is_closed = False

    def parts(self) -> Iterator[bytes]:
        """Yield the parts."""
        yield b"par"
        if self.broken is not None:
            raise self.broken
        yield b"ts"


class SyncBody(Parts, httpx.SyncByteStream):
    """For a synchronous client."""

    def __iter__(self) -> Iterator[bytes]:
        return self.parts()

    def close(self) -> None:
        """Close the body."""
        self.is_closed = True


class AsyncBody(Parts, httpx.AsyncByteStream):
    """For an asynchronous client."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts():
            yield part

    async def aclose(self) -> None:
        """Close the body."""
        self.is_closed = True


class Server(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Reads requests and answers with open bodies; raises the given errors first."""

    def __init__(self, *first: Exception) -> None:
        self.bodies: list[SyncBody | AsyncBody] = []
        self.broken: Exception | None = None
        self.first = list(first)
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a synchronous client."""
        assert isinstance(request.stream, httpx.SyncByteStream)
        assert b"".join(request.stream) in {b"", b"x"}
        return self.answer(request, SyncBody(self.broken))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer an asynchronous client."""
        assert isinstance(request.stream, httpx.AsyncByteStream)
        assert b"".join([part async for part in request.stream]) in {b"", b"x"}
        return self.answer(request, AsyncBody(self.broken))

    def answer(self, request: httpx.Request, body: SyncBody | AsyncBody) -> httpx.Response:
        """Answer, or raise an error."""
        self.requests.append(request)
        if self.first:
            raise self.first.pop(0)
        self.bodies.append(body)
        return httpx.Response(200, stream=body)


def both(function: Callable[[Any], Any]) -> dict[str, Any]:
    """Return a middleware of each kind that returns what a generator returns.

    The generator yields what to pass to ``call_next``, and is sent the response.
    """

    def sync(request: httpx.Request, call_next: Any) -> Any:
        steps = function(request)
        try:
            call = next(steps)
            while True:
                call = _advanced(steps, functools.partial(call_next, call))
        except StopIteration as finished:
            return finished.value

    async def asynchronous(request: httpx.Request, call_next: Any) -> Any:
        steps = function(request)
        try:
            call = next(steps)
            while True:
                outcome = await _settled(call_next(call))
                call = _advanced(steps, functools.partial(_raised, outcome))
        except StopIteration as finished:
            return finished.value

    return {"sync": sync, "async": asynchronous}


def _advanced(steps: Any, answer: Callable[[], Any]) -> Any:
    """Send a generator an answer, or throw in the error that takes its place."""
    try:
        response = answer()
    except Exception as error:  # noqa: BLE001 - the generator handles or raises it
        return steps.throw(error)
    return steps.send(response)


async def _settled(call: Awaitable[Any]) -> Any:
    """Return the response of a call, or its error."""
    try:
        return await call
    except Exception as error:  # noqa: BLE001 - raised by the caller
        return error


def _raised(outcome: Any) -> Any:
    """Return an outcome, or raise it."""
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def passing(request: httpx.Request) -> Any:
    """Pass a request on."""
    return (yield request)


class Sending:
    """Sends requests through a transport with one kind of client.

    Args:
        kind: ``"sync"`` or ``"async"``.
        server: what the transport wraps.
        *middleware: as ``both`` takes them.
        **options: options of the transport.
    """

    def __init__(self, kind: str, server: Server, *middleware: Any, **options: Any) -> None:
        self.events: list[AsyncEvent] = []
        self.kind = kind
        self.transport = ResilientTransport(
            server,
            middleware=[both(each)[kind] for each in middleware],
            on_event=self.events.append,
            random=lambda: 0.0,
            **options,
        )

    @property
    def kinds(self) -> list[str]:
        """The kinds of the events so far."""
        for request_id in {event.context.request_id for event in self.events}:
            own = [event for event in self.events if event.context.request_id == request_id]
            assert [event.seq for event in own] == list(range(len(own)))
        kinds = [event.event_type.value for event in self.events]
        return [kind for kind in kinds if kind != "started"]

    async def open(self, method: str = "GET", **options: Any) -> httpx.Response:
        """Send a request; return its response unread."""
        if self.kind == "sync":
            client = httpx.Client(transport=self.transport)
            return client.send(  # noqa: ASYNC212 - nothing waits
                client.build_request(method, URL, **options), stream=True
            )
        async_client = httpx.AsyncClient(transport=self.transport)
        request = async_client.build_request(method, URL, **options)
        return await async_client.send(request, stream=True)

    async def read(self, response: httpx.Response) -> bytes:
        """Read a response."""
        return response.read() if self.kind == "sync" else await response.aread()

    async def close(self, response: httpx.Response) -> None:
        """Close a response."""
        if self.kind == "sync":
            response.close()
        else:
            await response.aclose()
