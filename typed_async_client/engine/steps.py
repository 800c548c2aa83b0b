"""The steps that a flow asks its driver for: everything that waits, sends or calls somebody else.

A flow writes ``answer = yield from Send(attempt)``: the step is yielded to the driver, and what the
driver sends back is the answer.
"""

import dataclasses
import math
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from typed_async_client.attempts import Attempt
from typed_async_client.engine.background import Background
from typed_async_client.engine.queues import Turn
from typed_async_client.events import AsyncEvent
from typed_async_client.outcome import Outcome

if TYPE_CHECKING:
    import httpx

__all__ = [
    "Acquire",
    "Cancel",
    "Child",
    "Consult",
    "Deliver",
    "Detach",
    "Discard",
    "Flow",
    "Join",
    "Publish",
    "Send",
    "Sleep",
    "Spawn",
    "Step",
]

T = TypeVar("T")


class Step(Generic[T]):
    """What a driver is to do; ``T`` is the type of its answer."""

    __slots__ = ()

    def __iter__(self) -> "Generator[Step[Any], Any, T]":
        answer: T = yield self
        return answer


Flow: TypeAlias = Generator[Step[Any], Any, T]
"""A generator that yields steps, is sent their answers, and returns a ``T``."""


class Child(Protocol):
    """A flow that runs beside the one that has spawned it.

    Attributes:
        outcome: what it ended with; None while it runs, and if it was cancelled.
    """

    outcome: Outcome | None


@dataclasses.dataclass(slots=True, eq=False)
class Send(Step[Outcome]):
    """Make an attempt; the answer is its outcome, at the latest when ``attempt.until`` is over."""

    attempt: Attempt


@dataclasses.dataclass(slots=True, eq=False)
class Acquire(Step[None]):
    """Wait until a turn in a queue is woken, or until the earlier of ``until`` and ``ask_at``.

    The flow looks then whether the turn has its permit, and leaves the queue if it gives up, so no
    driver has to touch what requests share.
    """

    turn: Turn[Any]


@dataclasses.dataclass(slots=True, eq=False)
class Sleep(Step[None]):
    """Sleep for a number of seconds."""

    seconds: float


@dataclasses.dataclass(slots=True, eq=False)
class Publish(Step[None]):
    """Publish an event; that never waits."""

    event: AsyncEvent


@dataclasses.dataclass(slots=True, eq=False)
class Consult(Step[Any]):
    """Call a function of the user, which may be async; the answer is its result.

    It is None if an async function has no result at ``until``, in monotonic seconds.
    """

    function: Callable[[Any], Any]
    argument: Any
    until: float = math.inf


@dataclasses.dataclass(slots=True, eq=False)
class Discard(Step[None]):
    """Read what little is left of a response, or close it; its connection serves the next request."""

    response: "httpx.Response"


@dataclasses.dataclass(slots=True, eq=False)
class Deliver(Step[BaseException | None]):
    """Hand a response over; the answer comes when its body has ended or was closed.

    The answer is the error that broke the body, or None. After it, only ``Publish`` may follow.
    """

    response: "httpx.Response"


@dataclasses.dataclass(slots=True, eq=False)
class Spawn(Step[Child]):
    """Run a flow beside this one; the answer stands for it."""

    flow: Flow[Outcome]


@dataclasses.dataclass(slots=True, eq=False)
class Join(Step[Child | None]):
    """Wait for the first of several flows to end, until an instant in monotonic seconds.

    The answer is one that has ended, or None if none has in time. The error of a flow that has
    raised is raised here.
    """

    children: Sequence[Child]
    until: float


@dataclasses.dataclass(slots=True, eq=False)
class Cancel(Step[None]):
    """Cancel flows and wait for their end, even if that wait is interrupted.

    A flow can end in the very turn in which it is cancelled: then it has an outcome, whose response
    must be discarded.
    """

    children: Sequence[Child]


@dataclasses.dataclass(slots=True, eq=False)
class Detach(Step[None]):
    """Let flows run on that nobody waits for, at most a number of seconds; what they raise is lost.

    They publish nothing more, and end by themselves what they have begun.
    """

    children: Sequence[Child]
    background: Background
    seconds: float
