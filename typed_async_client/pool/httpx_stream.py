"""The body of a response of the pool, as httpx reads it, and the errors of httpx."""

from collections.abc import AsyncIterator, Coroutine
from typing import Any, NoReturn

import httpcore
import httpx

from typed_async_client.described import with_message
from typed_async_client.httpx_errors import map_httpcore_error
from typed_async_client.reasons import hide_header_value

__all__ = ["HttpxStream", "raise_as_httpx"]


def raise_as_httpx(error: Exception, request: httpx.Request | None = None) -> NoReturn:
    """Raise httpx's counterpart of an httpcore error; raise any other error unchanged."""
    if isinstance(error, httpcore.LocalProtocolError):
        hide_header_value(error)  # h11 quotes it, if a tool has patched httpcore's pool
    converted = map_httpcore_error(error)
    if converted is not error:
        converted = with_message(converted, request)  # a mock of the pool may raise it without one
    try:
        if converted is error:
            raise error
        raise converted from error
    finally:
        del converted  # it refers to this frame


class HttpxStream(httpx.AsyncByteStream):
    """The body of a response, which raises httpx's errors.

    Args:
        stream: the body from the pool.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Read the body in parts."""
        return _Parts(aiter(self._stream))

    async def read_whole(self) -> bytes:
        """Read and return the whole body."""
        try:
            body: bytes = await self._stream.read_whole()
        except Exception as error:  # noqa: BLE001 - raised again
            raise_as_httpx(error)
        return body

    def aclose(self) -> Coroutine[Any, Any, None]:
        """End the exchange."""
        closing: Coroutine[Any, Any, None] = self._stream.aclose()
        return closing


class _Parts(AsyncIterator[bytes]):
    """An iterator over the parts of a body."""

    __slots__ = ("_parts",)

    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._parts = parts

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._parts)
        except StopAsyncIteration:
            raise  # raising it in a function would make a reference cycle with its frame
        except Exception as error:  # noqa: BLE001 - raised again
            raise_as_httpx(error)
