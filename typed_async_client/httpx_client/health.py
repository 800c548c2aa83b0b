"""Whether a client can do its work, as one frozen value that is cheap to ask for."""

import dataclasses
import enum
from collections import Counter
from collections.abc import Collection
from typing import Any

from typed_async_client.engine.circuits import open_circuits
from typed_async_client.engine.engine import Engine
from typed_async_client.policies.transitions import CircuitState
from typed_async_client.pool.slots import PoolStatistics
from typed_async_client.pool.transport import AsyncPoolTransport
from typed_async_client.private import transports_of
from typed_async_client.transports.pair import innermost

__all__ = ["ClientHealth", "HealthStatus", "health_of"]


class HealthStatus(enum.StrEnum):
    """What a client can do."""

    HEALTHY = enum.auto()  #: it sends requests, to every host
    DEGRADED = enum.auto()  #: it sends, but refuses requests to some hosts, or lets some wait
    CLOSED = enum.auto()  #: it was closed, and sends nothing any more


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientHealth:
    """The state of a client at one moment, for a health check. Nothing is sent to find it out.

    It is *degraded* if a circuit isn't closed, or if requests wait for a connection because every
    connection of a pool is in use. A client that has sent nothing yet is healthy.

    Attributes:
        status: the sum of what follows.
        is_started: whether it has started, in ``async with`` or with its first request.
        active: requests in flight.
        backlog: events that wait for their callbacks.
        pool: the counters of its connections, of all its pools together; None if it sends through
            transports that don't report any.
        circuits: the state of each circuit that isn't closed, by origin; one that serves all origins
            is named ``"*"``. None if the client has no circuit breaker, or a store keeps its state.

    Example:
        >>> AsyncResilientClient().health().status
        <HealthStatus.HEALTHY: 'healthy'>
    """

    status: HealthStatus
    is_started: bool
    active: int
    backlog: int
    pool: PoolStatistics | None
    circuits: dict[str, CircuitState] | None

    @property
    def is_healthy(self) -> bool:
        """Whether the status is ``HEALTHY``."""
        return self.status is HealthStatus.HEALTHY

    @property
    def is_closed(self) -> bool:
        """Whether the client was closed."""
        return self.status is HealthStatus.CLOSED


def health_of(engine: Engine, client: Any) -> ClientHealth:
    """Return the health of a client.

    Args:
        engine: runs its requests.
        client: the httpx client that sends them.
    """
    pool = _added([each.statistics() for each in _pools_of(client)])
    circuits = open_circuits(engine.policies)
    return ClientHealth(
        status=_status(engine, pool, circuits),
        is_started=engine.monitor.is_started,
        active=len(engine.requests),
        backlog=engine.monitor.backlog,
        pool=pool,
        circuits=circuits,
    )


def _status(
    engine: Engine, pool: PoolStatistics | None, circuits: dict[str, CircuitState] | None
) -> HealthStatus:
    if engine.is_closed:
        return HealthStatus.CLOSED
    is_exhausted = pool is not None and pool.waiting > 0  # else nobody would wait
    return HealthStatus.DEGRADED if circuits or is_exhausted else HealthStatus.HEALTHY


def _pools_of(client: Any) -> list[AsyncPoolTransport]:
    """Return our pools that a client sends through, each of them once."""
    last = (innermost(transport) for transport in transports_of(client))
    return list(dict.fromkeys(each for each in last if isinstance(each, AsyncPoolTransport)))


def _added(pools: Collection[PoolStatistics]) -> PoolStatistics | None:
    """Add the counters of several pools; None if there is none."""
    numbers: Counter[str] = Counter()
    closed: Counter[str] = Counter()
    for each in pools:
        closed.update(each.closed)
        for name in _NUMBERS:
            numbers[name] += getattr(each, name)
    return PoolStatistics(**numbers, closed=dict(closed)) if pools else None


_NUMBERS = [field.name for field in dataclasses.fields(PoolStatistics) if field.name != "closed"]
