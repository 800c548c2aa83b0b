"""Response bodies that tell the flow of their request when they have ended, broken off or been closed."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any

import httpx

from typed_async_client.net.thread_deadline import EndsBy
from typed_async_client.pool.response import WholeResponse
from typed_async_client.transports.delivery import Delivery

__all__ = ["AsyncDeliveredBody", "hand_over", "is_in_memory"]


def is_in_memory(response: httpx.Response) -> bool:
    """Whether there is no body to wait for."""
    return response.is_closed or isinstance(response.stream, httpx.ByteStream)


def hand_over(response: httpx.Response, delivery: Delivery) -> None:
    """Let the body of a response resume the flow when it ends."""
    if isinstance(response, WholeResponse):
        response.replace_body(lambda body: AsyncDeliveredBody(body, delivery))
    else:
        is_sync = isinstance(response.stream, httpx.SyncByteStream)
        is_async = isinstance(response.stream, httpx.AsyncByteStream)
        kind = AsyncDeliveredBody if is_async else DeliveredBody
        response.stream = (_EitherDeliveredBody if is_sync and is_async else kind)(
            response.stream, delivery
        )


class AsyncDeliveredBody(httpx.AsyncByteStream):
    """The body of a response for ``httpx.AsyncClient``.

    Args:
        stream: the body.
        delivery: what follows it.
        decoder: what its reader decodes it with; its ``take_failure()`` returns the error of that.
    """

    def __init__(self, stream: Any, delivery: Delivery, decoder: Any = None) -> None:
        self._delivery = delivery
        self._decoder = decoder
        self._stream = stream
        delivery.guard(stream)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = aiter(self._stream)
        is_limited = self._delivery.deadline != math.inf
        try:
            if is_limited:
                while (part := await self._in_time(lambda: anext(parts, None))) is not None:
                    yield part
            else:
                async for part in parts:
                    yield part
        except GeneratorExit:
            raise  # the reader has left, and will close the response
        except BaseException as error:
            self._delivery.end(error)
            raise
        else:
            self._end(is_complete=True)
        finally:
            if isinstance(parts, AsyncGenerator):
                await parts.aclose()

    async def read_whole(self) -> bytes:
        """Read and return the whole body."""
        try:
            read, is_limited = self._stream.read_whole, self._delivery.deadline != math.inf
            body: bytes = await (self._in_time(read) if is_limited else read())
        except BaseException as error:
            self._delivery.end(error)
            raise
        self._delivery.end()
        return body

    async def aclose(self) -> None:
        """Close the body."""
        try:
            await self._stream.aclose()
        finally:
            self._end(is_complete=False)

    def _end(self, *, is_complete: bool) -> None:
        """Resume the flow after the end of the body, or once it was closed."""
        decoder, self._decoder = self._decoder, None
        failure = None if decoder is None else decoder.take_failure(is_complete=is_complete)
        self._delivery.end(failure)

    async def _in_time(self, read: Callable[[], Any]) -> Any:
        """Wait for what is read, until the deadline of the request."""
        deadline = self._delivery.deadline
        if asyncio.get_running_loop().time() >= deadline:  # what has arrived needs no wait
            raise self._delivery.too_late()
        try:
            async with asyncio.timeout_at(deadline) as limit:
                return await read()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise self._delivery.too_late() from error


class DeliveredBody(httpx.SyncByteStream):
    """The body of a response for ``httpx.Client``."""

    def __init__(self, stream: Any, delivery: Delivery) -> None:
        self._delivery = delivery
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        parts = iter(self._stream)
        try:
            while (part := self._next_part(parts)) is not None:
                yield part
        except GeneratorExit:
            raise  # the reader has left, and will close the response
        except BaseException as error:
            self._delivery.end(error)
            raise
        self._delivery.end()

    def close(self) -> None:
        """Close the body."""
        try:
            self._stream.close()
        finally:
            self._delivery.end()

    def _next_part(self, parts: Iterator[bytes]) -> bytes | None:
        """Return the next part, or None at the end, if it arrives before the deadline."""
        deadline = self._delivery.deadline
        if deadline == math.inf:
            return next(parts, None)
        try:
            with EndsBy(deadline):
                part = next(parts, None)
        except (httpx.TimeoutException, TimeoutError) as error:
            if time.monotonic() < deadline:
                raise
            raise self._delivery.too_late() from error
        if part is not None:  # the transport may know nothing of the deadline
            self._delivery.check_deadline()
        return part


class _EitherDeliveredBody(AsyncDeliveredBody, DeliveredBody):
    """The body of a response for either client."""
