"""Decides which requests of ``rescue.py`` fail, and how.

Pure. A fault depends on the seed, the number of the request and the number of its attempt, so every
client meets the same ones, in whatever order it sends.
"""

import dataclasses
import enum
import json
import random
from collections.abc import Sequence
from typing import Final, Self

__all__ = ["EXECUTED", "Fault", "Plan", "Request", "Window"]

ATTEMPTS: Final = 3
"""Attempts that each client may make."""

POSTS, KEYED = 0.2, 0.5
"""Share of POSTs, and of those with an idempotency key."""


class Fault(enum.StrEnum):
    """What the server does instead of answering at once."""

    NONE = enum.auto()
    UNAVAILABLE = enum.auto()  #: answers 503 without executing the request
    BUSY = enum.auto()  #: the same, with Retry-After: 1
    THROTTLED = enum.auto()  #: answers 429 without executing it
    BAD_GATEWAY = enum.auto()  #: executes it and answers 502, as a gateway that lost the answer
    RESET = enum.auto()  #: executes it and resets the connection
    CUT = enum.auto()  #: executes it and closes the connection within the body
    STALL = enum.auto()  #: executes it and never answers
    SLOW = enum.auto()  #: answers late, but in time


SHARES: Final = {
    Fault.UNAVAILABLE: 0.03,
    Fault.BUSY: 0.005,
    Fault.THROTTLED: 0.015,
    Fault.BAD_GATEWAY: 0.015,
    Fault.RESET: 0.02,
    Fault.CUT: 0.015,
    Fault.STALL: 0.015,
    Fault.SLOW: 0.02,
}
"""Share of the attempts that meet each fault."""

EXECUTED: Final = frozenset(
    {Fault.NONE, Fault.SLOW, Fault.BAD_GATEWAY, Fault.RESET, Fault.CUT, Fault.STALL}
)
_ANSWERED: Final = frozenset({Fault.NONE, Fault.SLOW})

Window = tuple[float, float]
"""Start and end, in seconds since the start."""


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One request of the load.

    Attributes:
        number: identifies it.
        method: ``"GET"`` or ``"POST"``.
        key: the idempotency key that its caller sends; None without one.
    """

    number: int
    method: str
    key: str | None

    @property
    def body(self) -> bytes:
        """The body of its answer."""
        return b'{"item": %d, "name": "%s"}' % (self.number, b"x" * 200)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What happens in one turn; seconds count from its start.

    Attributes:
        seed: of the faults.
        requests: how many there are at most.
        rate: how many start per second.
        has_faults: whether single requests meet faults.
        refused: when the server accepts no connections, and closes idle ones.
        throttled: when it answers everything with 429 and the seconds left as ``Retry-After``.
        outage: when it answers everything with 503.
    """

    seed: int
    requests: int
    rate: float
    has_faults: bool = True
    refused: tuple[Window, ...] = ()
    throttled: tuple[Window, ...] = ()
    outage: Window | None = None

    def to_json(self) -> str:
        """Return the plan for another process."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what ``to_json()`` has returned."""
        return cls(**json.loads(text))

    def request(self, number: int) -> Request:
        """Return a request of the load."""
        draw = self._draw(number, "request")
        method = "POST" if self.has_faults and draw < POSTS else "GET"
        key = f"order-{number}" if method == "POST" and draw < POSTS * KEYED else None
        return Request(number, method, key)

    def fault(self, number: int, attempt: int) -> Fault:
        """Return what an attempt of a request meets, 0 for its first."""
        draw = self._draw(number, attempt) if self.has_faults else 1.0
        for fault, share in SHARES.items():
            draw -= share
            if draw < 0:
                return fault
        return Fault.NONE

    def can_be_answered(self, number: int) -> bool:
        """Whether a client can get an answer to a request in three attempts, safely."""
        request = self.request(number)
        faults = [self.fault(number, attempt) for attempt in range(ATTEMPTS)]
        return self.is_answerable(request.method, faults, has_key=request.key is not None)

    @staticmethod
    def is_answerable(method: str, faults: Sequence[Fault], *, has_key: bool) -> bool:
        """Whether attempts with these faults get an answer, and risk no second execution.

        A client can't know whether a request that was answered with 502 or 503 was executed.
        """
        for fault in faults:
            if fault in _ANSWERED:
                return True
            if method == "POST" and not has_key and fault is not Fault.THROTTLED:
                return False
        return False

    def _draw(self, *what: object) -> float:
        return random.Random(f"{self.seed}/{what}").random()  # noqa: S311 - reproducible
