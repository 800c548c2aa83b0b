"""Opens connections before a request needs them, and keeps them idle in the pool.

No request is sent for this. A connection is only opened if the pool can keep it: it takes no other
connection's place, and no request waits for one.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import httpcore
import httpx

from typed_async_client.httpx_errors import map_httpcore_error
from typed_async_client.policies.checks import require_count
from typed_async_client.pool.failures import explain, is_explained
from typed_async_client.pool.queue import PoolQueue
from typed_async_client.pool.resend import key_of
from typed_async_client.pool.slot import Key, Origin, Slot
from typed_async_client.pool.slots import Slots
from typed_async_client.urls import as_url, check_server, origin_name
from typed_async_client.wire.messages import opening_request

__all__ = ["WarmUpReport", "WarmUps", "check_origin", "checked_urls"]

_CLOSED = "the connection pool was closed meanwhile"

_NOT_IDLE = "the server closed the connection, or sent something, before any request"

_SETTLING_TURNS = 4
"""Turns of the event loop after a TLS handshake: the session tickets of TLS 1.3 follow it, and unread
bytes would make the connection look as if the server had ended it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WarmUpReport:
    """What ``warm_up()`` did for one origin.

    Attributes:
        origin: scheme, host and port, without the scheme's default port.
        opened: connections opened by this call.
        missing: connections that were asked for and aren't there: after an error, or because the
            pool has no room for them.
        error: why a connection couldn't be opened, if one failed: the first error, usually an
            ``httpx.ConnectError`` or an ``httpx.ConnectTimeout``.
    """

    origin: str
    opened: int
    missing: int
    error: Exception | None = None

    @property
    def is_ready(self) -> bool:
        """Whether as many connections as asked for are open and idle; over HTTP/2, one is enough."""
        return self.missing == 0


@dataclasses.dataclass(slots=True, eq=False)
class _Plan:
    """What is to be opened for one origin, and what happened."""

    origin: str
    key: Key
    request: httpcore.Request
    missing: int = 0
    opened: int = 0
    error: Exception | None = None

    def record_opened(self, slot: Slot) -> None:
        """Count a connection; one that speaks HTTP/2 is enough."""
        self.opened += 1
        self.missing = 0 if slot.is_multiplexed else max(0, self.missing - 1)

    def record_error(self, error: Exception, slot: Slot) -> None:
        """Keep the first error, in the form of httpx, and without the frames that it comes from."""
        if self.error is None:
            explained = explain(error, self.request, slot) if is_explained(error) else error
            assert isinstance(explained, Exception)  # noqa: S101 - it has the same class
            self.error = map_httpcore_error(explained)
            if self.error is not error:
                self.error.__cause__ = error.with_traceback(None)
            self.error.__traceback__ = None


