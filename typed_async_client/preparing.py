"""Prepares requests: checks what the caller passed, and creates the state that the engine runs."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import httpx

from typed_async_client.context import RequestContext, checked_context
from typed_async_client.copies import copy_option
from typed_async_client.decoding.choice import ResponseDecoding, decoding_for
from typed_async_client.decoding.protocol import ResponseDecoder
from typed_async_client.engine.around import CallRun, around_flow
from typed_async_client.engine.chains import AsyncChain
from typed_async_client.engine.engine import Engine
from typed_async_client.engine.run import Run
from typed_async_client.facts import raw_headers
from typed_async_client.httpx_client.calls import ClientCalls
from typed_async_client.httpx_client.external import ExternalClient
from typed_async_client.httpx_client.lifespan import OwnClient
from typed_async_client.httpx_client.sending import RequestSender
from typed_async_client.httpx_client.streaming import StreamSender
from typed_async_client.httpx_client.targets import Targets
from typed_async_client.methods import checked_method
from typed_async_client.middleware import Call, Middleware
from typed_async_client.option_checks import may_copy, snapshot
from typed_async_client.policies.checks import require_bool, require_count
from typed_async_client.policies.classify import IDEMPOTENT, is_idempotent
from typed_async_client.policies.resilience import Resilience
from typed_async_client.pool.body_cap import MAX_RESPONSE_BYTES
from typed_async_client.record import RequestRecord
from typed_async_client.reporting import Reporting
from typed_async_client.request_options import OwnOptions, limits_of

if TYPE_CHECKING:
    from typed_async_client.engine.in_flight import Around
    from typed_async_client.engine.shared import Policies
    from typed_async_client.engine.steps import Flow

__all__ = ["Preparing", "copy_options"]


class Preparing(Reporting):
    """The part of a client that prepares requests.

    Args:
        engine: runs the requests.
        sender: the httpx client that sends them.
        defaults: the context that requests without their own start from.
        resilience: the policies of requests that bring none.
        middleware: what is called around each request, outermost first.
        raise_on_status: whether a status of 400 or above is raised.
        max_response_bytes: bytes of the decoded body of a response, at most; None is no limit.
    """

    _decoders: tuple[ResponseDecoder, ...] = ()
    """The caller's own."""

    def __init__(
        self,
        engine: Engine,
        sender: OwnClient | ExternalClient,
        defaults: RequestContext,
        resilience: Resilience,
        middleware: Sequence[Middleware] = (),
        *,
        raise_on_status: bool = False,
        max_response_bytes: int | None = None,
    ) -> None:
        super().__init__(engine)
        self._sender = sender
        self._client: Any = sender.client
        self._targets = Targets(self._client)
        self._defaults = defaults
        self._middleware: tuple[Middleware, ...] = tuple(middleware)
        self._policies: Policies = engine.policies.of(resilience)
        require_bool("raise_on_status", raise_on_status)
        self._raise_on_status = raise_on_status
        require_count("max_response_bytes", max_response_bytes, or_none=True)
        self._max_response_bytes = max_response_bytes
        self._options_if_plain = self._limited({}, OwnOptions())
        self._is_plain = self._policies.is_plain and not raise_on_status

    def _prepare(  # noqa: PLR0917 - called for every request
        self,
        method: str,
        url: httpx.URL | str,
        context: RequestContext | None,
        options: Mapping[str, Any],
        make_run: Callable[..., Run] = Run,
        make_sender: Callable[..., RequestSender] = RequestSender,
    ) -> tuple[Run, RequestSender]:
        """Check what the caller passed; return the state of the request, and what sends it."""
        engine, policies, defaults = self._engine, self._policies, self._defaults
        client = self._client
        if not self._targets.accepts(url):
            url, options, client = self._targets.adapt(url, options)
        if not options and self._is_plain:  # nearly every request of a plain client
            record = RequestRecord(method, url, None, client)
            run = make_run(
                defaults.renew() if context is None else checked_context(context).clone(),
                policies,
                engine.now,
                engine.random,
                record,
                method in IDEMPOTENT,
                engine.callbacks.wanted,
            )
            return run, make_sender(self._sender, record, url, self._options_if_plain, self)
        own, given = OwnOptions.split(options)
        chosen = self._limited(snapshot(given, self._client), own)
        if own.resilience is not None:
            policies, defaults = self._policies_of(own.resilience)
        record = RequestRecord(method, url, chosen.get("params"), client)
        is_safe = _is_safe(method, chosen.get("headers"))
        key = own.key_for(policies.options, is_idempotent=is_safe)
        seconds = own.deadline_of(policies.options)
        run = make_run(
            defaults.renew() if context is None else checked_context(context).clone(),
            policies,
            engine.now,
            engine.random,
            record,
            is_safe or key is not None,
            engine.callbacks.wanted,
            deadline=math.inf if seconds is None else engine.now() + seconds,
            key=key,
            may_copy=policies.options.hedge is not None and may_copy(chosen),
            client=self._client,
            raise_on_status=own.raises_status(default=self._raise_on_status),
            decode=self._decoding_of(own.response_model),
        )
        return run, make_sender(self._sender, record, url, chosen, self)

    def _decoding_of(self, model: Any) -> ResponseDecoding | None:
        return None if model is None else decoding_for(model, self._decoders)

    def _policies_of(self, resilience: Resilience) -> "tuple[Policies, RequestContext]":
        """Return the policies that a request brings, and the context that it starts from."""
        return self._engine.policies.of(resilience), limits_of(resilience, {})

    def _limited(self, options: dict[str, Any], own: OwnOptions) -> dict[str, Any]:
        """Return the options of a request, with the limit on the body of its response, if any."""
        limit = own.response_limit(default=self._max_response_bytes)
        if limit is None:
            return options
        if isinstance(self._sender, ExternalClient) and not self._sender.has_hooks:
            raise ValueError(
                f"max_response_bytes={limit} needs an http_client with event_hooks, such as an "
                f"httpx.AsyncClient: {type(self._client).__name__} has none, so that its responses "
                "can't be limited before they are read"
            )
        extensions = {**(options.get("extensions") or {}), MAX_RESPONSE_BYTES: limit}
        return {**options, "extensions": extensions}

    def _around(
        self, run: Run, url: httpx.URL | str, options: Mapping[str, Any], *, streams: bool = False
    ) -> "Around":
        """Return what calls the middleware around a request.

        Args:
            run: the state of the request.
            url: the URL, as it was passed.
            options: the options that it was given, copied.
            streams: whether its response is streamed.
        """
        if run.key is not None:
            options = {**options, "idempotency_key": run.key}  # each call sends the same
        if run.decode is not None:  # the response that the request ends with is decoded
            options = {**options, "raise_on_status": run.raise_on_status}
            del options["response_model"]
        url, options, _ = self._targets.adapt(url, options)  # no middleware needs to see a password
        context, resilience = run.context, run.policies.options
        call = Call(run.record.method, url, context, options, resilience, run.deadline, run.now)
        prepare = functools.partial(self._prepare_call, run, streams=streams)
        calls = ClientCalls(run, self._client, prepare, streams=streams)

        def around(publish: Callable[[Any], None]) -> "Flow[httpx.Response]":
            return around_flow(run, AsyncChain(run, self._middleware, calls, publish), call)

        return around

    def _prepare_call(
        self, run: Run, call: Call, *, streams: bool
    ) -> tuple[CallRun, RequestSender]:
        if "response_model" in call.options:
            raise TypeError(
                "call_next returns a response, so a call has no response_model: decode the response, "
                "or pass response_model to the request"
            )
        prepared = self._prepare(
            checked_method(call.method),
            call.url,
            call.context,
            call.options,
            functools.partial(CallRun, run),
            StreamSender if streams else RequestSender,
        )
        prepared[1].serve(prepared[0])
        return cast("tuple[CallRun, RequestSender]", prepared)


def _is_safe(method: str, headers: Any) -> bool:
    """Whether a request may be sent twice: because of its method, or of one of its headers."""
    if is_idempotent(method) or headers is None:
        return is_idempotent(method)
    return is_idempotent(method, raw_headers(headers))


def copy_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the options of a request as they were passed, bodies not encoded, for its middleware."""
    return {name: copy_option(name, value) for name, value in options.items()}
