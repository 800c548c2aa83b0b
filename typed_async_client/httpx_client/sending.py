"""Makes the attempts of one request with an httpx client."""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

from typed_async_client.attempts import Attempt
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Flow
from typed_async_client.events import AsyncEvent
from typed_async_client.httpx_client.external import ExternalClient
from typed_async_client.httpx_client.lifespan import OwnClient
from typed_async_client.phases import trace_phases
from typed_async_client.policies.deadline import shrunk
from typed_async_client.record import RequestRecord
from typed_async_client.sent import SentLog, current_log
from typed_async_client.sources.streamed import StreamedBody
from typed_async_client.transports.sheltered import send_sheltered

__all__ = ["RequestSender"]


class RequestSender:
    """Makes the attempts of one request; each of them reads the body of its response.

    Args:
        owner: the httpx client.
        record: the request's method and URL.
        url: the URL, as it was passed.
        options: the options for httpx.
        kept: what must not be freed before the request has ended: the client.
    """

    __slots__ = ("_kept", "_options", "_owner", "_url", "record")

    def __init__(
        self,
        owner: OwnClient | ExternalClient,
        record: RequestRecord,
        url: httpx.URL | str,
        options: Mapping[str, Any],
        kept: object,
    ) -> None:
        self._kept = kept
        self._options = options
        self._owner = owner
        self._url = url
        self.record: RequestRecord = record

    def serve(self, run: Run) -> None:
        """Take from the state of the request what a sender of this kind needs to know: nothing."""

    def begin(self, attempt: Attempt) -> SentLog:  # noqa: ARG002 - senders of transports need it
        """Start a new log of what the running task sends."""
        return self._owner.begin_attempt(self.record)

    def send(self, attempt: Attempt) -> Awaitable[httpx.Response]:
        """Send the request once, and read its response."""
        options = self._options
        if attempt.phases is not None or attempt.headers or attempt.until != math.inf:
            options = self._adapted(attempt)
            owner = self._owner
            if isinstance(owner, ExternalClient) and owner.needs_shelter:
                return _closing(self._sheltered(owner, options), options)
        sending = self._request(self._owner.client, options)
        return _closing(sending, options) if "content" in options else sending

    def _request(self, client: Any, options: Mapping[str, Any]) -> Awaitable[httpx.Response]:
        """Send the request with a client, and read its response."""
        response: Awaitable[httpx.Response] = client.request(
            self.record.method, self._url, **options
        )
        return response

    async def _sheltered(self, owner: ExternalClient, options: dict[str, Any]) -> httpx.Response:
        """Send the request so that a deadline, or a faster copy, costs its pool no connection."""
        given = options.get("extensions") or {}

        def send(trace: Any) -> Any:
            extensions = {**given, "trace": trace}
            more = {**options, "extensions": extensions}
            return self._request(owner.client, more)

        try:
            response: httpx.Response = await send_sheltered(send, given.get("trace"))
        except BaseException:
            await owner.release_orphans(self.record)
            raise
        return response

    async def discard(self, response: httpx.Response) -> None:
        """Close a response, which has been read."""
        await response.aclose()

    def hand_over(
        self,
        response: httpx.Response,  # noqa: ARG002 - senders of streams need these
        flow: Flow[Any],  # noqa: ARG002 - as above
        publish: Callable[[AsyncEvent], None],  # noqa: ARG002 - as above
    ) -> httpx.Response | None:
        """Return None: the body of the response has been read."""
        return None

    def _adapted(self, attempt: Attempt) -> dict[str, Any]:
        """Return the options of an attempt with headers or a time limit of its own, or traced."""
        options = dict(self._options)
        if attempt.headers:
            headers = httpx.Headers(options.get("headers"))
            headers.update(dict(attempt.headers))
            options["headers"] = headers
        if attempt.phases is not None:
            given = options.get("extensions") or {}
            trace = trace_phases(attempt, given.get("trace"), current_log(), is_async=True)
            options["extensions"] = {**given, "trace": trace}
        if attempt.until != math.inf:
            timeout = options.get("timeout", httpx.USE_CLIENT_DEFAULT)
            default = getattr(self._owner.client, "timeout", None)
            options["timeout"] = _shrunk(timeout, default, attempt)
        return options


async def _closing(
    sending: Awaitable[httpx.Response], options: Mapping[str, Any]
) -> httpx.Response:
    """Send a request, and close the generator that its body comes from, if it isn't sent any more."""
    body = options.get("content")
    is_over = True
    try:
        response = await sending
        is_over = response.is_closed
    finally:
        if is_over and isinstance(body, StreamedBody):
            await body.aclose()
    return response


def _shrunk(timeout: Any, default: Any, attempt: Attempt) -> Any:
    """Return timeouts of which none is longer than the attempt may take.

    Args:
        timeout: those of the request.
        default: those of the client, which are of httpx or httpx2, as the result is.
        attempt: the attempt.
    """
    if timeout is httpx.USE_CLIENT_DEFAULT:
        timeout = default
    kind = type(default) if hasattr(default, "as_dict") else httpx.Timeout
    if not hasattr(timeout, "as_dict"):
        timeout = kind(timeout)
    return kind(**shrunk(timeout.as_dict(), now=attempt.started, until=attempt.until))
