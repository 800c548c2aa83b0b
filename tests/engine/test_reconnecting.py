"""What happens between two connections of an event stream, step by step."""

import asyncio
import contextlib
import logging
import math
import weakref
from typing import Any

import httpx
import pytest
from run_kit import REQUEST, START, new_run

from typed_async_client import (
    BudgetExhaustedError,
    DeadlineExceededError,
    EventStreamEndedError,
    Resilience,
    RetryAfterTooLongError,
)
from typed_async_client.engine.reconnecting import StreamEnd, reconnection_flow, refund_flow
from typed_async_client.engine.run import Run
from typed_async_client.engine.shared import SharedPolicies
from typed_async_client.engine.steps import Consult, Flow, Sleep
from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.retry import RetryPolicy
from typed_async_client.stores import StateKey, SyncLocalStore

BUDGET = RetryBudget(ratio=0.0, min_per_second=0.2, ttl=10.0)
"""Allows two extra requests in ten seconds."""

LIMITED = Resilience(retry=RetryPolicy(max_retries=2, base_delay=1.0), budget=BUDGET)
BROKEN = httpx.ReadError("cut", request=REQUEST)


def ended(error: Exception | None = None, failures: int = 0, **options: Any) -> StreamEnd:
    """Return how a connection has ended."""
    return StreamEnd(error=error, request=REQUEST, failures=failures, **options)


class Shared:
    """Requests that share a budget, in this process or in a store."""

    def __init__(self, *, stored: bool) -> None:
        self._store = SyncLocalStore() if stored else None
        self._shared = SharedPolicies(self._store)

    def run(self, resilience: Resilience = LIMITED) -> Run:
        """Return a request that has ended."""
        run = new_run(resilience, shared=self._shared)
        run.is_deposited = True
        return run

    def left(self) -> int:
        """Return how many extra requests are left."""
        if self._store is None:
            states = self._shared.of(LIMITED).states_at("http://a.test", START)
            return int(states["budget"].balance(START))
        key, taken = StateKey("budget", "http://a.test"), []
        while withdrawal := self._store.withdraw(key, BUDGET, now=START):
            taken.append(withdrawal)
        for each in taken:
            self._store.refund(key, BUDGET, each, now=START)
        return len(taken)


def drive(flow: Flow[Any], interruption: BaseException | None = None) -> tuple[list[float], Any]:
    """Perform the steps of a flow, or interrupt its sleep; return the sleeps, and what it returns."""
    sleeps: list[float] = []
    try:
        step = next(flow)
        while True:
            if isinstance(step, Sleep):
                sleeps.append(step.seconds)
                step = flow.send(None) if interruption is None else flow.throw(interruption)
            else:
                assert isinstance(step, Consult)
                step = flow.send(step.function(step.argument))
    except StopIteration as finished:
        return sleeps, finished.value


@pytest.mark.parametrize("stored", [False, True])
def test_the_budget_is_asked_only_after_a_connection_that_broke(*, stored: bool) -> None:
    """Streams that the server ends are reconnected without limit, as that is how they end."""
    shared = Shared(stored=stored)
    for _ in range(5):
        assert drive(reconnection_flow(shared.run(), ended())) == ([1.0], None)
    assert shared.left() == 2
    for left in (1, 0):
        sleeps, withdrawal = drive(reconnection_flow(shared.run(), ended(BROKEN)))
        assert (sleeps, withdrawal is not None, shared.left()) == ([1.0], True, left)
    with pytest.raises(BudgetExhaustedError, match="as too many recent requests") as raised:
        drive(reconnection_flow(shared.run(), ended(BROKEN, asked=0.5)))
    assert raised.value.__cause__ is BROKEN
    assert (raised.value.request, raised.value.retry_after) == (REQUEST, 0.5)


@pytest.mark.parametrize("stored", [False, True])
def test_what_a_connection_took_is_given_back_when_it_brings_an_event(*, stored: bool) -> None:
    """As for a retry that is answered well."""
    shared = Shared(stored=stored)
    run = shared.run()
    _, withdrawal = drive(reconnection_flow(run, ended(BROKEN)))
    assert shared.left() == 1
    drive(refund_flow(run, withdrawal))
    drive(refund_flow(run, None))
    assert shared.left() == 2


@pytest.mark.parametrize("stored", [False, True])
def test_a_connection_that_is_never_made_costs_nothing(*, stored: bool) -> None:
    """The wait was cancelled."""
    shared = Shared(stored=stored)
    with pytest.raises(asyncio.CancelledError):
        drive(reconnection_flow(shared.run(), ended(BROKEN)), asyncio.CancelledError())
    assert shared.left() == 2


@pytest.mark.parametrize("stored", [False, True])
def test_a_flow_that_is_closed_gives_back_what_needs_no_driver(*, stored: bool) -> None:
    """No step follows, so what a store has given is lost."""
    shared = Shared(stored=stored)
    flow = reconnection_flow(shared.run(), ended(BROKEN))
    step = next(flow)
    while isinstance(step, Consult):
        step = flow.send(step.function(step.argument))
    assert isinstance(step, Sleep)
    assert shared.left() == 1
    flow.close()
    assert shared.left() == (1 if stored else 2)


