"""The flow of one request, as a generator of steps: the only place where the order of things stands.

Outermost first: deadline, retries within their budget, hedging, then for each attempt what
``admission.py`` asks for, its own time limit, and the send. The flow never sends, waits, or reads a
clock or random numbers itself; the drivers do, so one flow serves both kinds of client.
"""

import dataclasses
from typing import TYPE_CHECKING, cast

from typed_async_client.engine.ending import concluded
from typed_async_client.engine.guarded import guarded_attempt
from typed_async_client.engine.hedging import hedged_attempt
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Consult, Deliver, Discard, Flow, Publish, Send, Sleep
from typed_async_client.outcome import Outcome
from typed_async_client.policies.retry import GiveUp, GiveUpReason, RetryAfter

if TYPE_CHECKING:
    import httpx

__all__ = ["request_flow"]

_FINAL = GiveUp(GiveUpReason.FINAL)


def request_flow(run: Run) -> Flow["httpx.Response"]:
    """Yield the steps of one request.

    The last step always publishes the terminal event, even if a cancellation is thrown in at any
    other.

    Returns:
        The response, if an attempt was answered and no policy turns that into an error.

    Raises:
        ConnectError: every allowed attempt to connect has failed.
        RejectedError: a policy has refused the request.
        GaveUpError: a policy allows no other attempt.
        Exception: the error of the last attempt.
    """
    try:
        outcome = yield from _retried(run)
        if outcome.error is None:
            outcome = yield from _delivered(outcome)
    except GeneratorExit:  # the flow was closed: no driver will perform another step
        raise
    except Exception as error:
        yield Publish(run.failed_event(error))
        raise
    except BaseException as interruption:
        yield Publish(run.cancelled_event(interruption))
        raise
    finally:
        run.release()
    yield Publish(run.end_event(outcome))
    if outcome.error is not None:
        try:
            raise outcome.error
        finally:
            del outcome  # the error refers to this frame
    return cast("httpx.Response", outcome.response)


def _retried(run: Run) -> Flow[Outcome]:
    """Make attempts until no other may follow; return what the request ends with."""
    policies = run.policies
    if policies.budget is not None:
        policies.budget.at(run.record.origin, run.started).deposit(run.started)
    while True:
        run.attempts += 1
        outcome = yield from _attempt(run)
        try:
            decision = yield from _decided(run, outcome)
            run.keep(outcome, decision)
        except GeneratorExit:
            raise
        except BaseException:  # the caller's own function has raised, or was cancelled
            if outcome.response is not None:
                yield from Discard(outcome.response)
            raise
        if isinstance(decision, GiveUp):
            return (yield from concluded(run, outcome, decision))
        yield from Publish(run.retry_event(outcome, decision))
        if outcome.response is not None:
            yield from Discard(outcome.response)
        run.release()  # a request that sleeps holds no permit
        run.retry = decision
        try:
            yield from Sleep(decision.delay)
        except BaseException:
            run.budget_refund()  # the retry is never sent
            raise
        del outcome  # its error refers to this frame


def _attempt(run: Run) -> Flow[Outcome]:
    """Make one attempt, and its copies if it is slow."""
    policies = run.policies
    if policies.hedge is not None:
        return (yield from hedged_attempt(run))
    if not policies.is_plain:
        return (yield from guarded_attempt(run))
    attempt = run.new_attempt()
    outcome = yield from Send(attempt)
    outcome.attempt, outcome.ended = attempt, run.now()
    return outcome


def _decided(run: Run, outcome: Outcome) -> Flow[RetryAfter | GiveUp]:
    """Decide what follows an attempt."""
    policy, context = run.policies.retry, run.context
    if outcome.response is not None and policy.when is not None:
        wanted = yield from Consult(policy.when, outcome.response)
        if wanted is not None:
            outcome.facts = dataclasses.replace(outcome.facts, wanted=bool(wanted))
    elif outcome.error is not None and policy.on:
        matches = policy.matches(outcome.error)
        outcome.facts = dataclasses.replace(outcome.facts, matches=matches)
    facts = outcome.facts
    if outcome.error is None and policy.is_content_with(facts):
        run.budget_refund()
        return _FINAL
    decision = policy.decide(
        facts,
        retry=context.current_attempt + 1,
        random=run.random(),
        remaining=run.remaining(),
        previous=run.retry,
        max_retries=context.max_retries,
        backoff=context.backoff,
    )
    if isinstance(decision, RetryAfter) and not run.budget_withdraw():
        decision = GiveUp(GiveUpReason.BUDGET, facts.retry_after)
    if isinstance(decision, RetryAfter) or decision.is_counted:
        run.context = context.increment_attempt()
    return decision


def _delivered(outcome: Outcome) -> Flow[Outcome]:
    """Hand the response over, and return the outcome with its body."""
    error = yield from Deliver(cast("httpx.Response", outcome.response))
    if error is None:
        return outcome
    if not isinstance(error, Exception):
        raise error
    return Outcome.of_broken_body(outcome, error)
