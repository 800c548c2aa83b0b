"""A compact form of responses for the ledger, used once nobody else holds the response.

A response that has been read consists of some twenty objects, and the garbage collector traverses
all that are kept, again and again: ten thousand of them cost more than sending the requests did.

It relies on ``vars()`` returning the whole state of httpx's ``Response``, ``Request`` and
``Headers``; ``private_names.py`` lists the private names that are used.
"""

import contextlib
import copy
import marshal
import weakref
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Self

import httpx

from typed_async_client.copies import copy_value
from typed_async_client.errors import RequestBodyConsumedError
from typed_async_client.pool.bounded import SPENT, BoundedResponse
from typed_async_client.pool.response import WholeResponse
from typed_async_client.private import (
    BoundAsyncStream,
    parts_of_url,
    set_content,
    url_from_parts,
)

__all__ = ["PackedResponse", "StrippedResponse", "without_body"]

_RESPONSE_TYPES = (httpx.Response, BoundedResponse, WholeResponse)
_FINISHED_STREAMS = (BoundAsyncStream, type(SPENT))
_DROPPED = ("stream", "_raw_body", "_decoder", "_request", "max_encodings")
_SCALARS = frozenset({bytes, str, int, float, bool, type(None)})
"""Types whose values are immutable and come back unchanged.

``marshal`` accepts more types, but any buffer comes back as bytes, and a list as a new list.
"""


class PackedResponse:
    """A response: the original object while somebody else holds it, later a reconstruction.

    The reconstruction is an ``httpx.Response`` in the state that the original had when it was
    packed, without what is useless once a response is closed: its stream, and the extension
    ``network_stream``. Nor is the body kept that was sent: only an empty one is.

    Args:
        response: a response whose body has been read.

    Attributes:
        size: bytes of the bodies that it keeps, its history's included.
        status_code: its status code.

    Raises:
        KeyError: the body hasn't been read.
        ValueError: the response holds something that can't be packed without loss.
    """

    __slots__ = (
        "_elapsed",
        "_history",
        "_marshalled",
        "_received",
        "_response",
        "size",
        "status_code",
    )

    def __init__(self, response: httpx.Response) -> None:
        if type(response.stream) not in _FINISHED_STREAMS:
            raise ValueError("the stream of the response was replaced")
        state, request = dict(vars(response)), dict(vars(response.request))
        for name in _DROPPED:
            state.pop(name, None)
        self._response = weakref.ref(response)
        self._received: bytes = state.pop("_content")
        self._elapsed = state.pop("_elapsed", None)
        has_body = _has_body(request.pop("stream"), request.pop("_content", None))
        self.size: int = len(self._received)
        self.status_code: int = response.status_code
        self._history: tuple[PackedResponse, ...] = ()
        if history := state.pop("history"):
            self._history = tuple(map(PackedResponse, history))
            self.size += sum(earlier.size for earlier in self._history)
        heads = _split_off_head(state), _split_off_head(request)
        url = _url_parts(request.pop("url"))
        _check_scalars((*state.values(), *request.values()))
        self._marshalled = marshal.dumps((state, request, heads, url, has_body))

    @classmethod
    def of(cls, response: Any) -> "Self | StrippedResponse | None":
        """Pack a response; if that would lose any of its state, only remove what it holds open.

        None stands for what isn't a response at all.
        """
        if type(response) in _RESPONSE_TYPES:
            try:
                return cls(response)
            except Exception:  # noqa: BLE001 - a hook may have left it in any state
                return StrippedResponse(response)
        is_response = hasattr(response, "extensions") and hasattr(response, "status_code")
        return StrippedResponse(response) if is_response else None

    def unpack(self) -> httpx.Response:
        """Return the original response if it still exists, else a reconstruction."""
        response = self._response()
        return self._rebuild() if response is None else response

    def _rebuild(self) -> httpx.Response:
        state, sent, heads, url, has_body = marshal.loads(self._marshalled)  # noqa: S302 - written above
        request = object.__new__(httpx.Request)
        vars(request).update(sent, url=url_from_parts(url))
        _attach_head(request, heads[1])
        if has_body:
            request.stream = NOT_KEPT
        else:
            request.stream = httpx.ByteStream(b"")
            set_content(request, b"")
        response = object.__new__(httpx.Response)
        history = [earlier.unpack() for earlier in self._history]
        vars(response).update(state, _content=self._received, history=history)
        _attach_head(response, heads[0])
        response.request = request
        response.stream = SPENT
        if self._elapsed is not None:
            response.elapsed = self._elapsed
        return response


