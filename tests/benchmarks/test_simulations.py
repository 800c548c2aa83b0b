"""The simulations show what the policies are for."""

import math
from typing import Final

import pytest
from simulation.adaptive import WORKERS, run_adaptive
from simulation.clock import Clock, Process, Reply, Wait
from simulation.contention import run_contention
from simulation.hedging import run_hedging
from simulation.nested import run_nested
from simulation.storm import RATE, run_storm

from typed_async_client.policies.adaptive import AdaptiveLimit
from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.hedge import Hedge
from typed_async_client.policies.jitter import JitterName
from typed_async_client.policies.retry import RetryPolicy

_KINDS: Final[tuple[JitterName, ...]] = ("none", "equal", "decorrelated", "full")


def test_the_clock_jumps_and_a_wait_ends_with_whatever_comes_first() -> None:
    """A reply, or the time; a reply that is there already isn't waited for."""
    clock, log = Clock(), list[tuple[float, int | None]]()

    def wait(reply: Reply[int], seconds: float) -> Process[None]:
        yield Wait(seconds, reply)
        log.append((clock.now, reply.value))
        yield Wait(reply=reply)
        log.append((clock.now, reply.value))

    soon, late = Reply[int](), Reply[int]()
    clock.at(2.0, lambda: soon.set(1))
    clock.at(2.5, lambda: soon.set(2))
    clock.at(9e9, lambda: late.set(3))
    clock.start(wait(soon, 5.0))
    clock.start(wait(late, 5.0))
    clock.run()
    assert log == [(2.0, 1), (2.0, 1), (5.0, None), (9e9, 3)]


@pytest.mark.parametrize("outage", [1.0, 2.0, 5.0, 10.0, 11.5, 12.0, 21.0, 30.0])
def test_a_budget_ends_a_retry_storm_within_5_seconds(outage: float) -> None:
    """Whether the outage ends while much of the budget is left, or little."""
    storm = run_storm(RetryPolicy(), RetryBudget(), outage=outage, ends=outage + 40)
    assert storm.last_failure < storm.outage_ends + 5.0
    during = range(20, math.ceil(storm.outage_ends))
    assert sum(storm.sent[second] for second in during) <= 1.2 * RATE * len(during) + 10 + outage
    assert max(storm.sent[second] for second in during) <= 1.4 * RATE


def test_retries_without_a_budget_never_leave_the_storm() -> None:
    """A minute later, each request is still sent three times, and none succeeds."""
    storm = run_storm(RetryPolicy(), ends=90.0)
    assert sum(storm.succeeded[second] for second in range(35, 90)) == 0
    assert sum(storm.sent[second] for second in range(80, 90)) > 2.9 * RATE * 10


def test_three_layers_of_retries_multiply() -> None:
    """By 27, and with a budget in each of them by less than 1.25 in each."""
    assert run_nested(RetryPolicy(), seconds=3) == [300, 900, 2700, 8100]
    requests, *received = run_nested(RetryPolicy(), RetryBudget(), seconds=10)
    for layers, attempts in enumerate(received, start=1):
        assert 1.1**layers < attempts / requests <= 1.25**layers


def test_full_jitter_needs_the_fewest_calls() -> None:
    """Half of those without jitter, and a tenth of the time."""
    none, equal, decorrelated, full = (run_contention(each, 100) for each in _KINDS)
    assert full.calls <= min(equal.calls, decorrelated.calls) * 1.02
    assert full.calls < none.calls / 2
    assert max(full.seconds, decorrelated.seconds) < none.seconds / 10
    assert full.seconds < equal.seconds


def test_a_client_alone_needs_one_call() -> None:
    """Four messages of 10 ms, about."""
    result = run_contention("full", 1)
    assert result.calls == 1
    assert 0.03 < result.seconds < 0.05


def test_hedging_cuts_the_tail_for_less_than_5_percent_more_load() -> None:
    """The 99.9th percentile gets ten times shorter; the median stays."""
    bare, hedged = (run_hedging(each, requests=10_000) for each in (None, Hedge()))
    assert bare.sent == len(bare.durations) == len(hedged.durations) == 10_000
    assert 1.03 * bare.sent < hedged.sent <= 1.05 * bare.sent
    assert hedged.percentile(99.9) < bare.percentile(99.9) / 10
    assert hedged.percentile(50) == pytest.approx(bare.percentile(50), rel=0.02)


@pytest.mark.parametrize(
    ("options", "longest_queue"),
    [
        (AdaptiveLimit(), 0.0),
        (AdaptiveLimit(algorithm="gradient"), 0.0),
        (AdaptiveLimit(algorithm="gradient"), math.inf),
    ],
    ids=["aimd", "gradient", "gradient-queue"],
)
def test_an_adaptive_limit_finds_the_capacity(options: AdaptiveLimit, longest_queue: float) -> None:
    """Within a fifth of what the server works on at once, whether it refuses or queues the rest."""
    result = run_adaptive(options, longest_queue=longest_queue, seconds=150)
    assert 0.8 * WORKERS <= result.settled_limit(60) <= 1.2 * WORKERS
    assert result.refused < result.succeeded / 1000


def test_a_simulation_is_the_same_each_time() -> None:
    """Another seed makes a difference."""
    first, again, other = (run_hedging(Hedge(), requests=500, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
