"""A compact form of responses for the ledger, used once nobody else holds the response.

A response that has been read consists of some twenty objects, and the garbage collector traverses
all that are kept, again and again: ten thousand of them cost more than sending the requests did.

It relies on ``vars()`` returning the whole state of httpx's ``Response``, ``Request`` and
``Headers``; ``private_names.py`` lists the private names that are used.
"""

import marshal
import weakref
from collections.abc import Iterable
from typing import Any, Self

import httpx

from typed_async_client.pool.response import SPENT, WholeResponse
from typed_async_client.private import BoundAsyncStream, parts_of_url, url_from_parts

__all__ = ["PackedResponse"]

_RESPONSE_TYPES = (httpx.Response, WholeResponse)
_FINISHED_STREAMS = (BoundAsyncStream, type(SPENT))
_DROPPED = ("stream", "_raw_body", "_decoder", "_request")
_SCALARS = frozenset({bytes, str, int, float, bool, type(None)})
"""Types whose values are immutable and come back unchanged.

``marshal`` accepts more types, but any buffer comes back as bytes, and a list as a new list.
"""


class PackedResponse:
    """A response: the original object while somebody else holds it, later a reconstruction.

    The reconstruction is an ``httpx.Response`` in the state that the original had when it was
    packed, without what is useless once a response is closed: its stream, and the extension
    ``network_stream``.

    Args:
        response: a response whose body has been read.

    Raises:
        KeyError: the body hasn't been read.
        ValueError: the response holds something that can't be packed without loss.
    """

    __slots__ = ("_elapsed", "_marshalled", "_received", "_response", "_sent")

    def __init__(self, response: httpx.Response) -> None:
        if type(response.stream) not in _FINISHED_STREAMS:
            raise ValueError("the stream of the response was replaced")
        state, request = dict(vars(response)), dict(vars(response.request))
        for name in _DROPPED:
            state.pop(name, None)
        self._response = weakref.ref(response)
        self._received: bytes = state.pop("_content")
        self._elapsed = state.pop("_elapsed", None)
        self._sent: bytes = request.pop("_content")
        _check_sent(request.pop("stream"), self._sent)
        if state.pop("history"):
            raise ValueError("a response with a history can't be packed")
        heads = _split_off_head(state), _split_off_head(request)
        url = _url_parts(request.pop("url"))
        _check_scalars((*state.values(), *request.values()))
        self._marshalled = marshal.dumps((state, request, heads, url))

    @classmethod
    def of(cls, response: Any) -> Self | None:
        """Pack a response; return None if that would lose any of its state."""
        if type(response) not in _RESPONSE_TYPES:
            return None
        try:
            return cls(response)
        except Exception:  # noqa: BLE001 - a hook may have left it in any state
            return None

    def unpack(self) -> httpx.Response:
        """Return the original response if it still exists, else a reconstruction."""
        response = self._response()
        return self._rebuild() if response is None else response

    def _rebuild(self) -> httpx.Response:
        state, sent, heads, url = marshal.loads(self._marshalled)  # noqa: S302 - written above
        request = object.__new__(httpx.Request)
        vars(request).update(sent, _content=self._sent, url=url_from_parts(url))
        _attach_head(request, heads[1])
        request.stream = httpx.ByteStream(self._sent)
        response = object.__new__(httpx.Response)
        vars(response).update(state, _content=self._received, history=[])
        _attach_head(response, heads[0])
        response.request = request
        response.stream = SPENT
        if self._elapsed is not None:
            response.elapsed = self._elapsed
        return response


def _split_off_head(state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Remove and return the headers and extensions in the state of a response or a request.

    ``network_stream`` is dropped: a stored response mustn't keep its connection alive.
    """
    headers, extensions = state.pop("headers"), dict(state.pop("extensions"))
    if type(headers) is not httpx.Headers:
        raise ValueError("the headers are of another class")
    extensions.pop("network_stream", None)
    for name, value in extensions.items():
        if type(value) not in _SCALARS:
            _check_extension(name, value)
    return vars(headers), extensions


def _check_extension(name: str, value: Any) -> None:
    """Refuse an extension unless it is known to consist of scalars."""
    if name == "timeout":
        _check_type(value, dict)
        _check_scalars(value.values())
    elif name == "trailing_headers":
        _check_type(value, list)
        _check_scalars(part for pair in value for part in pair)
    else:
        raise ValueError(f"the extension {name!r} isn't a scalar")


def _attach_head(message: Any, head: tuple[dict[str, Any], dict[str, Any]]) -> None:
    message.headers = object.__new__(httpx.Headers)
    vars(message.headers).update(head[0])
    message.extensions = head[1]


def _check_type(value: Any, expected: type) -> None:
    if type(value) is not expected:  # a subclass may have more state
        raise ValueError(f"expected {expected.__name__}, got {type(value).__name__}")


def _check_scalars(values: Iterable[Any]) -> None:
    if not _SCALARS.issuperset(map(type, values)):
        raise ValueError("a value is neither text, bytes, a number, nor None")


def _check_sent(stream: Any, content: bytes) -> None:
    """Refuse a stream that a hook has substituted for the request's own."""
    _check_type(stream, httpx.ByteStream)
    if b"".join(stream) != content:
        raise ValueError("the stream isn't the content of the request")


def _url_parts(url: Any) -> tuple[Any, ...]:
    _check_type(url, httpx.URL)
    return parts_of_url(url)
