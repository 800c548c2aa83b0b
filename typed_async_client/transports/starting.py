"""Starts requests that pass through a transport: checks what each brings, and creates its state."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import httpx

from typed_async_client.context import RequestContext, checked_context
from typed_async_client.engine.run import Run
from typed_async_client.engine.shared import SharedPolicies
from typed_async_client.libraries import check_request
from typed_async_client.middleware import Kind
from typed_async_client.policies.classify import IDEMPOTENT, is_idempotent
from typed_async_client.policies.resilience import Resilience
from typed_async_client.record import RequestRecord
from typed_async_client.request_options import (
    OwnOptions,
    check_store,
    check_sync,
    checked_resilience,
    limits_of,
)
from typed_async_client.stores import StateStore, SyncStateStore

if TYPE_CHECKING:
    from typed_async_client.engine.callbacks import Callbacks
    from typed_async_client.engine.shared import Policies

RunT = TypeVar("RunT", bound=Run)

__all__ = ["Starting", "check_run_sync", "checked_policies", "kind_of"]

CONTEXT = "request_context"
"""Request extension: the ``RequestContext`` to use in place of a new one."""

_CONNECT_ONLY = Resilience.connect_only()

_TIMEOUT_ONLY = frozenset({"timeout"})


class Starting:
    """Creates the state of each request of one transport.

    Args:
        resilience: the policies of requests that bring none.
        defaults: the context that requests without their own start from.
        callbacks: receive the events.
        random: returns a number in [0, 1), for the jitter.
        store: keeps the state of some policies for several processes; None for none.

    Attributes:
        store: the same.
        policies: the policies of requests that bring none.
    """

    def __init__(
        self,
        resilience: Resilience,
        defaults: RequestContext,
        callbacks: "Callbacks",
        random: Callable[[], float],
        store: StateStore | SyncStateStore | None,
    ) -> None:
        self._callbacks = callbacks
        self._defaults = defaults
        self._random = random
        self._shared = SharedPolicies(store)
        self.store = store
        self.policies: Policies = self._shared.of(resilience)

    def __call__(
        self,
        request: httpx.Request,
        now: Callable[[], float],
        make_run: Callable[..., RunT] = Run,  # type: ignore[assignment]  # mypy infers no default
    ) -> RunT:
        """Check the request and what it brings; return the state that it starts in."""
        check_request(request)
        extensions = request.extensions
        policies, defaults = self.policies, self._defaults
        method = request.method
        is_safe = method in IDEMPOTENT or is_idempotent(method, request.headers.raw)
        brings_nothing = extensions.keys() <= _TIMEOUT_ONLY
        if brings_nothing and policies.is_plain and make_run is Run:  # nearly all requests
            return make_run(
                defaults.renew(),
                policies,
                now,
                self._random,
                RequestRecord(method, request.url),
                is_safe,
                self._callbacks.wanted,
            )
        own, _ = OwnOptions.split(extensions)
        if own.resilience is not None:
            policies = self._shared.of(own.resilience)
            defaults = limits_of(own.resilience, {})
        given = extensions.get(CONTEXT)
        seconds = own.deadline_of(policies.options)
        key = own.key_for(policies.options, is_idempotent=is_safe)
        return make_run(
            defaults.renew() if given is None else checked_context(given).clone(),
            policies,
            now,
            self._random,
            RequestRecord(method, request.url),
            is_safe or key is not None,
            self._callbacks.wanted,
            deadline=math.inf if seconds is None else now() + seconds,
            key=key,
            may_copy=isinstance(request.stream, httpx.ByteStream),
        )


def check_run_sync(run: Run) -> None:
    """Refuse policies that a synchronous client can't apply.

    Raises:
        TypeError: the request has such policies.
    """
    if not run.policies.is_plain or run.policies.retry.when is not None:
        check_sync(run.policies.options)


def checked_policies(resilience: Resilience | None, store: object, kind: Kind | None) -> Resilience:
    """Return the policies, if the only kind of client that a transport serves can apply them."""
    chosen = _CONNECT_ONLY if resilience is None else checked_resilience(resilience)
    check_store(store, kind)
    if kind == "sync":
        check_sync(chosen)
    return chosen


def kind_of(transport: object) -> Kind | None:
    """Return the only kind of client that a transport serves; None if it is both."""
    for_sync, for_async = (
        isinstance(transport, kind) for kind in (httpx.BaseTransport, httpx.AsyncBaseTransport)
    )
    if isinstance(transport, str) or (for_async and not for_sync):
        return "async"
    return "sync" if for_sync and not for_async else None
