"""How the gradient tells a queue at the server from a slow server."""

from adaptive_kit import admitted, gate_with, run_window

from typed_async_client.policies.adaptive import AdaptiveGate
from typed_async_client.policies.health import Health


def test_the_gradient_grows_the_limit_while_response_times_stay() -> None:
    """By the headroom times the smoothing: 0.8 per window by default."""
    gate = gate_with(algorithm="gradient")
    limits = []
    for window in range(5):
        run_window(gate, 10, begin=window * 10.0)
        limits.append(gate.limit)
    assert limits == [10, 11, 12, 13, 14]


def test_the_gradient_shrinks_the_limit_when_response_times_grow() -> None:
    """By a tenth per window at most, as a gradient below a half counts as a half."""
    gate = gate_with(algorithm="gradient", initial=100, headroom=1.0)
    for window in range(5):
        run_window(gate, 100, begin=window * 10.0)
    assert gate.limit == 101
    run_window(gate, 101, begin=60.0, duration=10.0)
    assert gate.limit == 91
    run_window(gate, 91, begin=70.0, duration=0.1)
    assert gate.limit == 91


def test_the_gradient_tolerates_small_changes() -> None:
    """Up to 1.1 times the baseline by default."""
    gate = gate_with(algorithm="gradient", initial=100)
    for window in range(12):
        run_window(gate, 100, begin=window * 10.0)
    before = gate.limit
    run_window(gate, 100, begin=200.0, duration=0.109)
    assert gate.limit > before - 1
    run_window(gate, 100, begin=210.0, duration=0.2)
    assert gate.limit < before


def busy_server(gate: AdaptiveGate, windows: int, *, begin: float, fastest: float = 0.1) -> None:
    """Use all of the limit, at a server with 50 workers; it queues what is beyond."""
    for window in range(windows):
        queued = max(1.0, gate.limit / 50)
        run_window(gate, gate.limit, begin=begin + window * 10.0, duration=fastest * queued)


def test_a_queue_at_the_server_never_becomes_normal() -> None:
    """The limit stays at a fifth above the 50 workers at most, however long the load lasts."""
    gate = gate_with(algorithm="gradient")
    busy_server(gate, 100, begin=0.0)
    assert 50 <= gate.limit <= 60
    busy_server(gate, 1_400, begin=1_000.0)
    assert 50 <= gate.limit <= 60


def test_a_limit_that_was_too_high_from_the_start_is_found_out() -> None:
    """By the windows at half the limit: the first response times were those of a queue."""
    gate = gate_with(algorithm="gradient", initial=200)
    busy_server(gate, 600, begin=0.0)
    assert 50 <= gate.limit <= 60


def test_a_server_that_became_slower_keeps_its_limit() -> None:
    """If a smaller limit doesn't shorten its response times, they aren't due to a queue."""
    gate = gate_with(algorithm="gradient")
    busy_server(gate, 100, begin=0.0)
    busy_server(gate, 15, begin=1_000.0, fastest=0.3)
    assert gate.limit < 30
    busy_server(gate, 500, begin=2_000.0, fastest=0.3)
    assert 50 <= gate.limit <= 60


def test_half_the_limit_is_used_for_one_window_in_sixty() -> None:
    """It counts once the server has finished what it had been sent before."""
    gate = gate_with(algorithm="gradient", initial=100, max_limit=100)
    for window in range(60):
        assert gate.limit == 100
        run_window(gate, 100, begin=window * 10.0)
    assert gate.limit == 50  # since 591.0
    run_window(gate, 50, begin=590.9, duration=9.0)
    assert gate.limit == 50
    run_window(gate, 50, begin=592.0, duration=0.2)
    assert gate.limit == 100


def test_overload_while_the_limit_is_halved_shrinks_the_limit_before() -> None:
    """It isn't halved and shrunk."""
    gate = gate_with(algorithm="gradient", initial=100, max_limit=100)
    for window in range(60):
        run_window(gate, 100, begin=window * 10.0)
    (permit,) = admitted(gate, 1, now=600.0)
    assert gate.report(permit, Health.OVERLOADED, duration=1.0, now=601.0) == 90


def test_response_times_while_the_limit_is_not_used_are_the_baseline() -> None:
    """Nothing queues because of this client then."""
    gate = gate_with(algorithm="gradient", initial=100)
    for window in range(50):
        run_window(gate, 10, begin=window * 10.0, duration=0.1 if window < 10 else 0.3)
    run_window(gate, 100, begin=600.0, duration=0.3)
    assert gate.limit == 100
    run_window(gate, 100, begin=610.0, duration=0.3)
    assert gate.limit == 101


def test_the_baseline_follows_when_response_times_become_short_again() -> None:
    """Otherwise a slow time would hide the next one for minutes."""
    gate = gate_with(algorithm="gradient", initial=100, max_limit=100)
    for window in range(20):
        run_window(gate, 100, begin=window * 10.0, duration=1.0)
    for window in range(20, 58):
        run_window(gate, 50, begin=window * 10.0, duration=0.1)
    run_window(gate, 100, begin=600.0, duration=0.5)
    assert gate.limit < 100


def test_responses_that_take_no_time_are_no_trouble() -> None:
    """A virtual clock may not move."""
    gate = gate_with(algorithm="gradient")
    for window in range(3):
        run_window(gate, 10, begin=window * 10.0, duration=0.0)
    assert gate.limit == 12
