"""A fault on a real socket as a scenario of a table, and the play that finds out what comes of it.

It owns the meaning of a scenario. The scenarios themselves stand in the tests that play them.
"""

import asyncio
import dataclasses
import functools
import pickle
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from tls_contexts import client_context

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
    "Observation",
    "Scenario",
    "answered",
    "cases_by_id",
    "during_upload",
    "endless_body",
    "run_scenario",
    "through_proxy",
    "timed_out",
    "unreached",
]

BODY = b"0123456789"


async def endless_body() -> AsyncIterator[bytes]:
    """Give zeros for ever."""
    while True:
        yield bytes(65536)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
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
    """Begin with the request of the scenario at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class Scenario:
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
    client_tls: Callable[[], ssl.SSLContext] = client_context
    is_proxy: bool = False
    url: str = "{url}"
    methods: tuple[str, ...] = ("GET", "POST")
    client: dict[str, Any] = dataclasses.field(default_factory=dict)
    timeout: float = 20.0
    request: Callable[[], dict[str, Any]] = dict
    before: Prelude = _nothing
    is_picklable: bool = True

    @property
    def expected(self) -> Observation:
        """What must come of the request."""
        return Observation(
            raised=self.raises,
            foreign_cause=self.cause,
            events=("retry",) * (self.attempts - 1) + (self.kind.value,),
            status=self.kind.value,
            attempts=self.attempts,
            connects=self.attempts if self.connects is None else self.connects,
            accepted=self.accepted,
            read=self.read,
            survives_pickling=self.is_picklable,
        )


def cases_by_id(scenarios: tuple[Scenario, ...]) -> dict[str, tuple[Scenario, str]]:
    """Pair each scenario with each of its methods; the key is a readable name for the pair."""
    cases = {
        f"{scenario.name}, {method}": (scenario, method)
        for scenario in scenarios
        for method in scenario.methods
    }
    assert len(cases) == sum(len(scenario.methods) for scenario in scenarios), (
        "two scenarios have the same name"
    )
    return cases


unreached = functools.partial(Scenario, accepted=0, read=0)
"""A fault before any connection to the server has come about."""

answered = functools.partial(Scenario, raises=None, kind=EventType.SUCCESS)
"""No fault to the caller: there is a response."""

timed_out = functools.partial(Scenario, kind=EventType.TIMEOUT, timeout=0.2)
"""A server that lets the client wait."""

during_upload = functools.partial(Scenario, methods=("POST",), read=0)
"""A fault of, or during, a body on its way to the server, which never has the whole of it."""

through_proxy = functools.partial(Scenario, is_proxy=True, url="https://origin.invalid/")
"""A fault of a proxy that shall open a tunnel to the origin."""


async def run_scenario(scenario: Scenario, method: str) -> Observation:
    """Send one request into the fault of ``scenario``; tell what came of it."""
    tls = scenario.tls() if scenario.tls is not None else None
    async with FaultServer(scenario.handler, tls=tls, refusing=scenario.refusing) as server:
        recorder = _RequestRecorder(RequestContext(base_delay=0.001))
        async with _client(scenario, server) as client:
            recorder.watch(client)
            await scenario.before(client, server)
            await recorder.send(scenario, method, client, server)
        return recorder.observation(server)


class _RequestRecorder:
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
        self, scenario: Scenario, method: str, client: AsyncResilientClient, server: FaultServer
    ) -> None:
        options = {
            "extensions": {"trace": self._trace},
            "timeout": scenario.timeout,
            **scenario.request(),
        }
        if method == "POST":
            options.setdefault("content", BODY)
        url = scenario.url.format(url=server.url, port=server.port)
        task = await client.request_async(method, url, self._context, **options)
        await asyncio.wait({task})
        self._error = task.exception()
        self._result = client.get_result(self._context.request_id)

    def observation(self, server: FaultServer) -> Observation:
        error, result = self._error, self._result
        assert result is not None
        return Observation(
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


def _client(scenario: Scenario, server: FaultServer) -> AsyncResilientClient:
    options: dict[str, Any] = {
        "verify": scenario.client_tls(),
        "trust_env": False,
        **scenario.client,
    }
    if scenario.is_proxy:
        options["proxy"] = server.url
    return AsyncResilientClient(**options)


_WIRE_LIBRARIES = {"httpx", "httpcore", "h11"}
"""Whose errors stand behind a caller's depends on the parser."""


def _foreign_cause(error: BaseException | None) -> type[BaseException] | None:
    cause = None if error is None else error.__cause__
    if cause is None or type(cause).__module__.partition(".")[0] in _WIRE_LIBRARIES:
        return None
    return type(cause)


def _survives_pickling(error: BaseException) -> bool:
    try:
        twin = pickle.loads(pickle.dumps(error))
    except TypeError:  # what pickle raises when the class cannot be called with its own ``args``
        return False
    return type(twin) is type(error) and str(twin) == str(error)
