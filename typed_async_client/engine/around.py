"""A request with middleware: what stands around its attempts, and the state of each inner call.

The middleware is called inside the request's record. However often it calls the next one, the request
has one deadline, one history, and one terminal event, which follows what the middleware has returned
or raised.
"""

import abc
import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from typed_async_client.engine.ending import decoded_or_raised
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Consult, Deliver, Flow, Publish
from typed_async_client.errors import RejectedError
from typed_async_client.events import AsyncEvent, EventType
from typed_async_client.facts import fault_of, is_closed
from typed_async_client.policies.classify import Fault

if TYPE_CHECKING:
    import httpx

    from typed_async_client.attempts import AttemptRecord
    from typed_async_client.context import RequestContext
    from typed_async_client.outcome import Outcome
    from typed_async_client.policies.retry import GiveUp, RetryAfter

__all__ = ["CallRun", "Chain", "around_flow"]


class CallRun(Run):
    """The state of one inner call: its own attempts and retries, within a request.

    Its attempts are counted and recorded by the request, which is also what its events name. Its
    terminal event says how the call has ended; it isn't the request's, and isn't published.

    Args:
        request: the state of the request.
        *args: as for ``Run``.
        deadline: when the call must have ended, in monotonic seconds; that of the request applies
            too.
        **options: as for ``Run``.
    """

    __slots__ = ("_request",)

    def __init__(
        self, request: Run, *args: Any, deadline: float = math.inf, **options: Any
    ) -> None:
        super().__init__(*args, deadline=min(deadline, request.deadline), **options)
        self._request = request
        own = request.context
        if self.context.request_id != own.request_id:  # in a transport, calls bring no context
            self.context: RequestContext = dataclasses.replace(
                self.context, request_id=own.request_id, created_at=own.created_at
            )
        self.started: float = request.started
        self.is_deposited: bool = request.is_deposited
        request.is_deposited = True

    def count_attempt(self, by: int = 1) -> None:
        """Count an attempt; its number counts all attempts of the request."""
        self._request.attempts += by
        self.attempts: int = self._request.attempts

    def keep(self, outcome: "Outcome", decision: "RetryAfter | GiveUp | None" = None) -> None:
        """Add the record of an attempt to the history of the request."""
        self.history: tuple[AttemptRecord, ...] = self._request.history
        super().keep(outcome, decision)
        self._request.history = self.history

    def keep_success(self, outcome: "Outcome") -> None:
        """Add the record of an attempt that needs no other; earlier calls may have made some."""
        self.refund_success(outcome)
        self.keep(outcome)

    def event(
        self, kind: EventType, data: Any = None, error: BaseException | None = None
    ) -> AsyncEvent:
        """Create the next event of the request; or the last one of this call, which has no number."""
        request = self._request
        request.context = self.context
        if not kind.is_terminal:
            return request.event(kind, data, error)
        request.record.resends += self.record.resends
        return super().event(kind, data, error)


class Chain(abc.ABC):
    """The middleware of one request, and the calls that it makes.

    Args:
        publish: publishes an event of the request.
    """

    def __init__(self, publish: Callable[[AsyncEvent], None]) -> None:
        self._failure: AsyncEvent | None = None
        self._publish: Callable[[AsyncEvent], None] | None = publish

    @abc.abstractmethod
    def __call__(self, call: Any) -> Any:
        """Call the middleware, outermost first; return its response, or an awaitable of it."""

    def emit(self, event: AsyncEvent) -> None:
        """Publish an event of a call, unless it is the last one of the call, or comes too late."""
        if event.event_type.is_terminal:
            self._failure = None if event.error is None else event
        elif self._publish is not None:
            self._publish(event)

    @property
    def is_over(self) -> bool:
        """Whether the middleware has returned or raised, so that no other call may begin."""
        return self._publish is None

    def close(self) -> None:
        """Let no other call begin, and publish nothing more.

        The error of the request refers to this object, which mustn't refer to who keeps the error.
        """
        self._publish = None

    def take_kind(self, error: Exception) -> EventType:
        """Return the kind of the terminal event of a request that ends with an error; forget it.

        It is that of the call that has failed with the same error.
        """
        failure, self._failure = self._failure, None
        if failure is not None and failure.error is error:
            return failure.event_type
        if isinstance(error, RejectedError):
            return EventType.REJECTED
        return EventType.TIMEOUT if fault_of(error) is Fault.TIMEOUT else EventType.ERROR

    def check(self, call: object, kind: type) -> None:
        """Check what a middleware has passed to ``call_next``.

        Raises:
            RuntimeError: the request has ended.
            TypeError: it isn't a call.
        """
        if self.is_over:
            raise RuntimeError(
                "call_next was called after its middleware had returned: the request has ended; "
                "submit another one for work that goes on"
            )
        if not isinstance(call, kind):
            raise TypeError(
                f"call_next takes the {kind.__name__} that the middleware was given, or one made "
                f"from it, got {type(call).__name__}"
            )


def around_flow(run: Run, chain: Chain, call: Any) -> Flow[Any]:
    """Yield the steps of a request that has middleware.

    Args:
        run: the state of the request.
        chain: calls the middleware.
        call: what the request asks for.

    Returns:
        The response that the outermost middleware has returned, or what its body was decoded as.

    Raises:
        Exception: what it has raised.
    """
    try:
        response: httpx.Response = yield from Consult(chain, call)
        broken = None if is_closed(response) else (yield from Deliver(response))
        answer: Any = response
        if run.decode is not None and broken is None:
            answer = decoded_or_raised(run, response, run.decode)
    except GeneratorExit:  # the flow was closed: no driver will perform another step
        raise
    except Exception as error:
        yield Publish(run.event(chain.take_kind(error), error=error))
        raise
    except BaseException as interruption:
        yield Publish(run.cancelled_event(interruption))
        raise
    yield Publish(_end_event(run, chain, response, broken))
    return answer


def _end_event(
    run: Run, chain: Chain, response: "httpx.Response", broken: BaseException | None
) -> AsyncEvent:
    """Create the terminal event of a request that was answered.

    Args:
        run: the state of the request.
        chain: its middleware.
        response: the response.
        broken: what has broken its body, once that was handed over; None for nothing.
    """
    if broken is None:
        return run.event(EventType.SUCCESS, response)
    if isinstance(broken, Exception):
        return run.event(chain.take_kind(broken), error=broken)
    return run.cancelled_event(broken)
