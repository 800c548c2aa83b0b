"""The requests of the demo, generated from a seed: the same seed generates the same requests.

Pure: it defines the kinds of fault and their frequency. ``demo_server.py`` produces the faults.
"""

import dataclasses
import enum
import random

__all__ = ["MAX_RETRIES", "Kind", "PlannedRequest", "make_plan"]


class Kind(enum.StrEnum):
    """What happens to a request."""

    ANSWERED = "answered"
    SLOW = "slow answer"
    UNAVAILABLE = "answered 503"
    RECOVERING = "refused at first"
    REFUSED = "always refused"
    RESET = "reset"
    CUT_SHORT = "body cut short"
    STALLED = "stalled"
    CANCELLED = "cancelled"


_WEIGHTS = {
    Kind.ANSWERED: 30,
    Kind.SLOW: 10,
    Kind.UNAVAILABLE: 8,
    Kind.RECOVERING: 18,
    Kind.REFUSED: 8,
    Kind.RESET: 7,
    Kind.CUT_SHORT: 7,
    Kind.STALLED: 7,
    Kind.CANCELLED: 5,
}
"""Roughly how many of 100 requests are of each kind."""

MAX_RETRIES = 3
"""Retries of each request, and the most attempts that a recovering server refuses."""


@dataclasses.dataclass(frozen=True, slots=True)
class PlannedRequest:
    """One request of the demo.

    Attributes:
        request_id: its id.
        kind: what happens to it.
        refusals: attempts that are refused before the server listens; 0 if it always listens.
    """

    request_id: str
    kind: Kind
    refusals: int = 0


def make_plan(requests: int, seed: int) -> tuple[PlannedRequest, ...]:
    """Generate a number of requests from a seed."""
    generator = random.Random(seed)  # noqa: S311 - repeatable on purpose
    kinds = generator.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=requests)
    return tuple(
        PlannedRequest(
            f"demo-{number:05}",
            kind,
            refusals=generator.randint(1, MAX_RETRIES) if kind is Kind.RECOVERING else 0,
        )
        for number, kind in enumerate(kinds, 1)
    )
