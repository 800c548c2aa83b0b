"""A fault on a real socket as a row of a table, and the play that finds out what comes of it.

It owns the meaning of a row. The rows themselves stand in the tests that play them.
"""

import asyncio
import dataclasses
import functools
import pickle
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from tls_contexts import trusting

from typed_async_client import (
    AsyncEvent,
    AsyncResilientClient,
    EventType,
    RequestContext,
    RequestResult,
)
from typed_async_client.testing import FaultServer, answer
from typed_async_client.testing.server import Handler

__all__ = [
    "BODY",
    "Ending",
    "Row",
    "answered",
    "endless_body",
    "every_case",
    "play",
    "through_proxy",
    "timed_out",
    "unreached",
    "uploading",
]

BODY = b"0123456789"


async def endless_body() -> AsyncIterator[bytes]:
    """Give zeros for ever."""
    while True:
        yield bytes(65536)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What came of one request, as its caller, its watchers and the server saw it.

    Attributes:
        raised: exact type of the error that reached the caller; None for a response.
        foreign_cause: type of the error behind it, when httpx, httpcore and its h11 did not make it.
        events: kinds of the events, in order.
        status: what the result says.
        attempts: how many the result counts.
        connects: TCP connections that were begun, as httpcore's trace tells.
        accepted: connections that the server accepted, past their TLS handshake if any.
        read: requests that the server read to their end.
        is_one_error: whether caller, result and terminal event hold the very same error.
        survives_pickling: whether the error comes back from pickle with its type and its words.
    """

    raised: type[BaseException] | None
    foreign_cause: type[BaseException] | None
    events: tuple[str, ...]
    status: str
    attempts: int
    connects: int
    accepted: int
    read: int
    is_one_error: bool = True
    survives_pickling: bool = True


Prelude = Callable[[AsyncResilientClient, FaultServer], Awaitable[None]]


async def _nothing(client: AsyncResilientClient, server: FaultServer) -> None:
    """Begin with the request of the row at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One fault, and what must come of a request that meets it.

    Attributes:
        name: the fault in a few words.
        raises: exact type of the error; None where a response arrives.
        cause: type of the error behind it, when httpx, httpcore and its h11 did not make it.
        kind: the terminal event, and by it the status of the result.
        attempts: 3 where the fault is retried, else 1.
        connects: connections begun; as many as attempts unless said.
        accepted: connections accepted by the server.
        read: requests read by the server.
        handler: what the server does with a connection.
        tls: makes the server's side of TLS; None for a plain server.
        refusing: whether the server's port refuses connections.
        trust: makes the client's side of TLS.
        proxied: whether the server is the client's proxy instead of the origin.
        url: the address, where ``{url}`` and ``{port}`` are the server's.
        methods: the methods to play it with.
        client: further options of the client.
        timeout: how long the request waits for the server.
        request: makes further options of the request, anew for each play.
        prelude: what happens with client and server before the request.
        pickles: whether the error must come back from pickle; all must but those that httpx
            itself cannot rebuild.
    """

    name: str
    raises: type[Exception] | None
    _: dataclasses.KW_ONLY
    cause: type[BaseException] | None = None
    kind: EventType = EventType.ERROR
    attempts: int = 1
    connects: int | None = None
    accepted: int = 1
    read: int = 1
    handler: Handler = dataclasses.field(default_factory=answer)
    tls: Callable[[], ssl.SSLContext] | None = None
    refusing: bool = False
    trust: Callable[[], ssl.SSLContext] = trusting
    proxied: bool = False
    url: str = "{url}"
    methods: tuple[str, ...] = ("GET", "POST")
    client: dict[str, Any] = dataclasses.field(default_factory=dict)
    timeout: float = 20.0
    request: Callable[[], dict[str, Any]] = dict
    prelude: Prelude = _nothing
    pickles: bool = True

    @property
    def ending(self) -> Ending:
        """What must come of the request."""
        return Ending(
            raised=self.raises,
            foreign_cause=self.cause,
            events=("retry",) * (self.attempts - 1) + (self.kind.value,),
            status=self.kind.value,
            attempts=self.attempts,
            connects=self.attempts if self.connects is None else self.connects,
            accepted=self.accepted,
            read=self.read,
            survives_pickling=self.pickles,
        )


def every_case(rows: tuple[Row, ...]) -> dict[str, tuple[Row, str]]:
    """Pair each row with each of its methods; the key is a readable name for the pair."""
    cases = {f"{row.name}, {method}": (row, method) for row in rows for method in row.methods}
    assert len(cases) == sum(len(row.methods) for row in rows), "two rows have the same name"
    return cases


unreached = functools.partial(Row, accepted=0, read=0)
"""A fault before any connection to the server has come about."""

answered = functools.partial(Row, raises=None, kind=EventType.SUCCESS)
"""No fault to the caller: there is a response."""

timed_out = functools.partial(Row, kind=EventType.TIMEOUT, timeout=0.2)
"""A server that lets the client wait."""

uploading = functools.partial(Row, methods=("POST",), read=0)
"""A fault of, or during, a body on its way to the server, which never has the whole of it."""

through_proxy = functools.partial(Row, proxied=True, url="https://origin.invalid/")
"""A fault of a proxy that shall open a tunnel to the origin."""


async def play(row: Row, method: str) -> Ending:
    """Send one request into the fault of ``row``; tell what came of it."""
    tls = row.tls() if row.tls is not None else None
    async with FaultServer(row.handler, tls=tls, refusing=row.refusing) as server:
        story = _Story(RequestContext(base_delay=0.001))
        async with _client(row, server) as client:
            story.watch(client)
            await row.prelude(client, server)
            await story.send(row, method, client, server)
        return story.ending(server)


class _Story:
    """One request as it is watched from its submission to its end."""

    def __init__(self, context: RequestContext) -> None:
        self._context = context
        self._events: list[AsyncEvent] = []
        self._connects = 0
        self._error: BaseException | None = None
        self._result: RequestResult | None = None

    def watch(self, client: AsyncResilientClient) -> None:
        for kind in EventType:
            client.add_event_callback(kind, self._note_event)

    async def send(
        self, row: Row, method: str, client: AsyncResilientClient, server: FaultServer
    ) -> None:
        options = {"extensions": {"trace": self._trace}, "timeout": row.timeout, **row.request()}
        if method == "POST":
            options.setdefault("content", BODY)
        url = row.url.format(url=server.url, port=server.port)
        task = await client.request_async(method, url, self._context, **options)
        await asyncio.wait({task})
        self._error = task.exception()
        self._result = client.get_result(self._context.request_id)

    def ending(self, server: FaultServer) -> Ending:
        error, result = self._error, self._result
        assert result is not None
        return Ending(
            raised=None if error is None else type(error),
            foreign_cause=_foreign_cause(error),
            events=tuple(event.event_type.value for event in self._events),
            status=result.status.value,
            attempts=result.attempts,
            connects=self._connects,
            accepted=server.connections,
            read=len(server.requests),
            is_one_error=error is result.error is self._events[-1].error,
            survives_pickling=error is None or _survives_pickling(error),
        )

    def _note_event(self, event: AsyncEvent) -> None:
        if event.context.request_id == self._context.request_id:
            self._events.append(event)

    async def _trace(self, name: str, info: dict[str, Any]) -> None:
        self._connects += name == "connection.connect_tcp.started"


def _client(row: Row, server: FaultServer) -> AsyncResilientClient:
    options: dict[str, Any] = {"verify": row.trust(), "trust_env": False, **row.client}
    if row.proxied:
        options["proxy"] = server.url
    return AsyncResilientClient(**options)


_ENGINES = {"httpx", "httpcore", "h11"}
"""Whose errors stand behind a caller's depends on the parser."""


def _foreign_cause(error: BaseException | None) -> type[BaseException] | None:
    cause = None if error is None else error.__cause__
    if cause is None or type(cause).__module__.partition(".")[0] in _ENGINES:
        return None
    return type(cause)


def _survives_pickling(error: BaseException) -> bool:
    try:
        twin = pickle.loads(pickle.dumps(error))
    except TypeError:  # what pickle raises when the class cannot be called with its own ``args``
        return False
    return type(twin) is type(error) and str(twin) == str(error)
