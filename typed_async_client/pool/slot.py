"""One connection of a pool: where it leads, who uses it, whether it may be used again."""

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any, TypeAlias

from typed_async_client.http2.cleanup import reset_abandoned
from typed_async_client.net.stream import is_socket_readable
from typed_async_client.private import has_leftovers

if TYPE_CHECKING:
    from typed_async_client.http2.draining import FrameWatch

__all__ = ["Origin", "PoolLimits", "Slot"]

Origin: TypeAlias = tuple[bytes, bytes, int]
"""Scheme, host and port."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """The bounds of a pool.

    Attributes:
        max_connections: connections at most; None is no limit.
        max_keepalive_connections: idle connections kept at most; None is no limit.
        keepalive_expiry: seconds that a connection may be idle; None is no limit.
        max_connection_age: seconds after which a connection is used no more, within the last
            tenth of it at random; None is no limit.
    """

    max_connections: int | None = 100
    max_keepalive_connections: int | None = 20
    keepalive_expiry: float | None = 5.0
    max_connection_age: float | None = None


class Slot:
    """One connection of a pool, from its opening to its closing.

    Attributes:
        connection: httpcore's connection.
        exchanges: requests that were begun on it.
        is_closed: whether ``close()`` was called.
        number: how many connections of its pool were opened before it, and itself.
        origin: where it leads.
        users: requests that hold it now; more than one only with HTTP/2.
        watch: what watches its frames once HTTP/2 is spoken on it, None before and otherwise.
    """

    __slots__ = (
        "connection",
        "exchanges",
        "idle_until",
        "is_closed",
        "layers",
        "number",
        "origin",
        "retire_at",
        "users",
        "watch",
    )

    def __init__(self, origin: Origin, number: int, retire_at: float | None) -> None:
        self.connection: Any = None
        self.exchanges: int = 0
        self.idle_until: float | None = None
        self.is_closed: bool = False
        self.layers: list[Any] = []
        self.number: int = number
        self.origin: Origin = origin
        self.retire_at: float | None = retire_at
        self.users: int = 0
        self.watch: FrameWatch | None = None

    @property
    def received(self) -> int:
        """Bytes that have arrived on it in all."""
        return self.layers[-1].received if self.layers else 0

    @property
    def is_multiplexed(self) -> bool:
        """Whether it serves several requests at once; before it is connected nobody can know."""
        return self.watch is not None

    def reset_code(self, error: BaseException) -> int | None:
        """Give the error code that the server ended a stream with, if the error tells of one."""
        stream_id = getattr(error.args[0], "stream_id", None) if error.args else None
        return None if stream_id is None or self.watch is None else self.watch.reset_code(stream_id)

    @property
    def drains(self) -> bool:
        """Whether the server lets what is on it end, and wants no more of it."""
        return self.watch is not None and self.watch.drains

    @property
    def has_come(self) -> bool:
        """Whether the loop has seen something arrive that no exchange asked for.

        On a multiplexed connection that is word of its end; on others it is any byte.
        """
        if not self.layers:
            return False
        stream = self.layers[-1]
        return bool(self.drains or stream.has_ended if self.is_multiplexed else stream.has_news)

    @property
    def has_news(self) -> bool:
        """Whether something has arrived that no exchange asked for, in the kernel too.

        A loop that was held up has not seen yet what came meanwhile.
        """
        if self.has_come:
            return True
        if self.is_multiplexed or not self.layers:
            return False
        sock = self.layers[0].get_extra_info("socket")
        return sock is not None and is_socket_readable(sock)

    def takes_streams(self, now: float) -> bool:
        """Whether one more request may join those on a connection that is shared.

        One that is not known to speak HTTP/2 is not connected yet, and shared in hope.
        """
        if not self.is_multiplexed:
            return True
        if not self.connection.is_available() or self.is_full:
            return False
        return not (self.is_retired(now) or self.has_news)

    @property
    def is_full(self) -> bool:
        """Whether one more request would have to wait on it until another one ends."""
        most = None if self.watch is None else self.watch.most_streams
        return most is not None and self.users >= most

    def is_retired(self, now: float) -> bool:
        """Whether it has reached its age."""
        return self.retire_at is not None and now >= self.retire_at

    def is_spent(self, now: float) -> bool:
        """Whether its last exchange was its last one: nothing may be sent on it any more."""
        return (
            not self.connection.is_idle()
            or self.is_retired(now)
            or self.has_come
            or has_leftovers(self.connection)
        )

    def is_stale(self, now: float) -> bool:
        """Whether it became useless while it was idle."""
        return (
            (self.idle_until is not None and now >= self.idle_until)
            or self.is_retired(now)
            or not self.connection.is_idle()
            or self.has_news
        )

    def reset_abandoned(self) -> None:
        """Let those who hold the connection not suffer from one who has left it."""
        if self.watch is not None and self.connection.is_available():
            told = reset_abandoned(self.connection, self.watch, self.layers[-1].opener)
            self.layers[-1].write_now(told)

    def close(self) -> None:
        """Close the connection at once; never waits. One that is still made is closed then."""
        self.is_closed = True
        _run_without_waiting(self.connection.aclose())
        for stream in self.layers[::-1]:
            stream.abort()


def _run_without_waiting(farewell: Any) -> None:
    """Run a coroutine that has nothing to wait for; one that does is dropped."""
    with contextlib.suppress(StopIteration, Exception):
        farewell.send(None)
    farewell.close()
