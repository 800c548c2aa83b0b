"""How many requests a connection to an origin serves at once, as far as a pool has learned."""

import math

from typed_async_client.pool.slot import Origin

__all__ = ["StreamLimits"]

_MAX_REMEMBERED = 1000
"""Most origins that are remembered."""


class StreamLimits:
    """Remembers the limits of origins that have turned out to be lower than the requests for them.

    So no more requests join the next connection, before it is open, than it will take.
    """

    def __init__(self) -> None:
        self._limits: dict[Origin, int] = {}

    def of(self, origin: Origin) -> float:
        """Return how many requests a new connection is expected to serve at once."""
        return self._limits.get(origin, math.inf)

    def learn(self, origin: Origin, limit: int) -> None:
        """Remember a limit: 1 for HTTP/1.1, and what the server has announced for HTTP/2."""
        self._limits[origin] = limit
        if len(self._limits) > _MAX_REMEMBERED:
            del self._limits[next(iter(self._limits))]