class StrippedResponse:
    """A response that can't be packed: a copy, without its stream and without what was sent.

    Args:
        response: the response.

    Attributes:
        size: bytes of the body that it keeps.
        status_code: its status code.
    """

    __slots__ = ("_copy", "_response", "size", "status_code")

    def __init__(self, response: Any) -> None:
        self._response = weakref.ref(response)
        self._copy = copy_value(response)
        self.size: int = len(vars(response).get("_content") or b"")
        self.status_code: int = getattr(response, "status_code", 0)
        for one in [self._copy, *getattr(self._copy, "history", ())]:
            with contextlib.suppress(Exception):  # it may be of any class
                one.extensions.pop("network_stream", None)
                one.request = without_body(one.request)

    def unpack(self) -> Any:
        """Return the original response if it still exists, else the copy."""
        response = self._response()
        return self._copy if response is None else response


class _NotKept(httpx.AsyncByteStream, httpx.SyncByteStream):
    """Stands in for the body of a request, which a result doesn't keep."""

    def __iter__(self) -> Iterator[bytes]:
        raise RequestBodyConsumedError(_NO_BODY)

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise RequestBodyConsumedError(_NO_BODY)


_NO_BODY = "a result doesn't keep the body of its request: create the request again to send it"

NOT_KEPT = _NotKept()


def without_body(request: Any) -> Any:
    """Return a copy of a request that holds no body, unless that is empty."""
    copied = copy.copy(request)
    content = vars(copied).pop("_content", None)
    if _has_body(request.stream, content):
        copied.stream = NOT_KEPT
    else:
        copied.stream = request.stream
        set_content(copied, b"")
    return copied


def _split_off_head(state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Remove and return the headers and extensions in the state of a response or a request.

    ``network_stream`` is dropped: a stored response mustn't keep its connection alive.
    """
    headers, extensions = state.pop("headers"), state.pop("extensions")
    if type(headers) is not httpx.Headers:
        raise ValueError("the headers are of another class")
    if "network_stream" in extensions:
        extensions = dict(extensions)
        del extensions["network_stream"]
    if not _SCALARS.issuperset(map(type, extensions.values())):
        for name, value in extensions.items():
            if type(value) not in _SCALARS:
                _check_extension(name, value)
    return vars(headers), extensions


def _check_extension(name: str, value: Any) -> None:
    """Refuse an extension unless it is known to consist of scalars."""
    if name == "timeout" and type(value) is dict:
        _check_scalars(value.values())
    elif name == "trailing_headers" and type(value) is list:
        _check_scalars(part for pair in value for part in pair)
    else:
        raise ValueError(f"the extension {name!r} isn't a scalar")


def _attach_head(message: Any, head: tuple[dict[str, Any], dict[str, Any]]) -> None:
    message.headers = object.__new__(httpx.Headers)
    vars(message.headers).update(head[0])
    message.extensions = head[1]


def _check_scalars(values: Iterable[Any]) -> None:
    if not _SCALARS.issuperset(map(type, values)):
        raise ValueError("a value is neither text, bytes, a number, nor None")


def _has_body(stream: Any, content: bytes | None) -> bool:
    """Whether a request has a body; one that was generated may be empty, and isn't kept either."""
    return type(stream).__name__ != "ByteStream" or content != b""


def _url_parts(url: Any) -> tuple[Any, ...]:
    if type(url) is not httpx.URL:  # a subclass may have more state
        raise ValueError(f"expected httpx.URL, got {type(url).__name__}")
    return parts_of_url(url)
