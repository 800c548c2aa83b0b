"""One connection of a pool: its origin, its users, and whether it can be reused."""

import contextlib
import dataclasses
import math
from typing import TYPE_CHECKING, Any, TypeAlias

from typed_async_client.net.polling import is_socket_readable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DIRECT", "Key", "Origin", "PoolLimits", "Route", "Slot"]

Origin: TypeAlias = tuple[bytes, bytes, int]
"""Scheme, host and port."""

Key: TypeAlias = tuple[Origin, str]
"""What a connection may be used for: an origin, and the server name that its TLS handshake verifies.

The name is empty unless a request names another server than the host of its URL, with the extension
``sni_hostname``.
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """The limits of a pool.

    Attributes:
        max_connections: the most connections; None is no limit.
        max_keepalive_connections: the most idle connections; None is no limit.
        keepalive_expiry: seconds that a connection may be idle; None is no limit.
        max_connection_age: seconds after which a connection isn't used any more; None is no limit.
            Each connection retires at a random time within the last tenth of it.
        force_close: whether a connection is closed after its response, instead of becoming idle.
    """

    max_connections: int | None = 100
    max_keepalive_connections: int | None = 20
    keepalive_expiry: float | None = 5.0
    max_connection_age: float | None = None
    force_close: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        """The limits that a pool of httpcore has, as its arguments."""
        names = ("max_connections", "max_keepalive_connections", "keepalive_expiry")
        return {name: getattr(self, name) for name in names}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How the connections of a pool reach their origins, for error messages.

    Attributes:
        through: what is in between, such as ``"the proxy proxy.test:3128"``; empty if nothing is.
    """

    through: str = ""


DIRECT = Route()


class Slot:
    """One connection of a pool, from opening to closing.

    Attributes:
        connection: the connection, with httpcore's interface.
        exchanges: number of requests started on it.
        expected_streams: how many requests it is expected to serve at once, before it is connected.
        idle_until: monotonic time at which it expires; None if it isn't idle, or never expires.
        is_closed: whether ``close()`` was called.
        layers: its network streams, from the socket to the outermost TLS layer; empty until it is
            connected.
        key: what it may be used for.
        on_room: called with it when it may serve more requests at once than before.
        number: its position in the order in which the pool opened connections, from 1.
        opened_early: whether it was opened before a request needed it, which counts as an exchange:
            the first request on it may find that the server has closed it meanwhile.
        retire_at: monotonic time after which it isn't reused; None is never.
        route: how it reaches its origin.
        tickets: of the requests that hold it now; more than one only with HTTP/2.
        was_cut_off: whether it was closed while requests were using it.
    """

    __slots__ = (
        "__weakref__",
        "connection",
        "exchanges",
        "expected_streams",
        "idle_until",
        "is_closed",
        "key",
        "layers",
        "number",
        "on_room",
        "opened_early",
        "retire_at",
        "route",
        "tickets",
        "was_cut_off",
    )

    def __init__(self, key: Key, number: int, retire_at: float | None) -> None:
        self.connection: Any = None
        self.exchanges: int = 0
        self.expected_streams: float = math.inf
        self.idle_until: float | None = None
        self.is_closed: bool = False
        self.key: Key = key
        self.layers: list[Any] = []
        self.number: int = number
        self.on_room: Callable[[Slot], None] | None = None
        self.opened_early: bool = False
        self.retire_at: float | None = retire_at
        self.route: Route = DIRECT
        self.tickets: set[int] = set()
        self.was_cut_off: bool = False

    @property
    def origin(self) -> Origin:
        """The origin it connects to."""
        return self.key[0]

    @property
    def users(self) -> int:
        """The number of requests that hold it now."""
        return len(self.tickets)

    @property
    def is_unused(self) -> bool:
        """Whether it was opened early and no request has used it."""
        return self.opened_early and self.exchanges == 1

    @property
    def received(self) -> int:
        """Total bytes received on it."""
        return self.layers[-1].received if self.layers else 0

    @property
    def written(self) -> int:
        """Total bytes of requests written to it, whether or not they have arrived."""
        return self.layers[-1].written if self.layers else 0

    @property
    def has_ended(self) -> bool:
        """Whether the server has closed it, or it was lost."""
        return bool(self.layers and self.layers[-1].has_ended)

    @property
    def is_open(self) -> bool:
        """Whether it holds a socket that the server hasn't closed."""
        return bool(self.layers and self.layers[-1].is_open)

    @property
    def http2(self) -> Any:
        """What speaks HTTP/2 on it; None before it is connected, and with HTTP/1.1."""
        return self.connection.http2

    @property
    def is_multiplexed(self) -> bool:
        """Whether it speaks HTTP/2; this isn't known before it is connected."""
        return self.connection.http2 is not None

    @property
    def is_draining(self) -> bool:
        """Whether it accepts no new requests, while the running ones may finish."""
        return self.is_multiplexed and not self.http2.is_available()

    @property
    def has_buffered_input(self) -> bool:
        """Whether unexpected input was received while no response was being read.

        With HTTP/2, that is the end of the connection, announced or not. With HTTP/1.1, it is any
        byte, or the end.
        """
        if not self.layers:
            return False
        stream = self.layers[-1]
        if self.is_multiplexed:
            return bool(self.is_draining or stream.has_ended)
        return bool(stream.is_readable)

    @property
    def has_pending_input(self) -> bool:
        """Whether there is unexpected input, including what is still in the kernel.

        If the event loop was blocked, it hasn't received yet what arrived meanwhile.
        """
        if self.has_buffered_input:
            return True
        if self.is_multiplexed or not self.layers:
            return False
        sock = self.layers[0].get_extra_info("socket")
        return sock is not None and is_socket_readable(sock)

    def accepts_requests(self, now: float) -> bool:
        """Whether another request may join a shared connection.

        Until it is connected, it is assumed to speak HTTP/2, with the limit of the last connection to
        its origin.
        """
        http2 = self.connection.http2
        if http2 is None:
            return len(self.tickets) < self.expected_streams
        limit = http2.max_streams
        if limit is not None and len(self.tickets) >= limit:
            return False
        is_retired = self.retire_at is not None and now >= self.retire_at
        return not is_retired and self.connection.is_available() and not self.has_ended

    def is_retired(self, now: float) -> bool:
        """Whether it has reached its maximum age."""
        return self.retire_at is not None and now >= self.retire_at

    def is_reusable(self, now: float) -> bool:
        """Whether it may be kept for another request after its last exchange has ended."""
        return self.connection.is_idle() and not (self.is_retired(now) or self.has_buffered_input)

    def is_stale(self, now: float) -> bool:
        """Whether it became unusable while it was idle."""
        return (
            (self.idle_until is not None and now >= self.idle_until)
            or self.is_retired(now)
            or not self.connection.is_idle()
            or self.has_pending_input
        )

    def __del__(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        """Close the connection of a pool that was dropped, from any thread."""
        if self.layers:
            self.layers[-1].abandon()

    def close(self) -> None:
        """Close the connection immediately, without waiting.

        If it is still connecting, its stream is closed as soon as it connects.
        """
        self.is_closed = True
        self.was_cut_off = bool(self.tickets)
        if not self.connection.is_closed():  # or httpcore would log that it is closed again
            _run_without_waiting(self.connection.aclose())
        for stream in self.layers[::-1]:
            stream.abort()


def _run_without_waiting(coroutine: Any) -> None:
    """Run a coroutine until it would have to wait, then drop it."""
    with contextlib.suppress(StopIteration, Exception):
        coroutine.send(None)
    coroutine.close()
