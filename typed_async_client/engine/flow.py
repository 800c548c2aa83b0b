"""The flow of one request, as a generator of steps: the only place where the order of things stands.

Outermost first: deadline, retries within their budget, hedging, then for each attempt what
``admission.py`` asks for, its own time limit, and the send. The flow never sends, waits, or reads a
clock or random numbers itself; the drivers do, so one flow serves both kinds of client.
"""

from typing import TYPE_CHECKING, Any, cast

from typed_async_client.engine.ending import concluded, decoded, raise_bad_status
from typed_async_client.engine.fleet import settled, withdrawn
from typed_async_client.engine.guarded import guarded_attempt, judged
from typed_async_client.engine.hedging import hedged_attempt
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Deliver, Discard, Flow, Publish, Send, Sleep
from typed_async_client.facts import is_closed
from typed_async_client.outcome import Outcome
from typed_async_client.policies.retry import GiveUp, GiveUpReason, RetryAfter

if TYPE_CHECKING:
    import httpx

__all__ = ["request_flow"]


def request_flow(run: Run) -> Flow[Any]:  # noqa: C901, PLR0912 - the order of all steps
    """Yield the steps of one request.

    The last step always publishes the terminal event, even if a cancellation is thrown in at any
    other.

    Returns:
        The response, or what its body was decoded as, if an attempt was answered and no policy turns
        that into an error.

    Raises:
        ConnectError: every allowed attempt to connect has failed.
        RejectedError: a policy has refused the request.
        GaveUpError: a policy allows no other attempt.
        Exception: the error of the last attempt.
    """
    try:
        policies = run.policies
        if policies.is_plain:  # nearly every request of a client without policies ends here
            run.count_attempt()
            outcome: Outcome = yield Send(run.new_attempt())
            outcome.ended = run.now()
        else:
            outcome = yield from _guarded(run)
        if outcome.facts.fault is not None or not policies.retry.is_content_with(outcome.facts):
            outcome = yield from _retried(run, outcome)
        else:
            run.keep_success(outcome)
        if policies.shared:
            yield from _settled(run, outcome)
        if run.raise_on_status:
            raise_bad_status(run, outcome)
        response: Any = outcome.response
        if response is not None and not is_closed(response):
            outcome = yield from _delivered(outcome)
        if run.decode is not None:
            response = decoded(run, outcome, run.decode)
    except GeneratorExit:  # the flow was closed: no driver will perform another step
        raise
    except BaseException as error:
        yield from _interrupted(run, error)
        raise
    finally:
        if run.admissions or run.withdrawal is not None:
            run.release()
    yield Publish(run.end_event(outcome))
    if outcome.response is None:
        try:
            raise cast("Exception", outcome.error)
        finally:
            del outcome  # the error refers to this frame
    return response


def _interrupted(run: Run, error: BaseException) -> Flow[None]:
    """Publish the terminal event of a request that ends with an exception from outside its attempts.

    Args:
        run: the request.
        error: what the caller's own code has raised, or a cancellation.
    """
    run.release()
    if run.policies.is_plain:  # behind policies, it is on the record already
        run.keep_latest(error)
    try:
        if run.policies.shared:
            yield from settled(run)
    except GeneratorExit:
        raise
    except BaseException as another:
        yield Publish(run.failed_event(another))
        raise
    yield Publish(run.failed_event(error))


def _settled(run: Run, outcome: Outcome) -> Flow[None]:
    """Settle the shared budget before the response is handed over; close it if that is interrupted."""
    try:
        yield from settled(run)
    except GeneratorExit:
        raise
    except BaseException:
        if outcome.response is not None:
            yield from Discard(outcome.response)
        raise


def _retried(run: Run, outcome: Outcome) -> Flow[Outcome]:
    """Make more attempts until no other may follow; return what the request ends with.

    Args:
        run: the request.
        outcome: the outcome of its first attempt, which may be worth another.
    """
    while True:
        decision = yield from _announced(run, outcome)
        if isinstance(decision, GiveUp):
            return (yield from concluded(run, outcome, decision))
        if outcome.response is not None:
            yield from Discard(outcome.response)
        if outcome.admission is not None:
            outcome.admission.release()
        run.retry = decision
        del outcome  # its error refers to this frame
        yield from Sleep(decision.delay)
        if run.policies.is_plain:
            run.count_attempt()
            outcome = yield from Send(run.new_attempt())
            outcome.ended = run.now()
        else:
            outcome = yield from _guarded(run)
        if run.policies.retry.is_content_with(outcome.facts):
            run.keep_success(outcome)
            return outcome


def _announced(run: Run, outcome: Outcome) -> Flow[RetryAfter | GiveUp]:
    """Decide what follows an attempt, keep its record, and announce the retry if there is one."""
    decision: RetryAfter | GiveUp | None = None
    try:
        decision = yield from _decided(run, outcome)
        run.keep(outcome, decision)
        if isinstance(decision, RetryAfter):
            yield from Publish(run.retry_event(outcome, decision))
    except GeneratorExit:
        raise
    except BaseException:  # the caller's own function has raised, or was cancelled
        if decision is None:
            run.keep(outcome)
        if outcome.response is not None:
            yield from Discard(outcome.response)
        raise
    return decision


def _guarded(run: Run) -> Flow[Outcome]:
    """Return the flow of one attempt behind the policies, and of copies of it if it is slow."""
    run.enter_policies()
    run.count_attempt()
    return guarded_attempt(run) if run.policies.options.hedge is None else hedged_attempt(run)


def _decided(run: Run, outcome: Outcome) -> Flow[RetryAfter | GiveUp]:
    """Decide what follows an attempt."""
    policy, context = run.policies.retry, run.context
    yield from judged(run, outcome)
    decision = policy.decide(
        outcome.facts,
        retry=context.current_attempt + 1,
        random=run.random(),
        remaining=run.remaining(),
        previous=run.retry,
        max_retries=context.max_retries,
        backoff=context.backoff,
    )
    if isinstance(decision, RetryAfter) and not (yield from withdrawn(run)):
        decision = GiveUp(GiveUpReason.BUDGET, outcome.facts.retry_after)
    if isinstance(decision, RetryAfter) or decision.is_counted:
        run.context = context.increment_attempt()
    elif outcome.error is None:
        run.refund_success(outcome)
    return decision


def _delivered(outcome: Outcome) -> Flow[Outcome]:
    """Hand the response over, and return the outcome with its body."""
    response = cast("httpx.Response", outcome.response)
    try:
        error = yield from Deliver(response)
    except GeneratorExit:
        raise
    except BaseException:  # it couldn't be handed over
        yield from Discard(response)
        raise
    return outcome if error is None else Outcome.of_broken_body(outcome, error)
