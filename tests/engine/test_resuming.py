"""Whether the rest of a broken response is asked for, decided by hand: limits, backoff, budget, deadline."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from run_kit import Clock, new_run

from typed_async_client import RequestContext, Resilience
from typed_async_client.engine.resuming import resume_flow
from typed_async_client.engine.run import Run
from typed_async_client.engine.shared import SharedPolicies
from typed_async_client.engine.steps import Consult, Sleep, Step
from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.classify import Fault
from typed_async_client.policies.retry import GiveUp, GiveUpReason, RetryAfter, RetryPolicy
from typed_async_client.stores.local import SyncLocalStore

LOST = Fault.LOST
ONE = RetryBudget(ratio=0.0, min_per_second=1.0, ttl=1.0)
STEADY = RetryPolicy(jitter="none", base_delay=1.0, max_retries=3)
LIMITED = Resilience(retry=STEADY, budget=ONE)


def played(
    run: Run, failures: int, on_step: Callable[[Step[Any]], object] = lambda _: None
) -> tuple[RetryAfter | GiveUp, list[float]]:
    """Perform the steps of a flow; return what it returns, and how long it has slept."""
    flow, slept, answer = resume_flow(run, LOST, failures), [], None
    try:
        while True:
            step = flow.send(answer)
            answer = None
            try:
                on_step(step)
                match step:
                    case Sleep(seconds=seconds):
                        slept.append(seconds)
                    case Consult(function=function, argument=argument):
                        answer = function(argument)
                    case _:
                        pytest.fail(f"unexpected: {step}")
            except asyncio.CancelledError as interruption:
                step = flow.throw(interruption)
                assert isinstance(step, Consult)
                answer = step.function(step.argument)
    except StopIteration as ended:
        return ended.value, slept


def cancel_sleep(step: Step[Any]) -> None:
    """Cancel a wait."""
    if isinstance(step, Sleep):
        raise asyncio.CancelledError


def test_the_waits_grow_until_the_retries_are_used_up() -> None:
    """As between the attempts of a request, and even if its policy doesn't retry what was lost."""
    policies = Resilience(
        retry=RetryPolicy(jitter="none", base_delay=1.0, faults=(), max_retries=3)
    )
    run = new_run(policies)
    assert [played(run, failures)[1] for failures in (1, 2, 3, 1)] == [[1.0], [2.0], [4.0], [1.0]]
    assert played(run, 4) == (GiveUp(GiveUpReason.RETRIES), [])


def test_the_limits_of_the_context_apply() -> None:
    """They replace those of the policy."""
    context = RequestContext(max_retries=1, base_delay=0.5)
    run = new_run(Resilience(retry=STEADY), context=context)
    assert played(run, 1) == (RetryAfter(0.5), [0.5])
    assert played(run, 2) == (GiveUp(GiveUpReason.RETRIES), [])


def test_no_wait_passes_the_deadline() -> None:
    """It ends at once what couldn't end in time."""
    clock = Clock()
    run = new_run(Resilience(retry=STEADY), clock=clock, seconds=2.5)
    assert played(run, 2)[1] == [2.0]
    clock.now += 1.0
    assert played(run, 2) == (GiveUp(GiveUpReason.DEADLINE), [])


@pytest.mark.parametrize("is_shared", [False, True])
def test_each_request_for_the_rest_is_taken_from_the_budget(*, is_shared: bool) -> None:
    """One that waits when it is cancelled gives it back; the requests count themselves."""
    shared = SharedPolicies(SyncLocalStore() if is_shared else None)
    run = new_run(LIMITED, shared=shared)
    with pytest.raises(asyncio.CancelledError):
        played(run, 1, cancel_sleep)
    assert run.withdrawal is None
    assert played(run, 1) == (RetryAfter(1.0), [1.0])
    assert run.withdrawal is None
    assert played(run, 1) == (GiveUp(GiveUpReason.BUDGET), [])


def test_a_flow_that_is_dropped_gives_back_what_it_has_taken() -> None:
    """Its driver was closed while it slept, and performs no other step."""
    run = new_run(LIMITED)
    flow = resume_flow(run, LOST, 1)
    assert isinstance(next(flow), Sleep)
    flow.close()
    assert run.states["budget"].balance(run.now()) == pytest.approx(1.0)


def test_a_wait_depends_on_the_one_before_it_only_without_progress() -> None:
    """With decorrelated jitter, whose delays follow from each other."""
    policy = RetryPolicy(jitter="decorrelated", base_delay=1.0, max_delay=100.0, max_retries=9)
    run = new_run(Resilience(retry=policy))
    first, second, after_progress = (played(run, failures)[1] for failures in (1, 2, 1))
    assert first < second
    assert after_progress == first


def test_a_download_is_not_counted_as_a_request() -> None:
    """Only its requests are, each by itself."""
    budget = RetryBudget(ratio=1.0, min_per_second=1.0, ttl=1.0)
    run = new_run(Resilience(retry=STEADY, budget=budget))
    assert played(run, 1) == (RetryAfter(1.0), [1.0])
    assert played(run, 1) == (GiveUp(GiveUpReason.BUDGET), [])
