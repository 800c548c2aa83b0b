"""A request body that is read while it is sent, one and the same for all attempts of its request.

httpx makes a new stream for each attempt, which can't tell that its source was read before. An async
iterator would then be sent again without an error: as an empty body, or as its rest.
"""

import functools
import io
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Protocol

from typed_async_client.errors import RequestBodyConsumedError
from typed_async_client.sent import note_consumed_body
from typed_async_client.sources.files import FileBody, is_file
from typed_async_client.sources.generators import aclose_generator
from typed_async_client.sources.kinds import (
    ADVICE,
    as_part,
    join_parts,
    kind_of,
    reads_once,
    refused_again,
    refused_difference,
    refused_kind,
)
from typed_async_client.sources.readings import Readings
from typed_async_client.sources.threads import ThreadParts

__all__ = ["StreamedBody", "as_body"]

_CHUNK = 65_536
"""Bytes per read of an async file, as in httpx."""


class _Parts(Protocol):
    """The parts of a body, in one reading."""

    async def __anext__(self) -> bytes: ...

    async def aclose(self) -> None:
        """Close the generator that they come from, if there is one."""

    def stop(self) -> None:
        """Stop reading ahead, without waiting for anything."""


class StreamedBody:
    """A body that is read while it is sent; an async iterable, as httpx wants it.

    Args:
        open_parts: returns its parts, for one reading.
        kind: what it is read from, in words.
        is_single_use: whether it can be read only once.
        length: the bytes that it has; None if that isn't known before.

    Attributes:
        error_class: what it raises if it would have to be read again; of httpx2, too, if that sends it.
        is_single_use: the same.
        kind: the same.
        length: the same.
    """

    __slots__ = (
        "_has_begun",
        "_open_parts",
        "_parts",
        "_readings",
        "error_class",
        "is_single_use",
        "kind",
        "length",
    )

    def __init__(
        self,
        open_parts: Callable[[], _Parts],
        kind: str,
        *,
        is_single_use: bool,
        length: int | None = None,
    ) -> None:
        self._has_begun = False
        self._open_parts = open_parts
        self._parts: _Parts | None = None
        self._readings = Readings()
        self.error_class: type[RequestBodyConsumedError] = RequestBodyConsumedError
        self.is_single_use: bool = is_single_use
        self.kind: str = kind
        self.length: int | None = length

    @property
    def is_consumed(self) -> bool:
        """Whether it was read, and can't be read again."""
        return self.is_single_use and self._has_begun

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Reading(self)

    def begin(self) -> _Parts:
        """Begin to read it; what an earlier reading has left open is given up.

        Raises:
            RequestBodyConsumedError: it was read before, and can be read only once.
        """
        if self.is_consumed:
            raise self.error_class(f"{refused_again(self.kind)}; {ADVICE}")
        if self._parts is not None:
            self._parts.stop()
        self._has_begun = True
        if self.is_single_use:
            note_consumed_body(self.kind)
        self._parts = self._open_parts()
        return self._parts

    def check(self, position: int, part: bytes) -> None:
        """Refuse a part that differs from what an earlier reading returned.

        Raises:
            RequestBodyConsumedError: it does.
        """
        self._refuse_if(self._readings.difference(position, part))

    def check_end(self, size: int) -> None:
        """Refuse to end after ``size`` bytes, if an earlier reading returned more.

        Raises:
            RequestBodyConsumedError: it did.
        """
        self._refuse_if(self._readings.difference_at_end(size))

    async def aclose(self) -> None:
        """Close the generator that is being read, if there is one: nobody will read on."""
        parts, self._parts = self._parts, None
        if parts is not None:
            await parts.aclose()

    def _refuse_if(self, difference: str) -> None:
        if difference:
            raise self.error_class(refused_difference(self.kind, difference))


class _Reading:
    """One reading of a body, from its start."""

    __slots__ = ("_body", "_parts", "_position")

    def __init__(self, body: StreamedBody) -> None:
        self._body = body
        self._parts: _Parts | None = None
        self._position = 0

    def __aiter__(self) -> "_Reading":
        return self

    async def __anext__(self) -> bytes:
        if self._parts is None:
            self._parts = self._body.begin()
        try:
            part = await self._parts.__anext__()
        except StopAsyncIteration:
            self._body.check_end(self._position)
            raise
        if not self._body.is_single_use:  # else there is no other reading to compare it with
            self._body.check(self._position, part)
            self._position += len(part)
        return part


class _AsyncParts:
    """The parts of an asynchronous source, which is read by the task that sends them."""

    def __init__(self, source: Any) -> None:
        self._iterator: AsyncIterator[Any] = (
            _chunks(source) if hasattr(source, "aread") else aiter(source)
        )

    async def __anext__(self) -> bytes:
        return as_part(await anext(self._iterator))

    async def aclose(self) -> None:
        await aclose_generator(self._iterator)

    def stop(self) -> None:
        """Do nothing: the event loop closes a generator that nobody refers to any more."""


async def _chunks(file: Any) -> AsyncIterator[Any]:
    while chunk := await file.aread(_CHUNK):
        yield chunk


def as_body(content: Any) -> Any:
    """Return the content of a request as bytes, as text, or as a body that is read while it is sent.

    A list or a tuple of bytes, and ``io.BytesIO``, are in memory already, and become bytes: what the
    caller changes later isn't sent.

    Raises:
        TypeError: it can't be a body.
        ValueError: it is a file that is closed.
    """
    match content:
        case None | str() | bytes() | StreamedBody():
            return content
        case bytearray() | memoryview():
            return bytes(content)
        case list() | tuple():
            return join_parts(content)
        case Mapping():
            raise TypeError(refused_kind(content))
        case _ if type(content) is io.BytesIO:
            position = content.tell()
            return content.getbuffer()[position:].tobytes() if position else content.getvalue()
        case _:
            return _streamed(content)


def _streamed(source: Any) -> StreamedBody:
    if hasattr(source, "__aiter__"):
        return StreamedBody(
            functools.partial(_AsyncParts, source),
            kind_of(source),
            is_single_use=reads_once(source),
        )
    if is_file(source):
        file = FileBody.of(source)
        return StreamedBody(
            functools.partial(ThreadParts, file.open_parts),
            kind_of(source),
            is_single_use=file.is_single_use,
            length=file.length,
        )
    if not isinstance(source, Iterable):
        raise TypeError(refused_kind(source))
    return StreamedBody(
        functools.partial(ThreadParts, functools.partial(iter, source)),
        kind_of(source),
        is_single_use=reads_once(source),
    )
