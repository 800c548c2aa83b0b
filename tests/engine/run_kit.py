"""What a request starts from, and what a server may answer, for tests that drive flows by hand."""

import math
from collections.abc import Callable

import httpcore
import httpx

from typed_async_client import EventType, RequestContext, Resilience
from typed_async_client.attempts import Attempt
from typed_async_client.engine.run import Run
from typed_async_client.engine.shared import SharedPolicies
from typed_async_client.outcome import Outcome
from typed_async_client.record import RequestRecord
from typed_async_client.request_options import limits_of
from typed_async_client.sent import SentLog

ORIGIN = "http://a.test"
REQUEST = httpx.Request("GET", f"{ORIGIN}/x")
START = 1000.0


class OpenBody(httpx.AsyncByteStream):
    """A body that nobody has read yet."""


def opened(status: int = 200, **headers: str) -> httpx.Response:
    """Create a response whose body is still to be read."""
    return httpx.Response(status, headers=headers, stream=OpenBody(), request=REQUEST)


def refused() -> Exception:
    """Create the error of a refused connection."""
    return httpx.ConnectError("refused", request=REQUEST)


ANSWERS: dict[str, Callable[[], httpx.Response | Exception]] = {
    "ok": lambda: httpx.Response(200, request=REQUEST),
    "404": lambda: httpx.Response(404, request=REQUEST),
    "500": lambda: httpx.Response(500, request=REQUEST),
    "503": lambda: httpx.Response(503, request=REQUEST),
    "wait 5": lambda: httpx.Response(429, headers={"Retry-After": "5"}, request=REQUEST),
    "wait 900": lambda: httpx.Response(429, headers={"Retry-After": "900"}, request=REQUEST),
    "open": opened,
    "open 503": lambda: opened(503),
    "refused": refused,
    "core refused": lambda: httpcore.ConnectError("refused"),
    "timeout": lambda: httpx.ReadTimeout("slow", request=REQUEST),
    "broken": lambda: httpx.ReadError("cut", request=REQUEST),
    "bug": lambda: ValueError("the caller's own"),
}
"""What a server may do."""


def outcome_of(answer: str, attempt: Attempt, record: RequestRecord) -> Outcome:
    """Return the outcome of an attempt with that answer, which the server has seen."""
    made = ANSWERS[answer]()
    if isinstance(made, httpx.Response):
        return Outcome.of_response(made, attempt, SentLog())
    log = SentLog(record=record)
    log.begin_hop(REQUEST)
    return Outcome.of_error(made, attempt, log, record)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def new_run(
    resilience: Resilience,
    *,
    clock: Callable[[], float] | None = None,
    shared: SharedPolicies | None = None,
    method: str = "GET",
    seconds: float = math.inf,
    wanted: frozenset[EventType] = frozenset(),
    context: RequestContext | None = None,
) -> Run:
    """Create the state of a request, without jitter."""
    now = Clock() if clock is None else clock
    return Run(
        limits_of(resilience, {}) if context is None else context,
        (SharedPolicies() if shared is None else shared).of(resilience),
        now,
        lambda: 0.5,
        RequestRecord(method, f"{ORIGIN}/x"),
        method == "GET",
        wanted,
        deadline=now() + seconds,
        may_copy=True,
    )
