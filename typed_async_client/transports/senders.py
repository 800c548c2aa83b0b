"""Makes the attempts of one request that passes through a transport."""

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import httpx

from typed_async_client.attempts import Attempt
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Flow
from typed_async_client.events import AsyncEvent
from typed_async_client.net.thread_deadline import EndsBy
from typed_async_client.phases import trace_phases
from typed_async_client.policies.deadline import shrunk
from typed_async_client.sent import SentLog, begin_attempt, current_log
from typed_async_client.transports.delivered_bodies import hand_over, is_in_memory
from typed_async_client.transports.delivery import Delivery
from typed_async_client.transports.described_body import describe_body
from typed_async_client.transports.pair import is_application, may_send_before_failing
from typed_async_client.watched_body import WatchedBody, watch_body

if TYPE_CHECKING:
    from typed_async_client.record import RequestRecord

__all__ = [
    "ATTEMPTS",
    "MOST_DRAINED",
    "AsyncTransportSender",
    "SyncTransportSender",
    "Traits",
    "drain_and_close",
]

ATTEMPTS = "typed_async_client.attempts"
"""Response extension: the ``AttemptHistory`` of the request."""

MOST_DRAINED = 64 * 1024
"""Bytes of a discarded response that are read, so that its connection can be used again."""

_DRAIN_TIME = 0.5
"""Seconds that this may take; after that, a new connection is cheaper."""


class Traits(NamedTuple):
    """What senders must know of the transport that they send with.

    Attributes:
        answered: whether a request may have been processed as soon as it is sent.
        is_sending: whether the transport sends nothing of its own meanwhile.
    """

    answered: bool
    is_sending: bool

    @classmethod
    def of(cls, transport: object) -> Self:
        """Return the traits of a transport."""
        return cls(may_send_before_failing(transport), not is_application(transport))


class _Sender:
    """What the senders of both kinds of client have in common.

    Args:
        send: sends a request with the transport.
        traits: those of the transport.
        run: the request's state.
        request: the request.
        outer: the log of the attempt that the request is part of; None if it is part of none.
    """

    _is_async = False

    def __init__(
        self,
        send: Callable[[httpx.Request], Any],
        traits: Traits,
        run: Run,
        request: httpx.Request,
        outer: SentLog | None,
    ) -> None:
        self.outer: SentLog | None = outer
        self.record: RequestRecord = run.record
        self._is_described = False
        self._request = request
        self._run = run
        self._send = send
        self._traits = traits

    def begin(self, attempt: Attempt) -> SentLog:  # noqa: ARG002 - the same for each attempt
        """Start a new log of what is sent."""
        log = SentLog(None, self.record, self.outer)
        log.begin_hop(self._request)
        log.answered, log.is_sending = self._traits
        body: Any = self._request.stream
        if isinstance(body, WatchedBody) and body.log.record is self.record:
            body.log = log
        else:
            watch_body(self._request, log)
        begin_attempt(log)
        return log

    def hand_over(
        self, response: httpx.Response, flow: Flow[Any], publish: Callable[[AsyncEvent], None]
    ) -> httpx.Response | None:
        """Let an open body resume the flow."""
        if is_in_memory(response):
            return None
        self._describe(response)
        hand_over(response, Delivery(flow, publish, self._run))
        return response

    def completed(self, response: httpx.Response) -> httpx.Response:
        """Return the response of the request, with its history."""
        if not self._is_described:
            self._describe(response)
        return response

    def _describe(self, response: httpx.Response) -> None:
        self._is_described = True
        response.extensions[ATTEMPTS] = self._run.as_history()
        describe_body(response, self._request)

    def _adapted(self, attempt: Attempt) -> httpx.Request:
        """Return the request of an attempt: a copy if it is traced or has a time limit of its own."""
        request = self._request
        if attempt.phases is None and not attempt.headers and attempt.until == math.inf:
            return request
        headers = httpx.Headers(request.headers)
        headers.update(dict(attempt.headers))
        extensions = dict(request.extensions)
        timeouts = extensions.get("timeout", {})
        limits = {"connect": None, "read": None, "write": None, "pool": None, **timeouts}
        if attempt.phases is not None:
            inner = extensions.get("trace")
            extensions["trace"] = trace_phases(
                attempt, inner, current_log(), is_async=self._is_async
            )
        extensions["timeout"] = shrunk(limits, now=attempt.started, until=attempt.until)
        return httpx.Request(
            request.method,
            request.url,
            headers=headers,
            stream=request.stream,
            extensions=extensions,
        )


class SyncTransportSender(_Sender):
    """Makes the attempts of a request of a synchronous client."""

    def send(self, attempt: Attempt) -> httpx.Response:
        """Send the request once."""
        self._sent = self._adapted(attempt)
        response: httpx.Response
        if attempt.until == math.inf:
            response = self._send(self._sent)
        else:
            with EndsBy(attempt.until):
                response = self._send(self._sent)
        return response

    def discard(self, response: httpx.Response) -> None:
        """Read what little is left of a response, then close it."""
        left, end = MOST_DRAINED, min(time.monotonic() + _DRAIN_TIME, self._run.deadline)
        with contextlib.suppress(Exception), _short_reads(self._sent), EndsBy(end):
            for part in response.stream:  # type: ignore[union-attr]  # of a synchronous transport
                left -= len(part)
                if left < 0 or time.monotonic() > end:
                    break
        with contextlib.suppress(Exception):
            response.close()


class AsyncTransportSender(_Sender):
    """Makes the attempts of a request of an asynchronous client."""

    _is_async = True

    def send(self, attempt: Attempt) -> Awaitable[httpx.Response]:
        """Send the request once."""
        response: Awaitable[httpx.Response] = self._send(self._adapted(attempt))
        return response

    async def discard(self, response: httpx.Response) -> None:
        """Read what little is left of a response, then close it."""
        await drain_and_close(response)


@contextlib.contextmanager
def _short_reads(request: httpx.Request) -> Iterator[None]:
    """Let no read of the response take longer than a drain may, as far as the transport reads that.

    httpcore looks the timeout up when it starts to read a body.
    """
    timeouts = request.extensions.get("timeout", {})
    before = timeouts.get("read")
    timeouts["read"] = _DRAIN_TIME if before is None else min(before, _DRAIN_TIME)
    try:
        yield
    finally:
        timeouts["read"] = before


async def drain_and_close(response: httpx.Response) -> None:
    """Read what little is left of a response, then close it; what it raises is of no interest."""
    try:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_DRAIN_TIME):
                await _drain(response.stream)
    finally:
        with contextlib.suppress(Exception):
            await response.aclose()


async def _drain(stream: Any) -> None:
    left = MOST_DRAINED
    async for part in stream:
        left -= len(part)
        if left < 0:
            return
