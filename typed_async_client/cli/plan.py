"""Which requests the demo makes: drawn from a seed, so that the same seed draws the same ones.

Pure: it knows the kinds of trouble and how often each comes, not how a server makes it.
"""

import dataclasses
import enum
import random

__all__ = ["MAX_RETRIES", "Kind", "Planned", "draw_plan"]


class Kind(enum.StrEnum):
    """What the server does to a request."""

    ANSWERED = "answered"
    SLOW = "answered slowly"
    UNAVAILABLE = "answered 503"
    RECOVERING = "refused at first"
    REFUSED = "refused for good"
    RESET = "reset"
    CUT_SHORT = "half a body"
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
"""How many of 100 requests are of each kind, about."""

MAX_RETRIES = 3
"""Retries of each request; no more attempts than these are refused at first."""


@dataclasses.dataclass(frozen=True, slots=True)
class Planned:
    """One request of the demo.

    Attributes:
        request_id: its name.
        kind: what the server does to it.
        refusals: attempts that are refused before the server listens; 0 when it always does.
    """

    request_id: str
    kind: Kind
    refusals: int = 0


def draw_plan(requests: int, seed: int) -> tuple[Planned, ...]:
    """Draw so many requests from a seed."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    kinds = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=requests)
    return tuple(
        Planned(
            f"demo-{number:05}",
            kind,
            refusals=chance.randint(1, MAX_RETRIES) if kind is Kind.RECOVERING else 0,
        )
        for number, kind in enumerate(kinds, 1)
    )
