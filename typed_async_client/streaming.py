"""Streams responses: the policies of a request apply to its head, its deadline to its body as well."""

import asyncio
import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Any, Unpack, cast

from typed_async_client.launching import Launching
from typed_async_client.options import RequestOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import httpx

    from typed_async_client.context import RequestContext
    from typed_async_client.engine.in_flight import ResponseTask
    from typed_async_client.httpx_client.streaming import StreamSender
    from typed_async_client.transports.delivery import Delivery

__all__ = ["ResponseStream", "Streaming"]


class ResponseStream(contextlib.AbstractAsyncContextManager["httpx.Response"]):
    """A request that is sent on entering, and over on leaving; made by ``client.stream()``.

    Args:
        launch: launches the request, and returns its task and what makes its attempts.
    """

    def __init__(
        self, launch: "Callable[[], Coroutine[Any, Any, tuple[ResponseTask, Any]]]"
    ) -> None:
        self._launch = launch
        self._response: httpx.Response | None = None
        self._sender: StreamSender | None = None

    async def __aenter__(self) -> "httpx.Response":
        if self._sender is not None:
            raise RuntimeError("this stream was entered before: call client.stream() again")
        task, self._sender = await self._launch()
        try:
            self._response = await task
        except asyncio.CancelledError as interruption:  # maybe in the turn in which the task ended
            if self._delivery is not None:
                await self._delivery.close(interruption)
            raise
        return self._response

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        response, self._response = self._response, None
        if response is None:
            return
        if self._delivery is not None and isinstance(exc, asyncio.CancelledError):
            self._delivery.end(exc)
        await response.aclose()

    @property
    def _delivery(self) -> "Delivery | None":
        """What follows the body; None if there is none, as it has been read already."""
        return cast("StreamSender", self._sender).delivery


class Streaming(Launching):
    """The part of a client that streams responses."""

    def stream(
        self,
        method: str,
        url: "httpx.URL | str",
        context: "RequestContext | None" = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseStream:
        """Send a request, and return its response while its body is still on the way.

        Every policy applies until the head of the response has arrived, retries included. The deadline
        bounds the body, too, and the request counts as running until its body has ended or was
        closed; only then do its permits come back, and its result and its last event exist. A body
        that breaks after the head isn't retried: it raises where it is read.

        Args:
            method: the HTTP method.
            url: the URL.
            context: the request's id and retry limits.
            **options: as for ``request_async()``. With ``raise_on_status``, a status of 400 or above
                raises a ``StatusError``; at most the first 64 KiB of its body have been read.

        Returns:
            A context manager that sends the request on entering, and yields its ``httpx.Response``.
            Leaving it closes the response, whether its body was read or not.

        Raises:
            TypeError: the ``http_client`` can't stream.
            Exception: on entering, whatever ``request()`` raises.

        Example:
            >>> async def main() -> None:
            ...     async with AsyncResilientClient() as client:
            ...         async with client.stream("GET", "https://example.org/") as response:
            ...             async for part in response.aiter_bytes():
            ...                 print(len(part))
        """
        if not callable(getattr(self._client, "build_request", None)):
            raise TypeError(
                "to stream, http_client needs build_request() and send() of an httpx.AsyncClient, and "
                f"{type(self._client).__name__} has only request()"
            )
        return ResponseStream(lambda: self._launch(method, url, context, options, streams=True))
