"""Submits requests to the engine: what a client and its views with other options have in common."""

import asyncio
import contextvars
import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Never, Unpack

import httpx

from typed_async_client.context import RequestContext, checked_context
from typed_async_client.engine.circuits import CircuitControl, circuit_control
from typed_async_client.engine.engine import Engine
from typed_async_client.engine.in_flight import ResponseTask
from typed_async_client.engine.run import Run
from typed_async_client.errors import DeadlineExceededError
from typed_async_client.facts import raw_headers
from typed_async_client.httpx_client.external import ExternalClient
from typed_async_client.httpx_client.lifespan import OwnClient
from typed_async_client.httpx_client.sending import RequestSender
from typed_async_client.options import RequestOptions, may_copy, snapshot
from typed_async_client.policies.classify import IDEMPOTENT, is_idempotent
from typed_async_client.policies.resilience import Resilience
from typed_async_client.record import RequestRecord
from typed_async_client.reporting import Reporting
from typed_async_client.request_options import OwnOptions, checked_resilience, limits_of
from typed_async_client.spelling import check_names
from typed_async_client.verbs import Verbs, checked_method

if TYPE_CHECKING:
    from typed_async_client.engine.shared import Policies

__all__ = ["Submitting"]


class Submitting(Reporting, Verbs):
    """The part of a client that submits requests.

    Args:
        engine: runs the requests.
        sender: the httpx client that sends them.
        defaults: the context that requests without their own start from.
        resilience: the policies of requests that bring none.
    """

    def __init__(
        self,
        engine: Engine,
        sender: OwnClient | ExternalClient,
        defaults: RequestContext,
        resilience: Resilience,
    ) -> None:
        super().__init__(engine)
        self._sender = sender
        self._client: Any = sender.client
        self._defaults = defaults
        self._policies: Policies = engine.policies.of(resilience)

    async def request_async(
        self,
        method: str,
        url: httpx.URL | str,
        context: RequestContext | None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask:
        """Submit a request. Awaiting this admits it; awaiting the returned task completes it.

        Admission waits while ``max_concurrent_requests`` requests are in flight, or while more
        than ``event_queue_size`` events are waiting for their callbacks.

        Args:
            method: the HTTP method, in upper or lower case; any token is one, such as PROPFIND.
            url: the URL.
            context: the request's id and retry limits; defaults to a random id and the client's
                limits.
            **options: options of ``httpx.AsyncClient.request``. Those not given aren't passed on.
                Mutable values are copied here, so that each attempt sends the same request. Ours
                are ``resilience``, the policies of this request; ``deadline``, the seconds that it
                may take in all; and ``idempotency_key``, a header that lets a server recognize a
                request that it receives twice, so that any method may be retried.

        Returns:
            The task of the request. Its result is the ``httpx.Response``; cancelling it
            cancels the request.

        Raises:
            ValueError: the method isn't a token (RFC 9110), or the context has no attempts left.
            TypeError: an option is unknown, or a body can't be sent.
            RuntimeError: the client is closed, or belongs to another loop, thread or process.
        """
        run, sender = self._prepare(checked_method(method), url, context, options)
        self._engine.start()
        if not self._sender.is_entered:
            await self._initialize_client()
        if not self._engine.can_launch_now:
            await self._admission(run)
        return self._engine.launch(run, sender)

    async def request(
        self,
        method: str,
        url: httpx.URL | str,
        context: RequestContext | None = None,
        **options: Unpack[RequestOptions],
    ) -> httpx.Response:
        """Submit a request and wait for its response: ``request_async()`` in one ``await``.

        Args:
            method: the HTTP method.
            url: the URL.
            context: the request's id and retry limits.
            **options: options of ``httpx.AsyncClient.request``.

        Raises:
            Exception: whatever ``request_async()`` or the request itself raises.

        Example:
            >>> async def main() -> None:
            ...     async with AsyncResilientClient() as client:
            ...         print((await client.request("GET", "https://example.org/")).text)
        """
        return await (await self.request_async(method, url, context, **options))

    def new_context(
        self,
        request_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        max_retries: int | None = None,
        base_delay: float | None = None,
        backoff_factor: float | None = None,
        max_delay: float | None = None,
        **unknown: Never,
    ) -> RequestContext:
        """Return a context with this client's retry limits, except where you pass others.

        ``RequestContext()`` has the defaults of its class instead of the client's limits.

        Args:
            request_id: the id of the request; random by default.
            metadata: anything you want to attach to the request.
            max_retries: retries after the first attempt, >= 0.
            base_delay: seconds before the first retry.
            backoff_factor: multiplier of the delay from one retry to the next.
            max_delay: upper bound of each delay in seconds.
            **unknown: refused, with the name that was probably meant.

        Raises:
            ValueError: a value is out of range.
            TypeError: an argument is unknown.

        Example:
            >>> client = AsyncResilientClient(max_retries=1)
            >>> client.new_context("orders-17", base_delay=0.2).max_retries
            1
        """
        chosen: dict[str, Any] = {
            "request_id": request_id,
            "max_retries": max_retries,
            "base_delay": base_delay,
            "backoff_factor": backoff_factor,
            "max_delay": max_delay,
            "metadata": metadata,
        }
        check_names("new_context() argument", unknown, chosen)
        given = {name: value for name, value in chosen.items() if value is not None}
        return dataclasses.replace(self._defaults.renew(), **given)

    def circuit(self, origin: str) -> CircuitControl:
        """Return the circuit of a host, to look at it, or to open and close it by hand.

        Args:
            origin: scheme, name and port of the host, as in ``https://api.example.org``.

        Raises:
            ValueError: the client has no circuit breaker, or a store keeps its state.
        """
        engine = self._engine
        publish = functools.partial(engine.monitor.publish, caller=contextvars.copy_context())
        return circuit_control(self._policies, origin, engine.now(), publish)

    def with_options(
        self, *, resilience: Resilience | None = None, deadline: float | None = None
    ) -> "ClientView":
        """Return a view of this client whose requests have other policies by default.

        It shares everything with the client: connections, results, callbacks, the state of the
        policies. It needn't be closed.

        Args:
            resilience: the policies; None for those of the client.
            deadline: seconds that each request may take in all; None for that of the policies.

        Raises:
            ValueError: ``deadline`` isn't a number > 0.
            TypeError: ``resilience`` isn't a ``Resilience``.

        Example:
            >>> client = AsyncResilientClient()
            >>> reports = client.with_options(resilience=Resilience.standard(), deadline=300.0)
        """
        chosen = self._policies.options if resilience is None else checked_resilience(resilience)
        if deadline is not None:
            chosen = dataclasses.replace(chosen, deadline=deadline)
        defaults = self._defaults if resilience is None else limits_of(chosen, {})
        view = ClientView(self._engine, self._sender, defaults, chosen)
        view._origin = self  # noqa: SLF001 - of its own kind
        return view

    def _prepare(
        self,
        method: str,
        url: httpx.URL | str,
        context: RequestContext | None,
        options: Mapping[str, Any],
    ) -> tuple[Run, RequestSender]:
        """Check what the caller passed; return the state of the request, and what sends it."""
        engine, policies, defaults = self._engine, self._policies, self._defaults
        if not options and policies.is_plain:  # nearly every request of a plain client
            record = RequestRecord(method, url, None, self._client)
            run = Run(
                defaults.renew() if context is None else checked_context(context).clone(),
                policies,
                engine.now,
                engine.random,
                record,
                method in IDEMPOTENT,
                engine.callbacks.wanted,
            )
            return run, RequestSender(self._sender, record, url, _NOTHING, self)
        own, given = OwnOptions.split(options)
        chosen = snapshot(given, self._client)
        if own.resilience is not None:
            policies = engine.policies.of(own.resilience)
            defaults = limits_of(own.resilience, {})
        record = RequestRecord(method, url, chosen.get("params"), self._client)
        headers = chosen.get("headers")
        is_safe = is_idempotent(method) or (
            headers is not None and is_idempotent(method, raw_headers(headers))
        )
        key = own.key_for(policies.options, is_idempotent=is_safe)
        seconds = own.deadline_of(policies.options)
        run = Run(
            defaults.renew() if context is None else checked_context(context).clone(),
            policies,
            engine.now,
            engine.random,
            record,
            is_safe or key is not None,
            engine.callbacks.wanted,
            deadline=math.inf if seconds is None else engine.now() + seconds,
            key=key,
            may_copy=policies.hedge is not None and may_copy(chosen),
        )
        return run, RequestSender(self._sender, record, url, chosen, self)

    async def _admission(self, run: Run) -> None:
        """Wait until the request may be launched, at most until its deadline.

        Raises:
            DeadlineExceededError: there is no room before the deadline.
        """
        until = None if run.deadline == math.inf else run.deadline
        try:
            async with asyncio.timeout_at(until) as limit:
                await self._engine.wait_for_admission()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise DeadlineExceededError(
                f"{run.record.method}: the deadline passed before the client had room for the "
                "request: raise max_concurrent_requests, or submit fewer at a time"
            ) from error

    async def _initialize_client(self) -> None:
        self._engine.start()
        await self._sender.enter()
        self._engine.start()  # raises if the client was closed in the meantime


class ClientView(Submitting):
    """A client with other policies by default, made by ``with_options()``; it keeps the client."""

    _origin: Submitting


_NOTHING: dict[str, Any] = {}