class WarmUps:
    """The connections of a pool that are being opened early.

    Args:
        slots: the slots of the pool.
        queue: the requests that wait for one.
        may_multiplex: whether a connection to an origin may serve several requests at once; then
            one connection is enough.
    """

    def __init__(
        self, slots: Slots, queue: PoolQueue, may_multiplex: Callable[[Origin], bool]
    ) -> None:
        self._is_closed = False
        self._may_multiplex = may_multiplex
        self._queue = queue
        self._slots = slots
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(
        self, urls: Iterable[httpx.URL], connections: int, timeouts: Mapping[str, float | None]
    ) -> list[WarmUpReport]:
        """Open connections to the origins of URLs, all at the same time.

        Args:
            urls: URLs of the origins.
            connections: how many idle connections each origin should have.
            timeouts: seconds for each phase, as in a request.

        Raises:
            httpx.UnsupportedProtocol: a scheme isn't supported; nothing was opened.
        """
        plans = list({plan.key: plan for plan in [_plan(url, timeouts) for url in urls]}.values())
        for plan in plans:
            plan.missing = int(max(0, connections - self._slots.ready(plan.key)))
        shareable = [plan for plan in plans if self._may_multiplex(plan.key[0])]
        await self._open_all(
            {plan: min(plan.missing, 1) if plan in shareable else plan.missing for plan in plans}
        )
        # Only those that turned out to speak HTTP/1.1 need more.
        await self._open_all({plan: plan.missing for plan in shareable if plan.error is None})
        return [
            WarmUpReport(
                origin=plan.origin, opened=plan.opened, missing=plan.missing, error=plan.error
            )
            for plan in plans
        ]

    async def aclose(self) -> None:
        """End what is being opened; the reports then say that the pool was closed."""
        self._is_closed = True
        running = asyncio.get_running_loop()
        await _end([task for task in self._tasks if task.get_loop() is running])

    async def _open_all(self, counts: Mapping[_Plan, int]) -> None:
        """Open several connections for each plan, and wait for all of them."""
        tasks = [
            asyncio.ensure_future(self._open_one(plan))
            for plan in _in_turn(counts, self._slots.room_for_idle())
        ]
        self._tasks.update(tasks)
        try:
            if tasks:
                await asyncio.wait(tasks)
        except asyncio.CancelledError:
            await _end(tasks)
            raise
        finally:
            self._tasks.difference_update(tasks)

    async def _open_one(self, plan: _Plan) -> None:
        taken = self._queue.open_early(plan.key)
        if taken is None:
            return
        slot, ticket = taken
        try:
            await slot.connection.open(plan.request)
            for _ in range(_SETTLING_TURNS):
                await asyncio.sleep(0)
        except BaseException as error:
            self._give_back(slot, ticket, is_open=False)
            if self._is_closed:
                plan.record_error(RuntimeError(_CLOSED), slot)
            if not isinstance(error, Exception):
                raise
            plan.record_error(error, slot)
        else:
            self._give_back(slot, ticket, is_open=True)
            if slot.is_closed:
                plan.record_error(httpcore.ConnectError(_NOT_IDLE), slot)
            else:
                plan.record_opened(slot)

    def _give_back(self, slot: Slot, ticket: int, *, is_open: bool) -> None:
        if is_open and self._may_multiplex(slot.origin) and not slot.is_multiplexed:
            self._slots.stop_sharing(slot)  # it speaks HTTP/1.1
        self._slots.give_back(slot, ticket, clean=is_open)
        self._queue.serve(slot.key)


def _in_turn(counts: Mapping[_Plan, int], room: int) -> list[_Plan]:
    """Return a plan for each connection: one of each plan, then the second ones, and so on.

    Args:
        counts: how many connections each plan needs.
        room: how many the pool has room for; it refuses those of the last round that exceed it.
    """
    chosen: list[_Plan] = []
    number = 0
    while number < max(counts.values(), default=0) and len(chosen) < room:
        chosen += [plan for plan, count in counts.items() if count > number]
        number += 1
    return chosen


async def _end(tasks: "Sequence[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _plan(url: httpx.URL, timeouts: Mapping[str, float | None]) -> _Plan:
    key = check_origin(url)
    return _Plan(origin_name(url), key, opening_request(_as_httpcore(url), timeouts))


def check_origin(url: httpx.URL) -> Key:
    """Return which connections a URL needs.

    Raises:
        httpx.UnsupportedProtocol: there are none for its scheme.
        ValueError: it has no host.
    """
    try:
        key = key_of(opening_request(_as_httpcore(url), {}))
    except httpcore.UnsupportedProtocol as error:
        raise map_httpcore_error(error) from None
    if not url.host:
        raise ValueError(
            f"a URL must have a host to connect to, got one with only the scheme {url.scheme!r}"
        )
    return key


def _as_httpcore(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=b"/")


def checked_urls(urls: object, connections: object) -> list[httpx.URL]:
    """Check what ``warm_up()`` was called with, and return the URLs, parsed.

    Raises:
        TypeError: ``urls`` isn't a collection of URLs.
        ValueError: ``connections`` isn't an integer >= 1, or a URL has no host.
        httpx.InvalidURL: a URL is invalid.
    """
    require_count("connections", connections, at_least=1)
    if isinstance(urls, str | bytes | httpx.URL) or not isinstance(urls, Iterable):
        raise TypeError(
            f"urls must be a collection of URLs, such as a list, got {type(urls).__name__}"
        )
    return [_checked_url(url) for url in urls]


def _checked_url(url: object) -> httpx.URL:
    if not isinstance(url, str | httpx.URL):
        raise TypeError(f"a URL must be a str or an httpx.URL, got {type(url).__name__}")
    if isinstance(url, str):
        return as_url(url)
    check_server(url)
    return url
