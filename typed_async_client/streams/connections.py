"""One connection of an event stream: its request, its response, and the events in it."""

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final

from typed_async_client.errors import EventTooLargeError, NotEventStreamError
from typed_async_client.facts import request_of
from typed_async_client.policies.deadline import deadline_option
from typed_async_client.redact import one_line
from typed_async_client.sources.streamed import StreamedBody
from typed_async_client.streams.parsing.events import EventParser
from typed_async_client.streams.reading import BodyReader
from typed_async_client.watched_body import WatchedBody

if TYPE_CHECKING:
    import httpx

    from typed_async_client.context import RequestContext
    from typed_async_client.streams.parsing.server_sent import ServerSentEvent

__all__ = ["CONTROLS", "EventConnection", "StreamPlan"]

CONTROLS: Final = frozenset(map(chr, (*range(9), *range(10, 32), 127)))
"""Characters that the value of a header can't contain (RFC 9110 section 5.5)."""

_NO_CONTENT: Final = 204
"""Tells the client not to connect again (HTML standard, section 9.2.3)."""

_REDIRECTS: Final = range(300, 400)

_SHOWN: Final = 100
"""Characters of a content type in a message."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """What the connections of an event stream have in common.

    Attributes:
        launch: launches the request of a connection.
        make: creates an event; see ``EventParser``.
        context: that of the first request; None for the client's limits and a random id.
        options: the options of each request, without its headers and its deadline.
        headers: raw names and values of its headers, without ``Last-Event-ID``.
        last_event_id: the id to start after; empty for none.
        max_event_bytes: the most bytes in an event.
        reconnects: whether another connection follows one that has ended.
        deadline: seconds that the stream may take in all; None for any time.
        is_closed: tells whether the client was closed.
    """

    launch: "Callable[[RequestContext | None, Mapping[str, Any]], Coroutine[Any, Any, Any]]"
    make: "Callable[[str, str, str, int | None], ServerSentEvent]"
    context: "RequestContext | None"
    options: Mapping[str, Any]
    headers: tuple[tuple[bytes, bytes], ...]
    last_event_id: str
    max_event_bytes: int
    reconnects: bool
    deadline: float | None
    is_closed: Callable[[], bool]


class EventConnection(BodyReader):
    """One connection of an event stream.

    Args:
        plan: what it has in common with the others.
        context: the context of its request; None for the client's limits and a random id.
        last_event_id: the id of the last event before it; empty for none.
        until: when the stream must have ended, in monotonic seconds; infinite for never.

    Attributes:
        has_event: whether it has brought an event.
        is_last: whether the server wants no other connection.
        parser: parses its events.
        request: its request, of httpx or httpx2; None until it was answered.
    """

    def __init__(
        self,
        plan: StreamPlan,
        context: "RequestContext | None",
        last_event_id: str,
        until: float,
    ) -> None:
        super().__init__(lambda: plan.launch(context, self._options()))
        self.has_event: bool = False
        self.is_last: bool = False
        self.parser: EventParser[ServerSentEvent] = EventParser(
            plan.make, max_bytes=plan.max_event_bytes, last_event_id=last_event_id
        )
        self.request: Any = None
        self._last_event_id = last_event_id
        self._plan = plan
        self._until = until

    def _options(self) -> dict[str, Any]:
        headers = [*self._plan.headers]
        last_id = self._last_event_id.strip(" \t")
        if last_id and CONTROLS.isdisjoint(last_id):  # any text but NUL may be the id of an event
            headers.append((b"Last-Event-ID", last_id.encode()))
        remaining = self._until - asyncio.get_running_loop().time()
        deadline = deadline_option(remaining)
        return {**self._plan.options, "headers": headers, "deadline": deadline}

    async def __aenter__(self) -> "httpx.Response":
        """Send the request, and check that its response is an event stream.

        Raises:
            NotEventStreamError: it is something else.
            Exception: whatever the request raises.
        """
        response = await super().__aenter__()
        self.request = request_of(response)
        try:
            await self._check(response)
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return response

    @property
    def spent_body(self) -> str:
        """What the body was read from, if that can't be read for another connection; else empty."""
        bodies = self._plan.options.get("content"), getattr(self.request, "stream", None)
        watched = [body for body in bodies if isinstance(body, StreamedBody | WatchedBody)]
        return next((body.kind for body in watched if body.is_consumed), "")

    async def read_events(self) -> "list[ServerSentEvent] | None":
        """Return the events that arrive next; None at the end of the stream.

        Raises:
            EventTooLargeError: an event has more bytes than it may; those before it were returned.
            Exception: what has broken the connection.
        """
        if self.parser.is_too_large:
            raise self._too_large()
        part = await self.read()
        if not part:
            return None
        events = self.parser.feed(part)
        self.has_event = self.has_event or bool(events)
        return events

    async def _check(self, response: "httpx.Response") -> None:
        self.is_last = response.status_code == _NO_CONTENT
        if self.is_last:
            await self.read()  # nothing, which ends the request
        elif not _is_event_stream(response):
            raise self._not_events(response)

    def _not_events(self, response: "httpx.Response") -> NotEventStreamError:
        kind = one_line(response.headers.get("content-type", ""))[:_SHOWN]
        got = f"content type {kind}" if kind else "no content type"
        is_redirect = response.status_code in _REDIRECTS
        hint = "; pass follow_redirects=True to follow the redirect" if is_redirect else ""
        error = NotEventStreamError(
            f"{self.name}: expected text/event-stream, got status {response.status_code} with {got}"
            f"{hint}",
            request=self.request,
        )
        self.fail(error)
        return error

    def _too_large(self) -> EventTooLargeError:
        error = EventTooLargeError(
            f"{self.name}: an event is larger than max_event_bytes={self._plan.max_event_bytes}",
            request=self.request,
        )
        self.fail(error)
        return error


def _is_event_stream(response: "httpx.Response") -> bool:
    """Whether a response is a success of the right content type, whatever its parameters."""
    kind = response.headers.get("content-type", "").partition(";")[0]
    return bool(response.is_success) and kind.strip().lower() == "text/event-stream"
