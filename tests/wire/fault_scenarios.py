"""Describes faults on real sockets as scenarios, and runs them.

The scenarios themselves are in the tests that run them.
"""

import asyncio
import dataclasses
import functools
import pickle
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import httpcore
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
    """Yield zeros forever."""
    while True:
        yield bytes(65536)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What happened to one request, as seen by its caller, its callbacks and the server.

    Attributes:
        raised: exact type of the error that reached the caller; None for a response.
        foreign_cause: type of its ``__cause__``, unless that is an error of httpx, httpcore or h11.
        events: types of the events, in order.
        status: the result's status.
        attempts: the result's number of attempts.
        connects: TCP connections that were started, according to httpcore's trace.
        accepted: connections that the server accepted, after the TLS handshake if there is one.
        read: requests that the server read completely.
        is_one_error: whether caller, result and terminal event have the same error object.
        survives_pickling: whether the error can be pickled, keeping its type and message.
        is_described: whether the error has a message; one of the network also says for which
            method and server.
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
    is_described: bool = True


Preparation = Callable[[AsyncResilientClient, FaultServer], Awaitable[None]]


async def _nothing(client: AsyncResilientClient, server: FaultServer) -> None:
    """Prepare nothing."""


@dataclasses.dataclass(frozen=True, slots=True)
class Scenario:
    """One fault, and the expected effect on a request.

    Attributes:
        name: a short description of the fault.
        raises: exact type of the error; None if there is a response.
        cause: type of its ``__cause__``, unless that is an error of httpx, httpcore or h11.
        kind: type of the terminal event; the result's status has the same name.
        attempts: 3 if the fault is retried, otherwise 1.
        connects: connections started; by default, one per attempt.
        accepted: connections accepted by the server.
        read: requests read by the server.
        handler: serves a connection.
        tls: creates the server's TLS context; None for a server without TLS.
        refusing: whether the server's port refuses connections.
        client_tls: creates the client's TLS context.
        is_proxy: whether the server is the client's proxy, not the origin.
        url: the request's URL; ``{url}`` and ``{port}`` are replaced by the server's.
        methods: the methods to run it with.
        client: more options for the client.
        timeout: the request's timeout in seconds.
        request: creates more options for the request, for each run.
        before: uses client and server before the request.
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
    before: Preparation = _nothing

    @property
    def expected(self) -> Observation:
        """What is expected to happen to the request."""
        return Observation(
            raised=self.raises,
            foreign_cause=self.cause,
            events=("retry",) * (self.attempts - 1) + (self.kind.value,),
            status=self.kind.value,
            attempts=self.attempts,
            connects=self.attempts if self.connects is None else self.connects,
            accepted=self.accepted,
            read=self.read,
            survives_pickling=True,
        )


def cases_by_id(scenarios: tuple[Scenario, ...]) -> dict[str, tuple[Scenario, str]]:
    """Pair each scenario with each of its methods; the keys are test ids."""
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
"""A fault before any connection to the server is established."""

answered = functools.partial(Scenario, raises=None, kind=EventType.SUCCESS)
"""Not a fault for the caller, because there is a response."""

timed_out = functools.partial(Scenario, kind=EventType.TIMEOUT, timeout=0.2)
"""A server that keeps the client waiting."""

during_upload = functools.partial(Scenario, methods=("POST",), read=0)
"""A fault of, or during, a request body, which the server never receives completely."""

through_proxy = functools.partial(Scenario, is_proxy=True, url="https://origin.invalid/")
"""A fault of a proxy that is asked for a tunnel to the origin."""


async def run_scenario(scenario: Scenario, method: str) -> Observation:
    """Send one request to the server of ``scenario``, and return what happened."""
    tls = scenario.tls() if scenario.tls is not None else None
    async with FaultServer(scenario.handler, tls=tls, refusing=scenario.refusing) as server:
        recorder = _RequestRecorder(RequestContext(base_delay=0.001))
        async with _client(scenario, server) as client:
            recorder.watch(client)
            await scenario.before(client, server)
            await recorder.send(scenario, method, client, server)
        return recorder.observation(server)


class _RequestRecorder:
    """Records what happens to one request."""

    def __init__(self, context: RequestContext) -> None:
        self._context = context
        self._events: list[AsyncEvent] = []
        self._connects = 0
        self._error: BaseException | None = None
        self._sent = ("", "")
        self._result: RequestResult | None = None

    def watch(self, client: AsyncResilientClient) -> None:
        for kind in EventType:
            client.add_event_callback(kind, self._record_event)

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
        self._sent = method, url
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
            is_described=error is None or _is_described(error, *self._sent),
        )

    def _record_event(self, event: AsyncEvent) -> None:
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


_NETWORK_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.RemoteProtocolError,
    httpcore.ProxyError,
)
_PORTS = {"http": 80, "https": 443}

_WIRE_LIBRARIES = {"httpx", "httpcore", "h11"}
"""Which of these an error's cause comes from depends on the HTTP/1.1 parser."""


def _foreign_cause(error: BaseException | None) -> type[BaseException] | None:
    cause = None if error is None else error.__cause__
    if cause is None or type(cause).__module__.partition(".")[0] in _WIRE_LIBRARIES:
        return None
    return type(cause)


def _is_described(error: BaseException, method: str, url: str) -> bool:
    if not isinstance(error.__cause__, _NETWORK_ERRORS):
        return bool(str(error))
    parts = urlsplit(url)
    host = parts.netloc if ":" in parts.netloc else f"{parts.netloc}:{_PORTS[parts.scheme]}"
    return str(error).startswith(f"{method}: ") and host in str(error)


def _survives_pickling(error: BaseException) -> bool:
    try:
        copy = pickle.loads(pickle.dumps(error))
    except TypeError:  # raised by pickle if the class can't be called with its ``args``
        return False
    return type(copy) is type(error) and str(copy) == str(error)
