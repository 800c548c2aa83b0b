"""Launches requests: admits each one, and starts its task."""

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from typed_async_client.engine.in_flight import ResponseTask
from typed_async_client.engine.run import Run
from typed_async_client.errors import DeadlineExceededError
from typed_async_client.httpx_client.sending import RequestSender
from typed_async_client.httpx_client.streaming import StreamSender
from typed_async_client.methods import checked_method
from typed_async_client.preparing import Preparing, copy_options
from typed_async_client.wording import name_server

if TYPE_CHECKING:
    import httpx

    from typed_async_client.context import RequestContext
    from typed_async_client.engine.in_flight import Around

__all__ = ["Launching"]


class Launching(Preparing):
    """The part of a client that launches requests; it is made from what ``Preparing`` takes."""

    async def _launch(
        self,
        method: str,
        url: "httpx.URL | str",
        context: "RequestContext | None",
        options: Mapping[str, Any],
        *,
        streams: bool = False,
        make_run: Callable[..., Run] = Run,
    ) -> tuple[ResponseTask, RequestSender]:
        """Admit a request, and start its task; return it, and what makes its attempts."""
        method = checked_method(method)
        around: Around | None = None
        self._engine.start()  # the loop's clock is needed first
        if self._middleware:
            options = copy_options(options)
        make_sender = StreamSender if streams else RequestSender
        run, sender = self._prepare(method, url, context, options, make_run, make_sender)
        if streams:
            if run.decode is not None:
                raise TypeError(
                    "a streamed response isn't decoded: pass response_model to request() or fetch(), "
                    "or decode what you have read"
                )
            sender.serve(run)
        if self._middleware:
            around = self._around(run, url, options, streams=streams)
        if not (self._sender.is_entered and self._engine.can_launch_now):
            await self._admission(run)
        reader = asyncio.current_task() if streams else None
        return self._engine.launch(run, sender, around, reader), sender

    async def _admission(self, run: Run) -> None:
        """Wait until the request may be launched, at most until its deadline.

        Raises:
            DeadlineExceededError: it may not be before its deadline, which ends it.
        """
        until = None if run.deadline == math.inf else run.deadline
        missing = "the transport of the client was ready: it took long to enter it"
        try:
            async with asyncio.timeout_at(until) as limit:
                if not self._sender.is_entered:
                    await self._initialize_client()
                missing = (
                    "the client had room for it: raise max_concurrent_requests, or submit fewer at a "
                    "time"
                )
                if not self._engine.can_launch_now:
                    await self._engine.wait_for_admission()
        except TimeoutError as expiry:
            if not limit.expired():
                raise
            message = (
                f"{run.record.method}: the deadline of the request to "
                f"{name_server(run.record.origin)} passed before {missing}"
            )
            error = DeadlineExceededError(message, client=self._client)
            error.__cause__ = expiry
            self._engine.refuse(run, error)
            raise error from expiry

    async def _initialize_client(self) -> None:
        self._engine.start()
        await self._sender.enter()
        self._engine.start()  # raises if the client was closed in the meantime
