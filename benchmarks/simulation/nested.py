"""Services behind each other, each of which retries: how the last server's load multiplies."""

from random import Random

from simulation.clock import Clock, Process, Wait
from simulation.retrying import Client, answered
from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.facts import Facts
from typed_async_client.policies.retry import RetryPolicy

__all__ = ["run_nested"]

RATE = 100
"""Requests per second."""
HOP = 0.005
"""Seconds that a service adds to a request."""


def run_nested(
    policy: RetryPolicy,
    budget: RetryBudget | None = None,
    *,
    layers: int = 3,
    seconds: float = 60.0,
    seed: int = 1,
) -> list[int]:
    """Send requests through services to a server that answers 503.

    Returns:
        How many requests were made, and how many attempts each layer received, outermost first.
    """
    clock, random = Clock(), Random(seed)
    requests = round(seconds * RATE)
    received = [0] * layers

    def service(layer: int) -> Client:
        """Return the client that calls a layer; each one retries with its own budget."""
        below = service(layer + 1) if layer + 1 < layers else None

        def attempt() -> Process[Facts]:
            received[layer] += 1
            yield Wait(HOP)
            is_success = below is not None and (yield from below.request())
            return answered(200 if is_success else 503)

        state = None if budget is None else budget.start()
        return Client(clock, random, attempt, policy, state)

    front = service(0)

    def request() -> Process[None]:
        yield from front.request()

    for number in range(requests):
        clock.start(request(), at=number / RATE)
    clock.run()
    return [requests, *received]
