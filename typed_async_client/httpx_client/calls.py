"""The calls that the middleware of a client's request makes, each with a sender of its own."""

import contextlib
from collections.abc import Callable
from typing import Any

import httpx

from typed_async_client.engine.around import CallRun
from typed_async_client.engine.run import Run
from typed_async_client.errors import RequestBodyConsumedError
from typed_async_client.httpx_client.sending import RequestSender
from typed_async_client.middleware import Call
from typed_async_client.sources.kinds import ADVICE
from typed_async_client.sources.streamed import StreamedBody, as_body

__all__ = ["ClientCalls"]


class ClientCalls:
    """Prepares the calls of one request.

    Args:
        run: the state of the request.
        client: the httpx client that sends.
        prepare: checks a call, and returns its state and what makes its attempts.
        streams: whether the response is streamed, and not read here.

    Attributes:
        kind: the type of a call.
    """

    kind: type = Call

    def __init__(
        self,
        run: Run,
        client: Any,
        prepare: Callable[[Call], tuple[CallRun, RequestSender]],
        *,
        streams: bool = False,
    ) -> None:
        self._client = client
        self._streams = streams
        self._prepare = prepare
        self._run = run
        self._bodies: list[tuple[Any, Any]] = []  # each content, and what sends it

    def begin(self, call: Call) -> tuple[CallRun, RequestSender]:
        """Return the state of a call, and what makes its attempts.

        Raises:
            ValueError: its context is that of another request.
            RequestBodyConsumedError: its body was sent by an earlier call.
            TypeError: an option is unknown, or its body can't be sent.
        """
        expected, given = self._run.context.request_id, call.context.request_id
        if given != expected:
            raise ValueError(
                f"a call keeps the request_id of its request, {expected!r}, got {given!r}: use "
                "dataclasses.replace(call.context, ...)"
            )
        body = self._body_of(call)
        if isinstance(body, StreamedBody):
            if body.is_consumed:
                raise RequestBodyConsumedError(
                    f"can't send the body of {call.method} again: it comes from {body.kind}, which "
                    f"can be read only once, and an earlier call has sent it; {ADVICE}",
                    request=self._client,
                )
            call = call.replace(content=body)
        return self._prepare(call)

    def receive(self, call: Call, sender: object, response: Any) -> Any:  # noqa: ARG002 - transports need them
        """Return the response of a call, which has been read unless it is streamed."""
        return response

    async def complete(self, call: Call, response: Any) -> None:
        """Read the response that a request ends with, and give it a request if it has none."""
        if isinstance(response, httpx.Response):
            try:
                _ = response.request
            except RuntimeError:
                response.request = self._request_of(call)
        if response.is_closed or self._streams:
            return
        try:
            await response.aread()
        except BaseException:
            with contextlib.suppress(Exception):
                await response.aclose()
            raise

    def _body_of(self, call: Call) -> Any:
        """Return what sends the content of a call: the same for all calls with that content."""
        content = call.options.get("content")
        for known, body in self._bodies:
            if known is content:
                return body
        body = as_body(content)
        self._bodies.append((content, body))
        return body

    def _request_of(self, call: Call) -> httpx.Request:
        """Return the request that a response made by a middleware seems to answer."""
        params = call.options.get("params")
        if isinstance(self._client, httpx.AsyncClient):
            return self._client.build_request(call.method, call.url, params=params)
        return httpx.Request(call.method, call.url, params=params)
