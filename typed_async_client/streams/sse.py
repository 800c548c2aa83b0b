"""``client.sse()``: checks the options of an event stream, and completes them."""

import functools
from typing import TYPE_CHECKING, Any, Final, Unpack

import httpx

from typed_async_client.facts import raw_headers
from typed_async_client.methods import checked_method
from typed_async_client.policies.checks import (
    require_bool,
    require_count,
    require_number,
    wrong_option,
)
from typed_async_client.preparing import copy_options
from typed_async_client.streams.connections import CONTROLS, StreamPlan
from typed_async_client.streams.events import EventStream
from typed_async_client.streams.lines import MOST_BYTES, LineStreaming, check_spelling
from typed_async_client.streams.parsing.server_sent import event_maker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typed_async_client.context import RequestContext
    from typed_async_client.options import RequestOptions

__all__ = ["EventStreaming"]

_HEADERS: Final = ((b"Accept", b"text/event-stream"), (b"Cache-Control", b"no-store"))
"""What a request for events says (HTML standard, section 9.2.2), unless the caller says otherwise."""

_SECONDS: Final = 5.0
"""Timeout if the caller's client has no ``timeout`` to read: the default of httpx."""

_OWN: Final = ("last_event_id", "max_event_bytes", "method", "reconnect")
"""Options that other requests don't have."""


class EventStreaming(LineStreaming):
    """The part of a client that streams server-sent events."""

    def sse(
        self,
        url: "httpx.URL | str",
        context: "RequestContext | None" = None,
        *,
        method: str = "GET",
        last_event_id: str | None = None,
        max_event_bytes: int = MOST_BYTES,
        reconnect: bool | None = None,
        **options: "Unpack[RequestOptions]",
    ) -> EventStream:
        """Return the server-sent events of a URL, from as many connections as it takes.

        It needs the extra ``sse``. The events are parsed by the rules of the HTML standard, section
        9.2, and are those of httpx-sse: ``event.event``, ``event.data``, ``event.id``,
        ``event.retry`` and ``event.json()``.

        When the server ends the stream, or the connection breaks, another one follows, with the id of
        the last event as its ``Last-Event-ID``. An id with control characters isn't sent, since a
        header can't carry them. The wait before that is the backoff of the context, or the server's
        ``retry:``, whichever is longer. A 204 ends the stream for good. Attempts in a row that bring
        no event are limited by ``max_retries``. The retry budget is asked before a connection that
        follows a broken one.

        Each connection is a request of its own, with its own events and result, and the policies
        apply to each until its head has arrived. The request ids are that of the context, followed
        by ``-2``, ``-3``, and so on.

        Args:
            url: the URL.
            context: the request's id and retry limits.
            method: the HTTP method.
            last_event_id: the id of the event after which to start; None for none.
            max_event_bytes: the most bytes in an event: its lines, without comments; >= 1.
            reconnect: whether another connection follows one that has ended; None for only if the
                method is GET. Without it, the end of the stream ends the iteration; so it does
                after a body that can be sent only once, such as a generator.
            **options: as for ``stream()``, with some differences. A status of 400 or above is always
                raised. Without ``timeout``, the server may be silent for any time: the read timeout
                of the client doesn't apply. Nor does its ``max_response_bytes``. ``deadline`` bounds
                the whole stream, in seconds, with all its connections; that of the policies doesn't
                apply.

        Returns:
            A context manager that connects on entering, and yields an iterator of the events.
            Leaving it closes the connection.

        Raises:
            ImportError: the extra isn't installed.
            TypeError: an option is unknown; on entering, unless it is misspelt.
            ValueError: an option is out of range.
            NotEventStreamError: a response isn't ``text/event-stream``; on entering or iterating.
            EventTooLargeError: an event is too large; while iterating.
            EventStreamEndedError: too many connections in a row ended without an event.
            Exception: whatever ``request()`` raises; while iterating, what broke the connection.

        Example:
            >>> async def main() -> None:
            ...     async with AsyncResilientClient() as client:
            ...         async with client.sse("https://example.org/events") as events:
            ...             async for event in events:
            ...                 print(event.event, event.data)
        """
        check_spelling("sse() option", options, _OWN)
        method = checked_method(method)
        reconnects = method == "GET" if reconnect is None else reconnect
        require_bool("reconnect", reconnects)
        require_count("max_event_bytes", max_event_bytes, at_least=1)
        deadline = options.get("deadline")
        if deadline is not None:
            require_number("deadline", deadline, above=0)
        if options.get("raise_on_status") is False:
            raise ValueError(
                "raise_on_status must be True for sse(), as such a response has no events: use "
                "stream() to read it"
            )
        chosen = copy_options({"timeout": self._patient_timeout(), **options})
        plan = StreamPlan(
            launch=functools.partial(self._launch_stream, method, url),
            make=event_maker(),
            context=context,
            options={"max_response_bytes": None, **chosen, "raise_on_status": True},
            headers=_headers(options.get("headers")),
            last_event_id=_checked_id(last_event_id),
            max_event_bytes=max_event_bytes,
            reconnects=reconnects,
            deadline=deadline,
            is_closed=lambda: self._engine.is_closed,
        )
        return EventStream(plan)

    async def _launch_stream(
        self,
        method: str,
        url: "httpx.URL | str",
        context: "RequestContext | None",
        options: "Mapping[str, Any]",
    ) -> Any:
        return await self._launch(method, url, context, options, streams=True)

    def _patient_timeout(self) -> Any:
        """Return the timeouts of the client, of httpx or httpx2, without that of reading."""
        default: Any = getattr(self._client, "timeout", None)
        if not hasattr(default, "as_dict"):
            default = httpx.Timeout(_SECONDS)
        return type(default)(**{**default.as_dict(), "read": None})


def _headers(given: Any) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers of the caller, with those of a request for events that they lack."""
    own = raw_headers(given)
    names = {name.lower() for name, _ in own}
    return (*own, *(field for field in _HEADERS if field[0].lower() not in names))


def _checked_id(value: object) -> str:
    """Return the id to start after, empty for none.

    Raises:
        ValueError: it can't be the value of a header.
    """
    if value is None:
        return ""
    if not isinstance(value, str) or not CONTROLS.isdisjoint(value):
        raise wrong_option("last_event_id", "text without control characters, or None", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise wrong_option("last_event_id", "text that UTF-8 can encode", value) from None
    return value
