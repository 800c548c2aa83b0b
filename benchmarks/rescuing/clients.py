"""The clients of ``rescue.py``: ours, and peers configured as their documentation shows.

Each gets three attempts and the same timeouts; the rest is its default. Each function imports its
library itself.
"""

import contextlib
import dataclasses
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx

from rescuing.faults import ATTEMPTS, Request

__all__ = ["RESCUERS", "Ask", "Rescuer", "missing"]

Ask = Callable[[Request], Awaitable[bytes]]
"""Sends a request; returns the body of its answer, or raises."""

Opener = Callable[[str, float], contextlib.AbstractAsyncContextManager[Ask]]
"""Opens a client for a URL, with a timeout in seconds for each wait."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rescuer:
    """One row of the comparison.

    Attributes:
        name: the name of the row.
        description: how it is configured.
        opener: opens the client.
        requires: modules that must be installed.
        is_ours: whether it is this library's client.
    """

    name: str
    description: str
    opener: Opener
    requires: tuple[str, ...] = ()
    is_ours: bool = False


def missing(rescuer: Rescuer) -> list[str]:
    """Return the modules that it needs and that aren't installed."""
    return [module for module in rescuer.requires if not importlib.util.find_spec(module)]


def _headers(request: Request) -> dict[str, str]:
    return {} if request.key is None else {"Idempotency-Key": request.key}


def _asking(send: Callable[..., Awaitable[Any]], url: str) -> Ask:
    """Return what sends with the ``request()`` of a client, and raises for a status."""

    async def ask(request: Request) -> bytes:
        target = f"{url}/{request.number}"
        response = await send(request.method, target, headers=_headers(request))
        response.raise_for_status()
        body: bytes = response.content
        return body

    return ask


def _ours(**changes: Any) -> Opener:
    @contextlib.asynccontextmanager
    async def opened(url: str, wait: float) -> AsyncIterator[Ask]:
        from typed_async_client import AsyncResilientClient, Resilience

        policies = dataclasses.replace(Resilience.standard(), **changes)
        async with AsyncResilientClient(resilience=policies, timeout=wait) as client:
            yield _asking(client.request, url)

    return opened


@contextlib.asynccontextmanager
async def _httpx_retries(url: str, wait: float) -> AsyncIterator[Ask]:
    from httpx_retries import Retry, RetryTransport

    transport = RetryTransport(retry=Retry(total=ATTEMPTS - 1, backoff_factor=0.5))
    async with httpx.AsyncClient(transport=transport, timeout=wait) as client:
        yield _asking(client.request, url)


@contextlib.asynccontextmanager
async def _stamina(url: str, wait: float) -> AsyncIterator[Ask]:
    import stamina

    async with httpx.AsyncClient(timeout=wait) as client:
        yield stamina.retry(on=httpx.HTTPError, attempts=ATTEMPTS)(_asking(client.request, url))


@contextlib.asynccontextmanager
async def _careful_stamina(url: str, wait: float) -> AsyncIterator[Ask]:
    async with _stamina(url, wait) as retried, httpx.AsyncClient(timeout=wait) as client:
        once = _asking(client.request, url)

        async def ask(request: Request) -> bytes:
            is_safe = request.method == "GET" or request.key is not None
            return await (retried if is_safe else once)(request)

        yield ask


@contextlib.asynccontextmanager
async def _tenacity(url: str, wait: float) -> AsyncIterator[Ask]:
    import tenacity

    retrying = tenacity.retry(
        retry=tenacity.retry_if_exception_type(httpx.HTTPError),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_exponential_jitter(),
        reraise=True,
    )
    async with httpx.AsyncClient(timeout=wait) as client:
        yield retrying(_asking(client.request, url))


@contextlib.asynccontextmanager
async def _aiohttp_retry(url: str, wait: float) -> AsyncIterator[Ask]:
    import aiohttp
    import aiohttp_retry

    session = aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(sock_connect=wait, sock_read=wait)
    )
    options = aiohttp_retry.ExponentialRetry(attempts=ATTEMPTS)
    async with aiohttp_retry.RetryClient(
        client_session=session, retry_options=options, raise_for_status=True
    ) as client:

        async def ask(request: Request) -> bytes:
            target = f"{url}/{request.number}"
            async with client.request(
                request.method, target, headers=_headers(request)
            ) as response:
                body: bytes = await response.read()
                return body

        yield ask


def _httpware(*, has_circuit: bool) -> Opener:
    @contextlib.asynccontextmanager
    async def opened(url: str, wait: float) -> AsyncIterator[Ask]:
        import httpware
        import httpx2

        middleware: list[Any] = [httpware.AsyncRetry()]
        if has_circuit:
            middleware.append(httpware.AsyncCircuitBreaker())
        inner = httpx2.AsyncClient(timeout=wait)
        async with (
            inner,
            httpware.AsyncClient(httpx2_client=inner, middleware=middleware) as client,
        ):
            yield _asking(client.request, url)

    return opened


RESCUERS = (
    Rescuer("typed_async_client", "Resilience.standard()", _ours(), is_ours=True),
    Rescuer(
        "typed_async_client, keys",
        "the same, with automatic_key=True",
        _ours(automatic_key=True),
        is_ours=True,
    ),
    Rescuer(
        "httpx-retries",
        "httpx with RetryTransport, backoff_factor=0.5",
        _httpx_retries,
        ("httpx_retries",),
    ),
    Rescuer(
        "stamina + httpx",
        "stamina.retry(on=httpx.HTTPError) around each request",
        _stamina,
        ("stamina",),
    ),
    Rescuer(
        "stamina, POSTs left out",
        "the same, for GETs and POSTs with a key only",
        _careful_stamina,
        ("stamina",),
    ),
    Rescuer(
        "tenacity + httpx",
        "tenacity.retry around each request, wait_exponential_jitter()",
        _tenacity,
        ("tenacity",),
    ),
    Rescuer("aiohttp-retry", "RetryClient, ExponentialRetry", _aiohttp_retry, ("aiohttp_retry",)),
    Rescuer("httpware", "AsyncRetry()", _httpware(has_circuit=False), ("httpware",)),
    Rescuer(
        "httpware, circuit breaker",
        "AsyncRetry(), AsyncCircuitBreaker()",
        _httpware(has_circuit=True),
        ("httpware",),
    ),
)
