"""What an attempt tells the policies, and what it tells the server."""

from typing import Any

import httpx
import pytest
from flow_kit import play
from run_kit import ANSWERS, ORIGIN, START, Clock

from typed_async_client import RequestContext, Resilience
from typed_async_client.engine.run import Run
from typed_async_client.engine.shared import SharedPolicies
from typed_async_client.policies.adaptive import AdaptiveLimit
from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.bulkhead import Bulkhead
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.hedge import Hedge
from typed_async_client.policies.pushback import Pushback
from typed_async_client.policies.retry import RetryPolicy
from typed_async_client.record import RequestRecord

OTHER = "http://b.test"
TRIPPED_AT_ONCE = CircuitBreaker(minimum_calls=1)


def redirected(status: int, **headers: str) -> httpx.Response:
    """Create a response of another host, to which the one that was asked has redirected."""
    hop = httpx.Response(302, request=httpx.Request("GET", ORIGIN))
    target = httpx.Request("GET", f"{OTHER}/y")
    return httpx.Response(status, headers=headers, request=target, history=[hop])


@pytest.fixture(name="answer")
def _answer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a name to a response or error that a script may use."""

    def name(make: Any) -> str:
        monkeypatch.setitem(ANSWERS, "named", make)
        return "named"

    return name


@pytest.mark.parametrize("is_answered", [True, False])
def test_an_attempt_is_reported_to_the_host_that_answered(
    answer: Any, *, is_answered: bool
) -> None:
    """The one that was asked has done its part; the other fails, and only its circuit opens."""
    lost = httpx.ReadError("cut", request=httpx.Request("GET", f"{OTHER}/y"))
    name = answer(lambda: redirected(500) if is_answered else lost)
    resilience, shared = Resilience(circuit=TRIPPED_AT_ONCE), SharedPolicies()
    played = play(resilience, name, shared=shared)
    assert played.kinds == ["circuit_opened", "success" if is_answered else "error"]
    policies = shared.of(resilience)
    asked, other = (policies.states_at(each, START)["circuit"] for each in (ORIGIN, OTHER))
    assert (asked.state, other.state) == ("closed", "open")
    assert (asked.in_flight, other.in_flight) == (0, 0)
    again = play(resilience, name, shared=shared)
    assert again.kinds == ["success" if is_answered else "error"]  # open, so nothing is reported


def test_a_pushback_concerns_the_host_that_asked_for_it(answer: Any) -> None:
    """Not the one that redirected to it."""
    resilience, shared = Resilience(pushback=Pushback()), SharedPolicies()
    play(resilience, answer(lambda: redirected(429, **{"Retry-After": "5"})), shared=shared)
    policies = shared.of(resilience)
    untils = [policies.states_at(each, START)["pushback"].until for each in (ORIGIN, OTHER)]
    assert untils == [float("-inf"), START + 5.0]


def test_the_error_of_a_wait_that_is_too_long_names_the_host_that_asked_for_it(answer: Any) -> None:
    """The one that a redirect led to."""
    name = answer(lambda: redirected(429, **{"Retry-After": "900"}))
    played = play(Resilience(retry=RetryPolicy()), name)
    message = f"GET: {OTHER} asked to wait for 900 s, which is longer than allowed"
    assert str(played.error) == message


def test_another_hosts_overload_does_not_shrink_the_limit_of_the_one_asked(answer: Any) -> None:
    """It says nothing about what that can take."""
    resilience, shared = Resilience(adaptive=AdaptiveLimit(initial=10)), SharedPolicies()
    gate = shared.of(resilience).states_at(ORIGIN, START)["adaptive"].gate
    play(resilience, answer(lambda: redirected(503)), shared=shared)
    assert gate.limit == 10
    play(resilience, "503", shared=shared)
    assert gate.limit == 9


def test_a_limit_that_grows_admits_those_that_wait_at_once() -> None:
    """They needn't wait for a body to be read."""
    options = AdaptiveLimit(initial=1, max_limit=2, minimum_samples=1, window=0.5)
    resilience, shared, clock = Resilience(adaptive=options), SharedPolicies(), Clock()
    queue = shared.of(resilience).states_at(ORIGIN, START)["adaptive"]
    play(resilience, "ok", shared=shared, clock=clock)
    clock.now += 1.0
    turns: list[Any] = []

    def arrive(step: Any) -> None:
        if type(step).__name__ == "Send":
            turns.append(queue.admit(clock.now, START + 99))
            assert turns[0].permit is None
        elif type(step).__name__ == "Deliver":
            assert turns[0].permit is not None

    play(resilience, "open", shared=shared, clock=clock, on_step=arrive)
    assert queue.gate.limit == 2


