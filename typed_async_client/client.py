"""The client, which submits each call as a request to the engine.

It builds the httpx client that sends. Errors are interpreted in ``facts.py``.
"""

import asyncio
import random as random_module
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self, Unpack

from typed_async_client.decoding.protocol import ResponseDecoder, checked_decoders
from typed_async_client.engine.engine import Engine
from typed_async_client.engine.ledger import Ledger
from typed_async_client.httpx_client.build import build_httpx_client
from typed_async_client.httpx_client.external import ExternalClient
from typed_async_client.httpx_client.lifespan import OwnClient
from typed_async_client.httpx_client.packed import PackedResponse
from typed_async_client.httpx_client.packed_error import PackedError
from typed_async_client.middleware import Middleware, checked_middleware
from typed_async_client.option_checks import check_client_options
from typed_async_client.options import HttpClient, HttpxClientOptions
from typed_async_client.policies.checks import require_count
from typed_async_client.policies.resilience import Resilience
from typed_async_client.request_options import check_store, checked_resilience, limits_of
from typed_async_client.stores import StateStore
from typed_async_client.unclosed import WarnsUnclosed
from typed_async_client.upkeep import Upkeep

__all__ = ["AsyncResilientClient"]

_CONNECT_ONLY = Resilience.connect_only()


