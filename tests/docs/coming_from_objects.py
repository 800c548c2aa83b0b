"""The objects that the code in ``docs/coming-from.md`` uses, and the server that it reaches."""

import asyncio
import contextlib
import dataclasses
import logging
import random
import re
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import httpx

import typed_async_client
from typed_async_client import (
    AsyncResilientClient,
    Call,
    CallNext,
    EventType,
    InterceptorChain,
    RequestContext,
    Resilience,
    ResilientTransport,
    RetryPolicy,
)
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request, in_virtual_time

__all__ = ["Served", "User", "namespace", "serve"]


@dataclasses.dataclass
class User:
    """What the server sends, for ``response_model=``."""

    id: int


class _Interceptor:
    """Changes nothing."""

    def intercept_request(self, context: Any) -> Any:
        return context

    def intercept_response(self, response: Any) -> Any:
        return response


async def _add_tenant(call: Call, call_next: CallNext) -> httpx.Response:
    return await call_next(call.with_header("X-Tenant", "blue"))


async def _fall_back(call: Call, call_next: CallNext) -> httpx.Response:
    try:
        return await call_next(call)
    except httpx.HTTPError:
        return httpx.Response(200, json={"id": 0})


async def _trace(name: str, info: dict[str, Any]) -> None:
    """Do nothing with what the transport tells."""


async def _test_orders() -> None:
    await asyncio.sleep(3600.0)


_BODIES: Final = {
    "/events": (b"event: order\nid: 7\nretry: 1000\ndata: paid\n\n", "text/event-stream"),
    "/log.ndjson": (b'{"id": 7}\n{"id": 8}\n', "application/x-ndjson"),
}


async def _respond(request: SeenRequest, wire: Wire) -> None:
    """Answer with a user, or as the path says."""
    path = request.target.partition("?")[0]
    body, kind = _BODIES.get(path, (b'{"id": 7}', "application/json"))
    if path.startswith("/status/"):
        await wire.answer(int(path.removeprefix("/status/")), body, f"Content-Type: {kind}")
    elif path == "/reset":
        wire.reset()
    elif path == "/stall":
        await wire.stall()
    elif request.method == "HEAD":
        await wire.answer(200, b"", f"Content-Type: {kind}")
    else:
        await wire.answer(200, body, f"Content-Type: {kind}")


@dataclasses.dataclass(frozen=True, slots=True)
class Served:
    """A server that answers, in its own thread, and what some requests to it have ended with.

    Attributes:
        url: its URL.
        refused: a URL that refuses every connection.
        event: the event of a retry.
        response: a response.
        result: a success.
        failure: a failure.
    """

    url: str
    refused: str
    event: Any
    response: httpx.Response
    result: Any
    failure: Any


@contextlib.contextmanager
def serve() -> Iterator[Served]:
    """Run the server."""
    with (
        _in_a_thread(FaultServer(each_request(_respond))) as server,
        _in_a_thread(FaultServer(each_request(_respond), refusing=True)) as refusing,
    ):
        yield asyncio.run(_first_requests(server.url, refusing.url))


@contextlib.contextmanager
def _in_a_thread(server: FaultServer) -> Iterator[FaultServer]:
    """Run a server on an event loop of its own, for clients that block theirs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _first_requests(url: str, refused: str) -> Served:
    events: list[Any] = []
    policies = Resilience(retry=RetryPolicy(max_retries=1, base_delay=0.0))
    async with AsyncResilientClient(base_url=url, resilience=policies) as client:
        client.add_event_callback(EventType.RETRY, events.append)
        await client.request("GET", "/status/503")
        await client.wait_for_all_requests()
        return Served(
            url=url,
            refused=refused,
            event=events[0],
            response=await client.request("GET", "/users/7"),
            result=await client.fetch("GET", "/users/7"),
            failure=await client.fetch("GET", "/status/404"),
        )


@contextlib.asynccontextmanager
async def namespace(served: Served, used: str) -> AsyncIterator[dict[str, Any]]:
    """Yield the names that the code of a row may use; close what it may have left open.

    Args:
        served: the server.
        used: all of the code; what takes long to create is only created if it is named there.
    """
    words = set(re.findall(r"\w+", used))
    async with contextlib.AsyncExitStack() as stack:
        names = {**_ALWAYS, **_values(served)}
        if "client" in words:
            client = AsyncResilientClient(base_url=served.url, resilience=Resilience.standard())
            names["client"] = await stack.enter_async_context(client)
        if "transport" in words:
            names["transport"] = await stack.enter_async_context(ResilientTransport())
        if "sync_client" in words:
            sync = httpx.Client(base_url=served.url, transport=ResilientTransport())
            names["sync_client"] = stack.enter_context(sync)
        yield names


def _values(served: Served) -> dict[str, Any]:
    context = RequestContext()
    interceptor = _Interceptor()
    return {
        "call": Call("GET", served.url, context),
        "chain": InterceptorChain([interceptor]),
        "context": context,
        "event": served.event,
        "failure": served.failure,
        "interceptor": interceptor,
        "request": httpx.Request("GET", served.url),
        "response": served.response,
        "result": served.result,
        "url": served.url,
    }


_ALWAYS: Final[dict[str, Any]] = {
    **{name: getattr(typed_async_client, name) for name in typed_async_client.__all__},
    "User": User,
    "add_tenant": _add_tenant,
    "asyncio": asyncio,
    "callback": lambda event: None,
    "dataclasses": dataclasses,
    "fall_back": _fall_back,
    "httpx": httpx,
    "in_virtual_time": in_virtual_time,
    "logging": logging,
    "random": random,
    "test_orders": _test_orders,
    "trace": _trace,
}
"""The names that don't depend on the server."""
