"""Which policies a client applies."""

import dataclasses
import math
from typing import Any

import pytest

from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.bulkhead import Bulkhead
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.health import Health
from typed_async_client.policies.pushback import Pushback
from typed_async_client.policies.resilience import Resilience
from typed_async_client.policies.retry import RetryPolicy
from typed_async_client.policies.transitions import CircuitState, Ticket


def test_the_connect_only_preset_has_no_policy_but_its_retries() -> None:
    """What a client does that was given no policies."""
    assert Resilience.connect_only() == Resilience(retry=RetryPolicy.connect_only())


def test_the_standard_preset_bounds_time_and_retries_and_leaves_failing_hosts_alone() -> None:
    """It limits neither how many requests run nor how many start, and sends no copies."""
    assert Resilience.standard() == Resilience(
        deadline=30.0,
        attempt_timeout=10.0,
        retry=RetryPolicy(),
        budget=RetryBudget(),
        circuit=CircuitBreaker(window=10.0, reset_timeout=1.0, max_reset_timeout=10.0),
        pushback=Pushback(),
    )


@pytest.mark.parametrize("outage", [10, 60, 600])
def test_the_standard_circuit_spares_a_busy_host_that_is_down_and_returns_soon(outage: int) -> None:
    """After 5 s of nothing but failures few attempts reach it; once it works, it is used in 12 s."""
    breaker = Resilience.standard().circuit
    assert breaker is not None
    circuit, begin, end = breaker.start(), 60.0, 60.0 + outage
    sent, back = 0, 0.0
    for tick in range(round((end + 20) * 10)):  # 100 requests per second
        now = tick / 10
        is_down = begin <= now < end
        for _ in range(10):
            ticket = circuit.admit(now)
            if isinstance(ticket, Ticket):
                sent += is_down
                health = Health.FAILING if is_down else Health.OK
                circuit.report(ticket, health, duration=0.01, now=now, random=0.999)
        if not back and now >= end and circuit.state is CircuitState.CLOSED:
            back = now - end
    assert sent <= 500 + outage / 10 + 10
    assert back <= 12.0


@pytest.mark.parametrize(
    "options",
    [RetryPolicy(), RetryBudget(), Pushback(), CircuitBreaker(), Resilience.standard()],
    ids=lambda options: type(options).__name__,
)
def test_options_are_values(options: Any) -> None:
    """They can't be changed, are compared by their contents, and can be shared by clients."""
    first = dataclasses.fields(options)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(options, first, None)
    assert options == dataclasses.replace(options)
    assert hash(options) == hash(dataclasses.replace(options))
    with pytest.raises(TypeError, match="takes 1 positional argument"):
        type(options)(None)


def test_by_default_there_is_no_policy() -> None:
    """Each of them is chosen by the caller."""
    assert set(dataclasses.asdict(Resilience()).values()) == {None, False}
    assert Resilience.connect_only().is_plain
    assert not Resilience.standard().is_plain


@pytest.mark.parametrize(("given", "kept"), [(True, Pushback()), (False, None), (None, None)])
def test_a_pushback_may_be_switched_on_and_off(given: Any, kept: Pushback | None) -> None:
    """Its defaults suit most hosts."""
    assert Resilience(pushback=given) == Resilience(pushback=kept)
    assert Resilience(pushback=given).pushback == kept


def test_a_preset_can_be_changed() -> None:
    """It is a value, and stays as it is."""
    changed = dataclasses.replace(Resilience.standard(), bulkhead=Bulkhead(max_concurrent=3))
    assert changed.bulkhead == Bulkhead(max_concurrent=3)
    assert changed.retry == Resilience.standard().retry
    assert Resilience.standard().bulkhead is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"deadline": 0}, "deadline must be a finite number > 0, got 0"),
        ({"attempt_timeout": math.inf}, "attempt_timeout must be a finite number > 0, got inf"),
        ({"retry": 3}, r"retry must be None or a RetryPolicy, such as RetryPolicy\(...\), got 3"),
        ({"circuit": True}, "circuit must be None or a CircuitBreaker, .*, got True"),
        ({"bulkhead": 10}, "bulkhead must be None or a Bulkhead, .*, got 10"),
        ({"rate_limit": 10}, "rate_limit must be None or a RateLimit, .*, got 10"),
        ({"adaptive": True}, "adaptive must be None or an AdaptiveLimit, .*, got True"),
        ({"hedge": 0.5}, "hedge must be None or a Hedge, .*, got 0.5"),
        ({"budget": 0.2}, "budget must be None or a RetryBudget, .*, got 0.2"),
        ({"pushback": 1}, "pushback must be None or a Pushback, .*, got 1"),
        ({"automatic_key": 1}, "automatic_key must be True or False, got 1"),
        ({"attempt_header": "X: y"}, "attempt_header must be the name of a header, or None, got "),
        ({"deadline_header": ""}, "deadline_header must be the name of a header, or None, got ''"),
    ],
)
def test_an_option_of_another_type_is_refused(options: dict[str, Any], message: str) -> None:
    """The message shows what to pass instead."""
    with pytest.raises(ValueError, match=message):
        Resilience(**options)
