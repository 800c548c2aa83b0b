"""Whether the rest of a broken response may be asked for, and the wait before that request.

Each such request has its own flow. What they have in common is decided here: the limit on requests
without progress, the backoff, the budget and the deadline.
"""

import dataclasses

from typed_async_client.engine.fleet import settled, withdrawn
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Flow, Sleep
from typed_async_client.policies.facts import Facts
from typed_async_client.policies.retry import GiveUp, GiveUpReason, RetryAfter

__all__ = ["resume_flow"]


def resume_flow(run: Run, facts: Facts, failures: int) -> Flow[RetryAfter | GiveUp]:
    """Decide whether another request may ask for the rest, and wait until it is to be sent.

    Args:
        run: the policies, the limits and the deadline; it makes no attempt itself.
        facts: what is known about the response that broke.
        failures: requests in a row without progress, this one included, >= 1.

    Returns:
        ``RetryAfter`` when the wait is over, or at once why no request follows.
    """
    wanted = dataclasses.replace(facts, wanted=True, idempotent=True, replayable=True)
    decision = run.policies.retry.decide(
        wanted,
        retry=failures,
        random=run.random(),
        remaining=run.remaining(),
        previous=run.retry if failures > 1 else None,
        max_retries=run.context.max_retries,
        backoff=run.context.backoff,
    )
    if isinstance(decision, GiveUp):
        return decision
    run.states = run.policies.states_at(run.record.origin, run.now())
    run.is_deposited = True  # the requests themselves were counted
    try:
        if not (yield from withdrawn(run)):
            return GiveUp(GiveUpReason.BUDGET)
        run.retry = decision
        yield Sleep(decision.delay)
    except BaseException as interruption:  # the request isn't sent
        run.release()
        if not isinstance(interruption, GeneratorExit):  # else no driver performs another step
            yield from settled(run)
        raise
    run.take_withdrawal()
    return decision
