"""The task that sends the body of one request, until all of it is sent or it is stopped."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpcore

from typed_async_client.sources.closing import aclose_source
from typed_async_client.wire.body_length import BodyLength

__all__ = ["BodyTask", "Parts", "Send"]

_TOO_LATE = "the generator of a request body failed after the response was received"

_LOST = (httpcore.WriteError, httpcore.WriteTimeout)
"""What ends an upload, and is no error of its generator."""

Send = Callable[[AsyncIterator[bytes]], Awaitable[None]]
"""Encodes the parts of a body, and writes them."""


class BodyTask:
    """One body that is being sent.

    Args:
        request: the request whose body it is.

    Attributes:
        is_complete: whether the whole body was sent, and its generator has ended.
        parts: the parts of the body.
    """

    def __init__(self, request: httpcore.Request) -> None:
        self.is_complete: bool = False
        self.parts: Parts = Parts(request)
        self._error: BaseException | None = None
        self._task: Any = None

    @property
    def is_sent(self) -> bool:
        """Whether nothing is left to send, although the generator may still be running."""
        return self.is_complete or self.parts.is_sent

    @property
    def has_ended(self) -> bool:
        """Whether its task is done."""
        ended: bool = self._task.done()
        return ended

    @property
    def error(self) -> BaseException | None:
        """What ended it, unless that was raised already."""
        return self._error

    def start(self, send: Send) -> None:
        """Create the task; the task factory of the event loop may wrap it, or run it right away."""
        coroutine = self._run(send)
        try:
            self._task = asyncio.get_running_loop().create_task(coroutine)
        except BaseException:
            coroutine.close()
            raise
        self._task.add_done_callback(lambda _: coroutine.close())  # if it was never started

    def call_at_end(self, callback: Callable[[Any], None]) -> None:
        """Call back with the task when it is done."""
        self._task.add_done_callback(callback)

    def cancel(self) -> None:
        """Cancel the task, once: a second time would interrupt the closing of the generator."""
        if not (self.parts.is_stopped or self.has_ended):
            self.parts.is_stopped = True
            self._task.cancel()

    async def stop(self) -> None:
        """Wait for the task, which is cancelled unless all bytes were sent."""
        if not self.is_sent:
            self.cancel()
        await self.wait()

    async def wait(self) -> None:
        """Wait for the task; a first cancellation ends it too, and a second one doesn't wait."""
        if self.has_ended:
            return
        was_stopped = self.parts.is_stopped
        try:
            await asyncio.wait({self._task})
        except asyncio.CancelledError:
            if was_stopped:
                self._task.cancel()  # it ends later
            self.cancel()
            raise

    def raise_error(self) -> None:
        """Raise what ended it, once, unless it was stopped."""
        if self.parts.is_stopped:
            return
        if self._task.cancelled():
            raise asyncio.CancelledError
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # or it would refer to itself through this frame

    def report_error(self) -> None:
        """Report to the loop what the generator has raised, if its request can't any more."""
        if self._error is not None and not isinstance(self._error, _LOST):
            context = {"message": _TOO_LATE, "exception": self._error}
            asyncio.get_running_loop().call_exception_handler(context)

    async def _run(self, send: Send) -> None:
        try:
            await send(self.parts)
            self.is_complete = True
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except GeneratorExit as error:  # raised on, it would close whatever generator it meets
            self._error = RuntimeError("the source of the request body raised GeneratorExit")
            self._error.__cause__ = error
        except BaseException as error:  # noqa: BLE001 - raised where the response is read
            self._error = error
        finally:
            await self.parts.aclose()


class Parts:
    """The parts of a body, until the upload is stopped.

    Args:
        request: the request whose body it is.

    Attributes:
        is_sent: whether as many bytes were sent as declared.
        is_stopped: whether no further part is wanted.
        length: what was taken of the body, and what is left of it.
    """

    def __init__(self, request: httpcore.Request) -> None:
        self.is_sent: bool = False
        self.is_stopped: bool = False
        self.length: BodyLength = BodyLength(request.headers)
        self._body: Any = request.stream
        self._iterator: Any = None

    @property
    def is_begun(self) -> bool:
        """Whether the body was asked for its first part."""
        return self._iterator is not None

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._iterator = aiter(self._body)
        return self

    async def __anext__(self) -> bytes:
        if self.is_stopped:
            raise asyncio.CancelledError
        self.is_sent = self.length.is_reached  # whoever asks for a part has sent those before
        part: bytes = await anext(self._iterator)
        self.length.count(len(part))
        return part

    async def aclose(self) -> None:
        """Close the generators, in the task that ran them."""
        await aclose_source(self._body, self._iterator)
