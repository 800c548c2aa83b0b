"""The calls that the middleware of a transport makes: requests of httpx, each sent in its own attempts."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx

from typed_async_client.engine.around import CallRun, around_flow
from typed_async_client.engine.chains import AsyncChain, SyncChain
from typed_async_client.errors import RequestBodyConsumedError
from typed_async_client.transports.senders import AsyncTransportSender, SyncTransportSender
from typed_async_client.transports.starting import Starting, check_run_sync
from typed_async_client.watched_body import WatchedBody

if TYPE_CHECKING:
    import threading

    from typed_async_client.engine.run import Run
    from typed_async_client.engine.steps import Flow
    from typed_async_client.events import AsyncEvent
    from typed_async_client.sent import SentLog

__all__ = ["AsyncTransportCalls", "SyncTransportCalls"]


class _TransportCalls:
    """What the calls of both kinds of client have in common.

    Args:
        run: the state of the request.
        request: the request.
        start: creates the state of a request, or of a call.
        make_sender: creates what makes the attempts of a call.
        outer: the log of the attempt that the request is part of; None if it is part of none.

    Attributes:
        kind: the type of a call.
        requests: the request, and others that the middleware has sent in its place.
    """

    kind: type = httpx.Request

    def __init__(
        self,
        run: "Run",
        request: httpx.Request,
        start: Starting,
        make_sender: Callable[..., Any],
        outer: "SentLog | None",
    ) -> None:
        self.requests: list[httpx.Request] = [request]
        self._make_sender = make_sender
        self._outer = outer
        self._request = request
        self._run = run
        self._start = start

    def _begin(self, call: httpx.Request) -> tuple[CallRun, Any]:
        """Return the state of a call, and what makes its attempts.

        Raises:
            RequestBodyConsumedError: its body was sent by an earlier call.
        """
        body = call.stream
        if isinstance(body, WatchedBody) and body.is_consumed:
            raise RequestBodyConsumedError(
                f"can't send the body of {call.method} again: its source can be read only once, "
                "and an earlier call has sent it; pass bytes",
                request=call,
            )
        if call not in self.requests:
            call.extensions = {**self._request.extensions, **call.extensions}  # its timeouts, too
            self.requests.append(call)
        run: CallRun = self._start(call, self._run.now, functools.partial(CallRun, self._run))
        if run.key is not None and "idempotency_key" not in call.extensions:
            run.key = self._run.key or run.key  # each call sends the same
        return run, self._make_sender(run, call, self._outer)

    def receive(self, call: httpx.Request, sender: Any, response: httpx.Response) -> httpx.Response:
        """Return the response of a call, as a middleware gets it."""
        response.request = call
        completed: httpx.Response = sender.completed(response)
        return completed


class AsyncTransportCalls(_TransportCalls):
    """The calls of a request of an asynchronous client."""

    def begin(self, call: httpx.Request) -> tuple[CallRun, AsyncTransportSender]:
        """Return the state of a call, and what makes its attempts."""
        return self._begin(call)

    async def complete(self, call: httpx.Request, response: httpx.Response) -> None:
        """Do nothing: the body is left to the client."""

    def flow(
        self,
        middleware: tuple[Any, ...],
        publish: "Callable[[AsyncEvent], None]",
        lock: "threading.RLock",
    ) -> "Flow[httpx.Response]":
        """Return the flow of the request; the flow of each call holds the lock while it runs."""
        chain = AsyncChain(self._run, middleware, self, publish, lock)
        return around_flow(self._run, chain, self._request)


class SyncTransportCalls(_TransportCalls):
    """The calls of a request of a synchronous client."""

    def begin(self, call: httpx.Request) -> tuple[CallRun, SyncTransportSender]:
        """Return the state of a call, and what makes its attempts.

        Raises:
            TypeError: it brings policies that a synchronous client can't apply.
        """
        run, sender = self._begin(call)
        check_run_sync(run)
        return run, sender

    def flow(
        self,
        middleware: tuple[Any, ...],
        publish: "Callable[[AsyncEvent], None]",
        lock: "threading.RLock",
    ) -> "Flow[httpx.Response]":
        """Return the flow of the request; the flow of each call holds the lock while it runs."""
        return around_flow(self._run, SyncChain(middleware, self, publish, lock), self._request)
