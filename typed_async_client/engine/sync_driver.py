"""Performs the steps of a flow synchronously, in whichever thread the request was made.

The policies are shared by threads: a lock is held while the flow runs, and never while anything is
waited for, sent or called.
"""

import math
import threading
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, assert_never, cast

from typed_async_client.attempts import Attempt
from typed_async_client.engine.queues import Turn
from typed_async_client.engine.steps import (
    Acquire,
    Consult,
    Deliver,
    Discard,
    Flow,
    Publish,
    Send,
    Sleep,
    Spawn,
    Step,
)
from typed_async_client.events import AsyncEvent
from typed_async_client.facts import is_timeout
from typed_async_client.outcome import Outcome

if TYPE_CHECKING:
    import httpx

    from typed_async_client.record import RequestRecord
    from typed_async_client.sent import SentLog

__all__ = ["LockedFlow", "SyncDriver", "SyncSender"]

T = TypeVar("T")


class SyncSender(Protocol):
    """Makes the attempts of one request."""

    record: "RequestRecord"

    def begin(self, attempt: Attempt) -> "SentLog":
        """Start a new log of what is sent, for an attempt that starts now."""

    def send(self, attempt: Attempt) -> "httpx.Response":
        """Send the request once."""

    def discard(self, response: "httpx.Response") -> None:
        """Read what little is left of a response, or close it."""

    def hand_over(
        self, response: "httpx.Response", flow: Flow[Any], publish: Callable[[AsyncEvent], None]
    ) -> "httpx.Response | None":
        """Return a response that resumes ``flow`` when its body has ended, and publishes the rest.

        None if the body has been read already.
        """


class LockedFlow(Generator[Step[Any], Any, T]):
    """A flow that holds a lock while it runs.

    Args:
        flow: the flow.
        lock: the lock, which a thread may take again while it has it.
    """

    def __init__(self, flow: Flow[T], lock: "threading.RLock") -> None:
        self._flow = flow
        self._lock = lock

    def send(self, value: Any, /) -> Step[Any]:
        """Resume the flow with the answer to its last step."""
        with self._lock:
            return self._locked(self._flow.send(value))

    def throw(self, *error: Any) -> Step[Any]:
        """Resume the flow with an exception."""
        with self._lock:
            return self._locked(self._flow.throw(*error))

    def close(self) -> None:
        """End the flow, which gives back what the policies have granted."""
        with self._lock:
            self._flow.close()

    def _locked(self, step: Step[Any]) -> Step[Any]:
        """Let a flow that is to run beside this one hold the lock, too."""
        if isinstance(step, Spawn):
            step.flow = LockedFlow(step.flow, self._lock)
        return step


class SyncDriver:
    """Performs the steps of one request.

    Args:
        sender: makes the attempts; an exception that it raises becomes an outcome.
        publish: publishes an event.
        sleep: sleeps for a number of seconds.
    """

    __slots__ = ("_publish", "_sender", "_sleep")

    def __init__(
        self,
        sender: SyncSender,
        publish: Callable[[AsyncEvent], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._publish = publish
        self._sender = sender
        self._sleep = sleep

    def drive(self, flow: Flow[T]) -> T:
        """Perform the steps of a flow, and return what it returns.

        Raises:
            BaseException: what the flow raises, such as the error of the request.
        """
        answer: Any = None
        step: Any = None
        try:
            step = next(flow)  # it may end at once: a copy that a policy refuses
            while True:
                answer = None
                try:
                    if isinstance(step, Deliver):
                        open_response = self._sender.hand_over(step.response, flow, self._publish)
                        if open_response is not None:
                            return cast("T", open_response)
                    else:
                        answer = self._perform(step)
                except BaseException as exc:  # noqa: BLE001 - the flow handles or raises it
                    step = flow.throw(exc)
                else:
                    step = flow.send(answer)
        except StopIteration as finished:
            return cast("T", finished.value)
        finally:
            del answer, flow, self, step  # the error of the request refers to this frame

    def _perform(self, step: Any) -> Any:
        match step:
            case Send(attempt=attempt):
                return self._send(attempt)
            case Publish(event=event):
                self._publish(event)
            case Sleep(seconds=seconds):
                self._sleep(seconds)
            case Discard(response=response):
                self._sender.discard(response)
            case Acquire(turn=turn):
                _wait_for(turn)
            case Consult(function=function, argument=argument):
                return function(argument)
            case _:
                assert_never(step)
        return None

    def _send(self, attempt: Attempt) -> Outcome:
        log = self._sender.begin(attempt)
        record = self._sender.record
        try:
            return Outcome.of_response(self._sender.send(attempt), attempt, log)
        except Exception as error:  # noqa: BLE001 - httpx may raise any
            # The timeouts of httpx were shortened to the end of the attempt.
            is_expired = is_timeout(error) and time.monotonic() >= attempt.until
            ended = Outcome.of_expiry if is_expired else Outcome.of_error
            return ended(error, attempt, log, record)


def _wait_for(turn: Turn[Any]) -> None:
    """Wait until a turn is woken, until it must be asked for again, or until it took too long."""
    woken = threading.Event()
    turn.wake = woken.set
    if turn.permit is None:  # else another thread has given it before it could wake anybody
        until = min(turn.until, turn.ask_at)
        woken.wait(None if until == math.inf else max(0.0, until - time.monotonic()))
