"""Submits requests to the engine: what a client and its views with other options have in common."""

import contextvars
import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any, Never

import httpx

from typed_async_client.context import RequestContext
from typed_async_client.downloads.downloading import Downloading
from typed_async_client.engine.circuits import CircuitControl, circuit_control
from typed_async_client.httpx_types import UseClientDefault
from typed_async_client.middleware import Middleware, checked_middleware
from typed_async_client.policies.resilience import Resilience
from typed_async_client.posting import PostsForms
from typed_async_client.request_options import checked_resilience, limits_of
from typed_async_client.spelling import check_names
from typed_async_client.streams.sse import EventStreaming
from typed_async_client.verbs import Verbs

__all__ = ["ClientView", "Submitting"]


class Submitting(EventStreaming, Downloading, Verbs, PostsForms):
    """The part of a client that submits requests; it is made from what ``Preparing`` takes."""

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
        self,
        *,
        resilience: Resilience | None = None,
        deadline: float | None = None,
        middleware: Iterable[Middleware] | None = None,
        raise_on_status: bool | None = None,
        max_response_bytes: int | UseClientDefault | None = httpx.USE_CLIENT_DEFAULT,
    ) -> "ClientView":
        """Return a view of this client whose requests have other policies or middleware by default.

        It shares everything with the client: connections, results, callbacks, the state of the
        policies. It needn't be closed.

        Args:
            resilience: the policies; None for those of the client.
            deadline: seconds that each request may take in all; None for that of the policies.
            middleware: replaces the middleware of the client; None keeps it.
            raise_on_status: whether a status of 400 or above is raised; None keeps what the client
                says.
            max_response_bytes: bytes of the decoded body of each response, at most; None is no limit.
                If it isn't given, that of the client applies.

        Raises:
            ValueError: ``deadline`` isn't a number > 0, or ``max_response_bytes`` no integer >= 0.
            TypeError: ``resilience`` isn't a ``Resilience``, or an entry isn't a middleware.

        Example:
            >>> client = AsyncResilientClient()
            >>> reports = client.with_options(resilience=Resilience.standard(), deadline=300.0)
        """
        chosen = self._policies.options if resilience is None else checked_resilience(resilience)
        if deadline is not None:
            chosen = dataclasses.replace(chosen, deadline=deadline)
        defaults = self._defaults if resilience is None else limits_of(chosen, {})
        own = self._middleware
        if middleware is not None:
            own = checked_middleware(middleware, "async")
        raises = self._raise_on_status if raise_on_status is None else raise_on_status
        limit = self._max_response_bytes
        if not isinstance(max_response_bytes, UseClientDefault):
            limit = max_response_bytes
        view = ClientView(
            self._engine,
            self._sender,
            defaults,
            chosen,
            own,
            raise_on_status=raises,
            max_response_bytes=limit,
        )
        view._decoders = self._decoders  # noqa: SLF001 - of its own kind
        view._viewed = self  # noqa: SLF001 - of its own kind
        return view


class ClientView(Submitting):
    """A client with other policies or middleware, as ``client.with_options()`` returns it.

    It makes requests as the client does, and has views of its own. It keeps the client, which is the one
    to close. You don't create it yourself; you name it as the type of a parameter.

    Example:
        >>> async def report(client: AsyncResilientClient | ClientView) -> httpx.Response:
        ...     return await client.request("GET", "https://example.org/report")
    """

    _viewed: Submitting