def test_policies_may_add_headers_to_each_attempt() -> None:
    """Its number, the time that is left, and the key of the request."""
    resilience = Resilience(
        retry=RetryPolicy(jitter="none"), attempt_header="X-Attempt", deadline_header="X-Left"
    )
    played = play(resilience, "503", "ok", seconds=9.0)
    assert [each.headers for each in played.sent] == [
        (("X-Attempt", "1"), ("X-Left", "9.000")),
        (("X-Attempt", "2"), ("X-Left", "8.750")),
    ]
    assert play(resilience, "ok").sent[0].headers == (("X-Attempt", "1"),)
    clock = Clock()
    keyed = Run(
        RequestContext(),
        SharedPolicies().of(Resilience.connect_only()),
        clock,
        lambda: 0.5,
        RequestRecord("POST", ORIGIN),
        True,  # noqa: FBT003 - positional for speed: idempotent
        frozenset(),
        key="k",
    )
    played = play(Resilience.connect_only(), "ok", run=keyed, clock=clock)
    assert played.sent[0].headers == (("Idempotency-Key", "k"),)


def test_states_are_looked_up_for_each_attempt() -> None:
    """A host that nobody used while the request slept may have been forgotten."""
    resilience = Resilience(retry=RetryPolicy(jitter="none"), bulkhead=Bulkhead(max_concurrent=1))
    shared, clock = SharedPolicies(), Clock()
    policies = shared.of(resilience)

    def forget(step: Any) -> None:
        if type(step).__name__ == "Sleep":
            for number in range(1000):
                policies.states_at(f"http://{number}.test", clock.now)

    played = play(resilience, "503", "ok", shared=shared, clock=clock, on_step=forget)
    assert played.kinds == ["retry", "success"]
    assert played.run.states["bulkhead"] is policies.states_at(ORIGIN, clock.now)["bulkhead"]


def test_equal_options_share_their_states() -> None:
    """Of whichever client or request."""
    shared = SharedPolicies()
    one = Resilience(circuit=CircuitBreaker(), budget=RetryBudget())
    two = Resilience(circuit=CircuitBreaker(), budget=RetryBudget(), deadline=3.0)
    first, second = (shared.of(each).states_at(ORIGIN, START) for each in (one, two))
    assert first["circuit"] is second["circuit"]
    assert shared.of(one) is shared.of(Resilience(circuit=CircuitBreaker(), budget=RetryBudget()))


def test_the_policies_of_requests_are_forgotten_if_there_are_too_many_kinds() -> None:
    """Each request might bring its own."""
    shared = SharedPolicies()
    kinds = [Resilience(deadline=float(number)) for number in range(1, 200)]
    policies = [shared.of(each) for each in kinds]
    assert shared.of(kinds[-1]) is policies[-1]
    assert shared.of(kinds[0]) is not policies[0]


def test_a_policy_may_count_all_hosts_together() -> None:
    """``per`` and ``scope`` say which."""
    resilience = Resilience(circuit=CircuitBreaker(per="client"), hedge=Hedge())
    policies = SharedPolicies().of(resilience)
    asked, other = (policies.states_at(each, START) for each in (ORIGIN, OTHER))
    assert asked["circuit"] is other["circuit"]
    assert asked["hedge"] is not other["hedge"]


def test_a_circuit_that_was_opened_by_hand_says_so() -> None:
    """It stays open until it is closed by hand."""
    resilience, shared = Resilience(circuit=CircuitBreaker()), SharedPolicies()
    shared.of(resilience).states_at(ORIGIN, START)["circuit"].isolate()
    refused = play(resilience, shared=shared)
    assert str(refused.error) == "GET: the circuit of http://a.test was opened by hand"


def test_a_circuit_that_opens_while_an_attempt_waits_refuses_it() -> None:
    """Its ticket was of a state that has passed; its permit comes back."""
    resilience = Resilience(
        circuit=TRIPPED_AT_ONCE, bulkhead=Bulkhead(max_concurrent=1, max_wait=5.0)
    )
    shared, clock = SharedPolicies(), Clock()
    states = shared.of(resilience).states_at(ORIGIN, START)
    permit = states["bulkhead"].admit(START, START + 99)

    def open_and_release(step: Any) -> None:
        if type(step).__name__ == "Acquire":
            states["circuit"].isolate()
            states["bulkhead"].release(permit, clock.now)

    refused = play(resilience, shared=shared, clock=clock, on_step=open_and_release)
    assert refused.kinds == ["rejected"]
    gate = states["bulkhead"].gate
    assert (states["circuit"].in_flight, gate.in_flight, gate.waiting) == (0, 0, 0)


def test_the_error_of_an_attempt_is_on_its_record(answer: Any) -> None:
    """Its type alone if it has no message."""
    played = play(Resilience(retry=RetryPolicy(jitter="none")), "broken", "broken", "bug")
    errors = [record.error for record in played.events[-1].history]
    assert errors == ["ReadError: cut", "ReadError: cut", "ValueError: the caller's own"]
    silent = play(Resilience(deadline=9.0), answer(KeyError))
    assert [record.error for record in silent.events[-1].history] == ["KeyError"]


def test_the_phases_of_an_attempt_are_on_its_record() -> None:
    """As far as the transport tells them."""
    played = play(
        Resilience(deadline=9.0),
        "ok",
        on_step=lambda step: type(step).__name__ == "Send" and step.attempt.phases.update(dns=0.1),
    )
    assert played.events[-1].history[0].phases == {"dns": 0.1}