@pytest.mark.parametrize("stored", [False, True])
def test_a_request_is_not_counted_again_when_its_stream_is_connected_again(*, stored: bool) -> None:
    """Even if a middleware has answered it, so that it made no attempt itself."""
    budget = RetryBudget(ratio=1.0, min_per_second=0.2, ttl=10.0)
    shared = SharedPolicies(SyncLocalStore() if stored else None)
    policies = Resilience(retry=RetryPolicy(max_retries=2, base_delay=1.0), budget=budget)
    for _ in range(2):
        drive(reconnection_flow(new_run(policies, shared=shared), ended(BROKEN)))
    with pytest.raises(BudgetExhaustedError):
        drive(reconnection_flow(new_run(policies, shared=shared), ended(BROKEN)))


def test_an_error_is_freed_with_its_last_reference() -> None:
    """No frame in its traceback refers to it."""
    error = httpx.ReadError("cut")
    alive = weakref.ref(error)
    with contextlib.suppress(httpx.ReadError):
        drive(reconnection_flow(new_run(Resilience.connect_only()), ended(error, 3)))
    del error
    assert alive() is None


def test_the_request_and_the_attempts_are_those_of_the_last_connection() -> None:
    """Its error knows the request if it was never answered."""
    run = new_run(Resilience.connect_only())
    run.keep_interrupted(run.new_attempt(), asyncio.CancelledError())
    end = StreamEnd(error=BROKEN, request=None, failures=0, asked=61.0)
    with pytest.raises(RetryAfterTooLongError) as raised:
        drive(reconnection_flow(run, end))
    assert raised.value.request is REQUEST
    assert len(raised.value.history) == 1
    assert raised.value.history == run.history


def test_the_delay_depends_on_the_failures_and_on_what_the_server_asked_for() -> None:
    """Without policies, too."""
    plain = Resilience.connect_only()
    for failures, asked, delay in ((0, None, 1.0), (2, None, 2.0), (2, 1.5, 2.0), (0, 3.0, 3.3)):
        run = new_run(plain)
        end = ended(BROKEN, failures, asked=asked)
        assert drive(reconnection_flow(run, end)) == ([delay], None)


def test_the_error_that_broke_the_last_connection_is_raised_when_no_retry_is_left() -> None:
    """A note says how many there were."""
    error = httpx.ReadError("cut")
    with pytest.raises(httpx.ReadError) as raised:
        drive(reconnection_flow(new_run(Resilience.connect_only()), ended(error, 3)))
    assert raised.value is error
    assert error.__notes__ == ["gave up with max_retries=2: 3 attempts in a row without an event"]


def test_a_stream_that_ends_again_and_again_without_an_event_is_an_error() -> None:
    """It isn't mistaken for one that the server has ended for good."""
    with pytest.raises(EventStreamEndedError) as raised:
        drive(reconnection_flow(new_run(Resilience.connect_only()), ended(None, 3)))
    assert raised.value.request is REQUEST
    assert str(raised.value) == (
        "GET: the event stream of http://a.test has ended; gave up with max_retries=2: 3 attempts in "
        "a row without an event"
    )


@pytest.mark.parametrize("error", [None, BROKEN])
def test_a_server_that_asks_for_too_long_a_wait_ends_the_stream(error: Exception | None) -> None:
    """The error says how long, and what broke the connection."""
    with pytest.raises(RetryAfterTooLongError, match="asked to wait for 61 s before") as raised:
        drive(reconnection_flow(new_run(Resilience.connect_only()), ended(error, asked=61.0)))
    assert (raised.value.retry_after, raised.value.__cause__) == (61.0, error)


def test_a_wait_that_would_pass_the_deadline_is_refused_now() -> None:
    """There is no time to connect again."""
    end = ended(None, deadline=START + 1.0)
    with pytest.raises(DeadlineExceededError, match="no time is left before the deadline"):
        drive(reconnection_flow(new_run(Resilience.connect_only()), end))
    assert ended().deadline == math.inf


@pytest.mark.parametrize(
    ("error", "cause"),
    [(None, "it ended"), (BROKEN, "ReadError: cut"), (httpx.ReadError(""), "ReadError")],
)
def test_a_reconnection_is_one_line_of_the_log(
    error: Exception | None, cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With the delay and the cause."""
    run = new_run(Resilience.connect_only())
    drive(reconnection_flow(run, ended(error)))
    with caplog.at_level(logging.INFO, logger="typed_async_client"):
        drive(reconnection_flow(run, ended(error)))
    assert [record.getMessage() for record in caplog.records] == [
        f"GET http://a.test/x: reconnecting the event stream in 1.00 s ({cause})"
    ]
