"""Makes the attempts of one request whose response is streamed: its body is left to the caller.

An attempt ends with the head of its response. What follows, up to the end of the body, is still part of
the request: it is bounded by its deadline, and reported when it is over.
"""

import contextlib
import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import httpx

from typed_async_client.bad_status import FIRST_ERROR
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Flow
from typed_async_client.events import AsyncEvent
from typed_async_client.httpx_client.sending import RequestSender
from typed_async_client.libraries import library_of
from typed_async_client.pool.bounding import watched_decoder
from typed_async_client.private import set_content
from typed_async_client.transports.delivered_bodies import AsyncDeliveredBody
from typed_async_client.transports.delivery import Delivery
from typed_async_client.transports.described_body import describe_body
from typed_async_client.transports.senders import MOST_DRAINED, drain_and_close

__all__ = ["StreamSender"]

_OF_SENDING: Final = ("auth", "follow_redirects")
"""Options of httpx that apply to sending a request, rather than to building it."""


class StreamSender(RequestSender):
    """Makes the attempts of one request, and hands its response over with an open body.

    Attributes:
        delivery: what follows the body; None until the response was handed over.
        run: the state of the request; None until ``serve()`` was called.
    """

    _reads_errors = False
    delivery: Delivery | None = None
    run: Run | None = None

    def serve(self, run: Run) -> None:
        """Take the state of the request, and whether it raises a bad status."""
        self.run = run
        self._reads_errors = run.raise_on_status

    async def discard(self, response: httpx.Response) -> None:
        """Read what little is left of a response, then close it."""
        await drain_and_close(response)

    def hand_over(
        self, response: Any, flow: Flow[Any], publish: Callable[[AsyncEvent], None]
    ) -> httpx.Response:
        """Return the response, whose body resumes the flow."""
        run = cast("Run", self.run)
        self.delivery = Delivery(flow, publish, run, self._owner.client, warns=True)
        library = library_of(response, "httpx", "httpx2") or "httpx"
        decoder = watched_decoder(response)
        describe_body(response, response.request)
        response.stream = _body_class(library)(response.stream, self.delivery, decoder)
        streamed: httpx.Response = response
        return streamed

    async def _request(self, client: Any, options: Mapping[str, Any]) -> httpx.Response:
        """Send the request with a client; read the body only if it tells why the request failed."""
        sending = {name: options[name] for name in _OF_SENDING if name in options}
        building = {name: value for name, value in options.items() if name not in sending}
        request = client.build_request(self.record.method, self._url, **building)
        response: httpx.Response = await client.send(request, stream=True, **sending)
        if self._reads_errors and response.status_code >= FIRST_ERROR:
            await _read_beginning(response)
        return response


async def _read_beginning(response: Any) -> None:
    """Read the body of a response, at most the first 64 KiB, and close it.

    If it breaks, what has arrived is kept: the status says more than that.
    """
    parts, size = [], 0
    try:
        async for part in response.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size >= MOST_DRAINED:
                break
    except Exception:  # noqa: BLE001, S110 - see above
        pass
    finally:
        with contextlib.suppress(Exception):
            await response.aclose()
    set_content(response, b"".join(parts)[:MOST_DRAINED])


@functools.cache
def _body_class(library: str) -> type[AsyncDeliveredBody]:
    """Return the class of bodies that a library accepts in its responses."""
    base: type[Any] = sys.modules[library].AsyncByteStream
    if issubclass(AsyncDeliveredBody, base):
        return AsyncDeliveredBody
    return type("AsyncDeliveredBody", (AsyncDeliveredBody, base), {})
