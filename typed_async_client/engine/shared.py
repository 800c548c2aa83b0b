"""The policies of a client with what they know of each host, shared by all its requests."""

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from typed_async_client.engine.background import Background
from typed_async_client.engine.queues import GateQueue
from typed_async_client.policies.hosts import Hosts, HostState, Scope, scope_key
from typed_async_client.policies.resilience import Resilience
from typed_async_client.policies.retry import RetryPolicy
from typed_async_client.stores import StateStore, SyncStateStore

if TYPE_CHECKING:
    from typed_async_client.attempts import Attempt

__all__ = ["Policies", "Scoped", "SharedPolicies"]

T = TypeVar("T")
StateT = TypeVar("StateT", bound=HostState)

_MAX_KINDS = 128
"""How many different options of policies are remembered: requests may bring their own."""


class Scoped(Generic[StateT]):
    """The states of one policy: one for each host, or one for the whole client.

    Args:
        start: creates the state of a host.
        scope: ``"host"`` or ``"client"``.

    Attributes:
        hosts: the states.
        shared_key: the key of the only one; None if each host has its own.
    """

    __slots__ = ("hosts", "shared_key")

    def __init__(self, start: Callable[[], StateT], scope: Scope) -> None:
        self.hosts: Hosts[StateT] = Hosts(start)
        self.shared_key: Hashable = None if scope == "host" else scope_key(scope, "")


class Policies:
    """The policies that apply to a request, with their states.

    Attributes:
        adds_headers: whether they add headers to each attempt.
        background: attempts that nobody waits for any more.
        gates: the names of those that admit an attempt, outermost first.
        is_plain: whether there is no policy but ``retry``.
        options: the options.
        retry: decides which attempts are followed by another.
        shared: the names of those whose state is in the store.
        store: keeps state for several processes; None without one.
    """

    __slots__ = (
        "_lookups",
        "adds_headers",
        "background",
        "gates",
        "is_plain",
        "options",
        "retry",
        "shared",
        "store",
    )

    def __init__(
        self,
        options: Resilience,
        states: Callable[[Any], Any],
        store: StateStore | SyncStateStore | None,
        background: Background,
    ) -> None:
        self.background: Background = background
        self.options: Resilience = options
        self.retry: RetryPolicy = options.retry or _NO_RETRIES
        self.is_plain: bool = options.is_plain
        self.adds_headers: bool = bool(options.attempt_header or options.deadline_header)
        chosen = {name: getattr(options, name) for name in (*_GATES, "budget", "hedge")}
        enabled = {name: each for name, each in chosen.items() if each is not None}
        self.store: StateStore | SyncStateStore | None = store
        self.shared: frozenset[str] = frozenset() if store is None else _SHARED & enabled.keys()
        local = {name: states(each) for name, each in enabled.items() if name not in self.shared}
        self._lookups = [(name, each.hosts, each.shared_key) for name, each in local.items()]
        self.gates: tuple[str, ...] = tuple(name for name in _GATES if name in enabled)

    def headers_of(
        self, attempt: "Attempt", key: str | None, seconds: float
    ) -> tuple[tuple[str, str], ...]:
        """Return the headers to add to those of an attempt.

        Args:
            attempt: the attempt.
            key: the idempotency key of the request; None for none.
            seconds: seconds until its deadline; infinite without one.
        """
        options, headers = self.options, []
        if key is not None:
            headers.append(("Idempotency-Key", key))
        if options.attempt_header is not None:
            headers.append((options.attempt_header, str(attempt.number)))
        if options.deadline_header is not None and seconds != math.inf:
            headers.append((options.deadline_header, f"{max(0.0, seconds):.3f}"))
        return tuple(headers)

    def states_at(self, origin: str, now: float) -> dict[str, Any]:
        """Return the states for requests to an origin, by the name of the policy."""
        states: dict[str, Any] = {}
        for name, hosts, shared_key in self._lookups:  # for every attempt: one call for each policy
            states[name] = hosts.at(origin if shared_key is None else shared_key, now)
        return states


_SHARED = frozenset({"budget", "circuit", "rate_limit"})
"""What a store keeps."""

_GATES = ("pushback", "rate_limit", "circuit", "bulkhead", "adaptive")
"""What admits an attempt, outermost first."""

_NO_RETRIES = RetryPolicy(max_retries=0, statuses=(), faults=(), retry_unprocessed=False)


class SharedPolicies:
    """The policies by their options: requests with equal options share what is known of hosts.

    Args:
        store: keeps the state of some policies for several processes; None for none.

    Attributes:
        background: attempts that nobody waits for any more; who closes the client ends them.
        store: the same.
    """

    def __init__(self, store: StateStore | SyncStateStore | None = None) -> None:
        self.background: Background = Background()
        self.store: StateStore | SyncStateStore | None = store
        self._policies: OrderedDict[Resilience, Policies] = OrderedDict()
        self._states: OrderedDict[Hashable, Scoped[Any]] = OrderedDict()

    def of(self, options: Resilience) -> Policies:
        """Return the policies with some options."""
        known = _recall(self._policies, options)
        if known is None:
            created = Policies(options, self._states_of, self.store, self.background)
            known = _remember(self._policies, options, created)
        return known

    def states_with(self, kind: type) -> list[Hosts[Any]]:
        """Return the states of the policies whose options are of that class, kept here."""
        return [each.hosts for options, each in self._states.items() if isinstance(options, kind)]

    def _states_of(self, options: Any) -> "Scoped[Any]":
        known = _recall(self._states, options)
        return _remember(self._states, options, _scoped(options)) if known is None else known


def _scoped(options: Any) -> Scoped[Any]:
    """Create the states of a policy, which queue requests if it is a gate."""
    scope: Any = getattr(options, "scope", None) or getattr(options, "per", "host")
    if not hasattr(options, "max_waiting"):
        return Scoped(options.start, scope)
    return Scoped(lambda: GateQueue(options.start()), scope)


def _recall(known: OrderedDict[Any, T], options: Hashable) -> T | None:
    found = known.get(options)
    if found is not None:
        known.move_to_end(options)
    return found


def _remember(known: OrderedDict[Any, T], options: Hashable, created: T) -> T:
    known[options] = created
    if len(known) > _MAX_KINDS:
        known.popitem(last=False)
    return created
