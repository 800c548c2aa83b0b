"""Converts requests from httpx2 to httpx, and responses and errors back.

Bodies are streamed in both directions. Error classes are matched by their names.
"""

import functools
import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any

import httpx

from typed_async_client.errors import (
    ConnectError,
    RequestBodyConsumedError,
)
from typed_async_client.libraries import library_of
from typed_async_client.pickling import let_pickle_restore
from typed_async_client.pool.decoding import leave_slice_encoded
from typed_async_client.sent import SentLog
from typed_async_client.transports.raw_stream import AsyncRawStream, SyncRawStream
from typed_async_client.urls import as_url
from typed_async_client.watched_body import came_through_body, watched_body_class

__all__ = [
    "AsyncBody",
    "SyncBody",
    "copy_changes",
    "httpx2_library",
    "to_httpx",
    "to_httpx2",
    "to_httpx2_error",
]


@functools.cache
def httpx2_library() -> Any:
    """Return the module of httpx2.

    Raises:
        ImportError: it isn't installed.
    """
    try:
        library = importlib.import_module("httpx2")
    except ModuleNotFoundError as error:
        raise ImportError("for_httpx2() needs httpx2: pip install httpx2") from error
    let_pickle_restore(library)
    return library


# Requests


def to_httpx(request: Any) -> httpx.Request:
    """Convert a request of httpx2. Its stream is replaced by one that both libraries can read."""
    library = httpx2_library()
    if not isinstance(request, library.Request):
        raise TypeError(
            f"this adapter is for httpx2 clients, got {type(request).__module__}."
            f"{type(request).__name__}: pass the transport itself to an httpx client"
        )
    try:
        url = as_url(str(request.url))
    except httpx.InvalidURL as error:
        raise library.InvalidURL(str(error)) from error
    extensions = dict(request.extensions)
    if url.raw_path != request.url.raw_path:  # the libraries may quote differently
        extensions.setdefault("target", request.url.raw_path)
    stream = request.stream
    if isinstance(stream, library.ByteStream):
        stream = httpx.ByteStream(b"".join(stream))
    else:
        streams = watched_body_class(library.AsyncByteStream, library.SyncByteStream)
        stream = request.stream = streams.of(request, SentLog())
    return httpx.Request(
        request.method, url, headers=request.headers.raw, stream=stream, extensions=extensions
    )


def copy_changes(sent: httpx.Request, request: Any, *, url: httpx.URL) -> None:
    """Copy what the transport changed in its request, as ``HSTSTransport`` changes the URL.

    Args:
        sent: the request that was given to the transport.
        request: the request of httpx2.
        url: the URL that ``sent`` had before.
    """
    if sent.url is not url:
        request.url = httpx2_library().URL(str(sent.url))
    if sent.headers.raw != request.headers.raw:
        request.headers = httpx2_library().Headers(sent.headers.raw)


# Responses


def to_httpx2(response: httpx.Response, request: Any, kind: type) -> Any:
    """Convert a response, whose body is an ``AsyncBody`` or a ``SyncBody``, as ``kind`` says."""
    library, stream = httpx2_library(), response.stream
    if isinstance(stream, httpx.ByteStream):
        body = library.ByteStream(b"".join(stream))
    elif response.is_closed and response.is_stream_consumed:
        return _read_response(response, request)
    else:
        body = _body_class(kind)(stream, request)
    converted = library.Response(
        response.status_code, headers=response.headers.raw, stream=body, request=request
    )
    converted.extensions = response.extensions  # shared: trailing headers are added at the end
    leave_slice_encoded(converted)
    if response.status_code == _SWITCHING or request.method == "CONNECT":
        _replace_raw_stream(converted, AsyncRawStream if kind is AsyncBody else SyncRawStream)
    if response.is_stream_consumed:
        converted.read()
    return converted


_SWITCHING = 101


def _replace_raw_stream(response: Any, wrap: Callable[[Any], object]) -> None:
    """Let the raw connection raise the errors that httpx2 expects."""
    if (stream := response.extensions.get("network_stream")) is not None:
        response.extensions = {**response.extensions, "network_stream": wrap(stream)}