class AsyncResilientClient(WarnsUnclosed, Upkeep):
    """An HTTP client that runs each request as a task and retries what may be retried.

    By default only connect failures are, with jittered backoff; ``resilience`` adds the policies of
    a service. What happens to a request is reported as ``AsyncEvent`` objects, and how it ended as a
    ``RequestResult``.

    Args:
        event_queue_size: events that may be queued for callbacks before submitting another
            request waits, >= 1.
        resilience: the policies of all requests, such as ``Resilience.standard()``; None for
            ``Resilience.connect_only()``, which retries connect failures and nothing else.
        store: keeps the state of rate limits, circuits and budgets for several processes, such as a
            ``RedisStore``; the caller closes it. None keeps it in this client.
        middleware: functions ``async def m(call, call_next)``, called around each request, outermost
            first; see ``Call``.
        raise_on_status: whether a response with a status of 400 or above is raised as a
            ``StatusError``, once no retry follows, instead of being returned.
        max_response_bytes: maximum size of the body of a response, decoded, in bytes, >= 0. A larger
            one isn't read to its end: its request fails with a ``ResponseTooLargeError``. None is no
            limit.
        max_encodings: maximum number of content codings of a response, >= 1. With two of them, a few
            thousand bytes can be decoded to gigabytes, and no honest server needs more than one.
        decoders: your own decoders of bodies, asked first when a request has a ``response_model``.
        max_retries: retries after the first attempt. This and the next three options apply to
            requests without their own context, and replace the numbers of the retry policy, which
            are 2 retries, 1 s, 2 and 60 s without ``resilience``.
        base_delay: seconds before the first retry.
        backoff_factor: multiplier of the delay from one retry to the next.
        max_delay: upper bound of each delay in seconds.
        max_concurrent_requests: maximum number of requests in flight; None for no limit.
        max_results: maximum number of results to keep, >= 0; the oldest are dropped first.
        max_result_bytes: maximum size of the bodies to keep with them, in bytes; beyond it, the
            oldest results lose their response.
        max_result_age: seconds to keep a result.
        grace: seconds to wait for running callbacks in ``wait_for_all_requests()`` and
            ``close()``, and for cancelled requests in ``close()``.
        random: returns a number in [0, 1), for the jitter; seed it for reproducible runs.
        http_client: your existing ``httpx.AsyncClient`` or ``httpx2.AsyncClient`` to send with. It
            keeps its options, and closing the resilient client leaves it open.
        **httpx_client_kwargs: options of ``httpx.AsyncClient``: timeout, limits, headers, ...;
            ``transport`` may also be ``"aiohttp"`` or ``"pyreqwest"``, with the extra of that name.
            Requests stay below ``base_url``, unless ``allow_absolute_urls=True`` lets them go elsewhere.
            ``redirect_headers`` names headers that follow a redirect to another origin, and
            ``allow_insecure_redirects=True`` lets a body follow one from https to http.
            Without a ``timeout`` it is 5 s to connect, read and write, and none to wait for a
            connection of our own pool. ``resend_on_closed``, ``dns_cache``, ``force_close`` and
            ``http2_keepalive`` are those of ``AsyncPoolTransport``. With ``cookie_jar=False``, the cookies of responses are
            neither kept nor sent; ``cookies`` are always sent, and then never change.

    Raises:
        ValueError: an option is out of range, or not supported by the chosen backend.
        TypeError: an option is unknown, or an entry of ``middleware`` or ``decoders`` isn't one.
        ImportError: the extra named by ``transport`` isn't installed.

    Example:
        >>> async def main() -> None:
        ...     async with AsyncResilientClient(timeout=5.0) as client:
        ...         task = await client.get("https://example.org/")
        ...         print((await task).status_code)
    """

    def __init__(
        self,
        *,
        event_queue_size: int = 1000,
        resilience: Resilience | None = None,
        store: StateStore | None = None,
        middleware: Iterable[Middleware] = (),
        raise_on_status: bool = False,
        max_response_bytes: int | None = None,
        max_encodings: int = 1,
        decoders: Iterable[ResponseDecoder] = (),
        max_retries: int | None = None,
        base_delay: float | None = None,
        backoff_factor: float | None = None,
        max_delay: float | None = None,
        max_concurrent_requests: int | None = None,
        max_results: int = 10_000,
        max_result_bytes: int = 64 * 2**20,
        max_result_age: float = 3600.0,
        grace: float = 1.0,
        random: Callable[[], float] = random_module.random,
        http_client: HttpClient | None = None,
        **httpx_client_kwargs: Unpack[HttpxClientOptions],
    ) -> None:
        check_client_options(httpx_client_kwargs, random)
        policies = _checked_policies(resilience, store)
        given = {"max_retries": max_retries, "base_delay": base_delay}
        given |= {"backoff_factor": backoff_factor, "max_delay": max_delay}
        engine = Engine(
            _ledger(max_results, max_result_age, max_result_bytes),
            event_queue_size=event_queue_size,
            max_concurrent_requests=max_concurrent_requests,
            grace=grace,
            random=random,
            store=store,
        )
        super().__init__(
            engine,
            _sender(http_client, httpx_client_kwargs, max_encodings),
            limits_of(policies, given),
            policies,
            checked_middleware(middleware, "async"),
            raise_on_status=raise_on_status,
            max_response_bytes=max_response_bytes,
        )
        self._decoders = checked_decoders(decoders)
        self._closing: asyncio.Task[None] | None = None

    @property
    def is_closed(self) -> bool:
        """Whether ``close()`` was called."""
        return self._engine.is_closed

    @property
    def _parts(self) -> list[object]:
        """The object that sends: our own httpx client, or hooks on the user's."""
        return [self._sender]

    async def close(self) -> None:
        """Cancel every request, deliver every event, then close the connections. Idempotent.

        Once started, it runs to completion even if the caller is cancelled.

        Raises:
            RuntimeError: the client belongs to another loop, thread or process.
        """
        loop = self._engine.check_binding()
        if self._closing is None or self._closing.cancelled():
            self._closing = loop.create_task(self._close(asyncio.current_task()))
        await asyncio.shield(self._closing)

    async def _close(self, caller: "asyncio.Task[Any] | None") -> None:
        try:
            await self._engine.shut_down(caller)
        finally:
            await self._sender.leave()

    async def __aenter__(self) -> Self:
        self._engine.start()
        try:
            await self._sender.enter()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._sender.error = exc
        await self.close()


def _checked_policies(resilience: Resilience | None, store: StateStore | None) -> Resilience:
    check_store(store, "async")
    return _CONNECT_ONLY if resilience is None else checked_resilience(resilience)


def _ledger(max_results: int, max_age: float, max_bytes: int) -> Ledger:
    return Ledger(
        max_results=max_results,
        max_age=max_age,
        max_bytes=max_bytes,
        pack=PackedResponse.of,
        pack_error=PackedError.of,
    )


def _sender(
    http_client: HttpClient | None, options: HttpxClientOptions, max_encodings: int
) -> OwnClient | ExternalClient:
    """Return what sends the requests: the user's client, or else our own."""
    require_count("max_encodings", max_encodings, at_least=1)
    external = ExternalClient.of(http_client, options, max_encodings)
    return external or OwnClient(build_httpx_client(options, max_encodings))
