"""Whether the rest of a broken response may be asked for, and the wait before that request.

Each such request has its own flow. What they have in common is decided here: the limit on requests
without progress, the backoff, the budget and the deadline.
"""

from typed_async_client.engine.fleet import waited, withdrawn
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Flow
from typed_async_client.policies.classify import Fault
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.retry import GiveUp, GiveUpReason, RetryAfter

__all__ = ["resume_flow"]


def resume_flow(run: Run, fault: Fault, failures: int) -> Flow[RetryAfter | GiveUp]:
    """Decide whether another request may ask for the rest, and wait until it is to be sent.

    Args:
        run: the policies, the limits and the deadline; it makes no attempt itself.
        fault: what broke the response; it is retried even if the policy doesn't retry it.
        failures: requests in a row without progress, this one included, >= 1.

    Returns:
        ``RetryAfter`` when the wait is over, or at once why no request follows.
    """
    decision = run.policies.retry.decide(
        Facts(fault=fault, sent=Sent.ANSWERED, idempotent=True, wanted=True),
        retry=failures,
        random=run.random(),
        remaining=run.remaining(),
        previous=run.retry if failures > 1 else None,
        max_retries=run.context.max_retries,
        backoff=run.context.backoff,
    )
    if isinstance(decision, GiveUp):
        return decision
    run.is_deposited = True  # the requests themselves were counted
    run.enter_policies()
    if not (yield from withdrawn(run)):
        return GiveUp(GiveUpReason.BUDGET)
    run.retry = decision
    yield from waited(run, decision.delay)
    run.take_withdrawal()
    return decision
