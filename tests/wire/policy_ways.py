"""Sends requests under policies in each of the ways that the package offers, with one interface."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import httpx
import httpx2
from tls_contexts import client_context

from typed_async_client import (
    AsyncEvent,
    AsyncPoolTransport,
    AsyncResilientClient,
    EventType,
    Resilience,
    ResilientTransport,
)

__all__ = ["ALL_WAYS", "ASYNC_WAYS", "CLIENTS", "TRANSPORTS", "Way", "open_way", "states_at"]

CLIENTS = ["client", "external httpx", "external httpx2"]
"""An ``AsyncResilientClient``, alone or around a client of somebody else."""

TRANSPORTS = ["async transport", "httpx transport", "sync transport"]
"""A ``ResilientTransport`` around our pool, around httpx's, and in a synchronous client."""

ALL_WAYS = [*CLIENTS, *TRANSPORTS]

ASYNC_WAYS = [way for way in ALL_WAYS if way != "sync transport"]


@dataclasses.dataclass(slots=True)
class Way:
    """A way to send requests.

    Attributes:
        request: sends a request; takes a method, a URL and options of httpx or of ours.
        events: what was published.
        inner: the ``AsyncResilientClient`` or the ``ResilientTransport``.
        library: whose errors are raised: httpx, or httpx2.
    """

    request: Callable[..., Awaitable[httpx.Response]]
    events: list[AsyncEvent]
    inner: Any
    library: Any = httpx

    def kinds(self) -> list[str]:
        """Return the types of the events so far."""
        return [event.event_type.value for event in self.events]


@contextlib.asynccontextmanager
async def open_way(
    name: str,
    resilience: Resilience,
    *,
    on_retry: Callable[[], Coroutine[Any, Any, None]] | None = None,
    limits: httpx.Limits | None = None,
    **options: Any,
) -> AsyncIterator[Way]:
    """Open a client, and close it at the end.

    Args:
        name: one of ``ALL_WAYS``.
        resilience: its policies.
        on_retry: called before the wait for each retry.
        limits: the limits of its pool.
        **options: options for the client or the transport that retries.
    """
    limits = limits or httpx.Limits(max_connections=100)
    events: list[AsyncEvent] = []
    loop = asyncio.get_running_loop()

    def on_event(event: AsyncEvent) -> Any:
        events.append(event)
        if on_retry is None or event.event_type is not EventType.RETRY:
            return None
        if name == "sync transport":
            asyncio.run_coroutine_threadsafe(on_retry(), loop).result(20.0)
            return None
        return on_retry()

    async with contextlib.AsyncExitStack() as stack:
        if name in CLIENTS:
            inner = _external(name, limits)
            if inner is None:
                own = {"verify": client_context(), "trust_env": False, "limits": limits}
                options = own | options
            else:
                options["http_client"] = await stack.enter_async_context(inner)
            client = AsyncResilientClient(resilience=resilience, **options)
            await stack.enter_async_context(client)
            for kind in EventType:
                client.add_event_callback(kind, on_event)
            library = httpx2 if name == "external httpx2" else httpx
            yield Way(client.request, events, client, library)
        else:
            options |= {"resilience": resilience, "on_event": on_event}
            transport = ResilientTransport(_wrapped(name, limits), **options)
            yield Way(await _sender(stack, name, transport), events, transport)


def _external(name: str, limits: httpx.Limits) -> Any:
    if name == "client":
        return None
    library: Any = httpx if name == "external httpx" else httpx2
    pool = library.Limits(max_connections=limits.max_connections)
    return library.AsyncClient(verify=client_context(), trust_env=False, limits=pool)


def _wrapped(name: str, limits: httpx.Limits) -> Any:
    kinds: dict[str, Any] = {
        "async transport": AsyncPoolTransport,
        "httpx transport": httpx.AsyncHTTPTransport,
        "sync transport": httpx.HTTPTransport,
    }
    return kinds[name](verify=client_context(), limits=limits)


async def _sender(
    stack: contextlib.AsyncExitStack, name: str, transport: ResilientTransport
) -> Callable[..., Awaitable[httpx.Response]]:
    if name == "sync transport":
        sync_client = stack.enter_context(httpx.Client(transport=transport))

        threads = stack.enter_context(concurrent.futures.ThreadPoolExecutor(32))

        def send(*args: Any, **more: Any) -> Awaitable[httpx.Response]:
            call = functools.partial(sync_client.request, *args, **more)
            return asyncio.get_running_loop().run_in_executor(threads, call)

    else:
        client = await stack.enter_async_context(httpx.AsyncClient(transport=transport))
        send = client.request

    def request(method: str, url: str, **more: Any) -> Awaitable[httpx.Response]:
        ours = {key: more.pop(key) for key in _OURS & more.keys()}
        return send(method, url, extensions={**more.pop("extensions", {}), **ours}, **more)

    return request


def states_at(inner: Any, url: str, now: float) -> dict[str, Any]:
    """Return the states of the policies of a client or a transport for a host."""
    policies = inner._prepare.policies if hasattr(inner, "handle_request") else inner._policies
    states: dict[str, Any] = policies.states_at(url.rstrip("/"), now)
    return states


_OURS = {"deadline", "idempotency_key", "resilience"}
