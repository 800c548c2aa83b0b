"""One state per host, for a bounded number of hosts.

Pure: the time is an argument. The host used least recently is forgotten first, but never while a
permit, a ticket or a waiter of it is in use.
"""

import enum
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Final, Generic, Literal, Protocol, TypeVar

from typed_async_client.policies.checks import require_count

__all__ = ["DEFAULT_MAX_HOSTS", "HostState", "Hosts", "Retention", "Scope", "scope_key"]

DEFAULT_MAX_HOSTS: Final = 1000

Scope = Literal["client", "host"]
"""Whether one limit holds for everything that a client sends, or one for each host."""

_WHOLE_CLIENT: Final = ""

_LOOKED_AT: Final = 16
"""How many of the least recently used hosts an eviction looks at, so that it takes constant time."""


class Retention(enum.Enum):
    """How much would be lost if the state of a host were forgotten."""

    DISPOSABLE = enum.auto()  #: nothing: a new state would behave the same, or nearly
    USEFUL = enum.auto()  #: what was learnt, such as that a circuit is open
    REQUIRED = enum.auto()  #: a permit, a ticket or a waiter in use, or the caller's own decision


class HostState(Protocol):
    """What ``Hosts`` must know of a state."""

    def retention(self, now: float) -> Retention:
        """Return how much would be lost if this state were forgotten at ``now``."""


StateT = TypeVar("StateT", bound=HostState)


def scope_key(scope: Scope, origin: Hashable) -> Hashable:
    """Return the key under which ``Hosts`` keeps the state for a request to ``origin``.

    Args:
        scope: whether the state is one for the whole client, or one for each host.
        origin: identifies the host; any value but None.
    """
    return origin if scope == "host" else _WHOLE_CLIENT


class Hosts(Generic[StateT]):
    """The states of hosts by key, at most ``max_hosts`` of them unless more are in use.

    Only hosts with requests in flight can exceed the limit, so the number of those bounds it.

    Args:
        create: creates the state of a host that isn't known, or was forgotten.
        max_hosts: how many hosts are remembered, >= 1.

    Raises:
        ValueError: ``max_hosts`` isn't an integer >= 1.

    Example:
        >>> circuits = Hosts(CircuitBreaker().start)
        >>> circuits.at("https://example.org", now=0.0) is circuits.at("https://example.org", now=1.0)
        True
    """

    __slots__ = ("_create", "_max_hosts", "_states")

    def __init__(self, create: Callable[[], StateT], *, max_hosts: int = DEFAULT_MAX_HOSTS) -> None:
        require_count("max_hosts", max_hosts, at_least=1)
        self._create = create
        self._max_hosts = max_hosts
        self._states: OrderedDict[Hashable, StateT] = OrderedDict()

    def __len__(self) -> int:
        """Return how many hosts are remembered."""
        return len(self._states)

    def __iter__(self) -> Iterator[tuple[Hashable, StateT]]:
        """Return the keys and states, those used least recently first."""
        return iter(self._states.items())

    def at(self, key: Hashable, now: float) -> StateT:
        """Return the state of a host, which becomes the one used most recently.

        Args:
            key: any value but None: the origin, or what ``scope_key()`` returns.
            now: monotonic seconds.
        """
        state = self._states.get(key)
        if state is None:
            return self._add(key, now)
        self._states.move_to_end(key)
        return state

    def _add(self, key: Hashable, now: float) -> StateT:
        state = self._create()
        while len(self._states) >= self._max_hosts:
            victim = self._dispensable(now)
            if victim is None:
                break
            del self._states[victim]
        self._states[key] = state
        return state

    def _dispensable(self, now: float) -> Hashable | None:
        """Return the most dispensable of the hosts used least recently; None if all are in use."""
        useful = None
        for key in [key for key, _ in zip(self._states, range(_LOOKED_AT), strict=False)]:
            retention = self._states[key].retention(now)
            if retention is Retention.DISPOSABLE:
                return key
            if retention is Retention.REQUIRED:
                self._states.move_to_end(key)  # it is being used now
            elif useful is None:
                useful = key
        return useful