def _read_response(response: httpx.Response, request: Any) -> Any:
    """Convert a response that the transport has read, and whose content is decoded already."""
    library = httpx2_library()
    body = library.ByteStream(response.content)
    converted = library.Response(response.status_code, stream=body, request=request)
    converted.read()
    converted.headers = library.Headers(response.headers.raw)
    converted.extensions = response.extensions
    return converted


@functools.cache
def _body_class(kind: type) -> type[Any]:
    return type(kind.__name__, (kind, getattr(httpx2_library(), _STREAMS[kind])), {})


class _Body:
    """A response body whose errors become httpx2's."""

    def __init__(self, stream: Any, request: Any) -> None:
        self._stream = stream
        self._request = request


class SyncBody(_Body):
    """The body of a response for ``httpx2.Client``."""

    def __init__(self, stream: Any, request: Any) -> None:
        _check_kind(stream, httpx.SyncByteStream, "an asynchronous")
        super().__init__(stream, request)

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except Exception as error:  # noqa: BLE001 - raised again
            raise to_httpx2_error(error, self._request)  # noqa: B904 - it has its cause

    def close(self) -> None:
        """Close the body."""
        try:
            self._stream.close()
        except Exception as error:  # noqa: BLE001 - raised again
            raise to_httpx2_error(error, self._request)  # noqa: B904 - it has its cause


class AsyncBody(_Body):
    """The body of a response for ``httpx2.AsyncClient``."""

    def __init__(self, stream: Any, request: Any) -> None:
        _check_kind(stream, httpx.AsyncByteStream, "a synchronous")
        super().__init__(stream, request)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = aiter(self._stream)
        try:
            async for part in parts:
                yield part
        except Exception as error:  # noqa: BLE001 - raised again
            raise to_httpx2_error(error, self._request)  # noqa: B904 - it has its cause
        finally:
            if isinstance(parts, AsyncGenerator):
                await parts.aclose()

    async def aclose(self) -> None:
        """Close the body."""
        try:
            await self._stream.aclose()
        except Exception as error:  # noqa: BLE001 - raised again
            raise to_httpx2_error(error, self._request)  # noqa: B904 - it has its cause


_STREAMS: dict[type, str] = {SyncBody: "SyncByteStream", AsyncBody: "AsyncByteStream"}
"""The class of httpx2 that each body is an instance of."""


def _check_kind(stream: Any, expected: type, other: str) -> None:
    if not isinstance(stream, expected):
        name = type(stream).__name__
        raise TypeError(f"the transport returned a body that only {other} client can read: {name}")


# Errors


def to_httpx2_error(error: Exception, request: Any) -> Exception:
    """Return httpx2's counterpart of an error; any other error is returned unchanged."""
    kind = None if came_through_body(error) else _counterpart(error)
    if kind is None:
        return error
    converted: Exception
    if type(error) in _OURS:
        ours: Any = type(error)
        converted = ours(*error.args, request=request)
        converted.__cause__ = error.__cause__
    else:
        converted = _make_error(kind, error, request)
        converted.__cause__ = error
    for note in getattr(error, "__notes__", ()):
        converted.add_note(note)
    return converted


_OURS = (ConnectError, RequestBodyConsumedError)
"""Errors that can be an error of both libraries."""


def _counterpart(error: Exception) -> type[Any] | None:
    """Return the error class of httpx2 that has the name of the class in httpx."""
    if library_of(error, "httpx", "httpx2") != "httpx":
        return None
    for kind in type(error).__mro__:
        found = getattr(httpx2_library(), kind.__name__, None) if _is_of_httpx(kind) else None
        if isinstance(found, type):
            return found
    return None


def _is_of_httpx(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "httpx"


def _make_error(kind: type[Any], error: Exception, request: Any) -> Any:
    library = httpx2_library()
    if isinstance(error, httpx.HTTPStatusError):
        body = AsyncBody if isinstance(error.response.stream, httpx.AsyncByteStream) else SyncBody
        response = to_httpx2(error.response, request, body)
        return kind(str(error), request=request, response=response)
    if issubclass(kind, library.RequestError):
        return kind(str(error), request=request)
    return kind.__new__(kind, *error.args)  # those of streams take no message
