"""A response as the ledger keeps it: in few bytes, as soon as nobody else holds it.

A response that was read is some twenty objects, and the garbage collector walks through all that are
kept, again and again: ten thousand of them cost more than it cost to send the requests.

Names of httpx 0.28 used that are not in its documentation: ``Response._content``, ``_decoder``,
``_elapsed`` and ``_request``, ``Request._content``, ``ByteStream._stream``, ``URL._uri_reference`` and
what it is, and ``_client.BoundAsyncStream``; and that what makes all these, and ``Headers``, is what
``vars()`` tells.
"""

import marshal
import weakref
from collections.abc import Iterable
from typing import Any, Self

import httpx

from typed_async_client.pool.response import SPENT, WholeResponse
from typed_async_client.private import BoundAsyncStream, parts_of_url, url_from_parts

__all__ = ["PackedResponse"]

_KINDS = (httpx.Response, WholeResponse)
_ENDED = (BoundAsyncStream, type(SPENT))
_DROPPED = ("stream", "_raw_body", "_decoder", "_request")
_PLAIN = frozenset({bytes, str, int, float, bool, type(None)})
"""Types whose values come back as they were, and that nobody can change meanwhile.

``marshal`` takes more: what has a buffer comes back as bytes, and a list as another list.
"""


class PackedResponse:
    """The response of a request: the very one while somebody holds it, later one made anew.

    What is made anew is an ``httpx.Response`` with the state that this one had when it was packed. It
    lacks what a closed response has no use for: its stream, and the extension ``network_stream``.

    Args:
        response: one that was read to its end.

    Raises:
        KeyError: it was not read.
        ValueError: it carries what is no plain value.
    """

    __slots__ = ("_marshalled", "_received", "_response", "_sent", "_took")

    def __init__(self, response: httpx.Response) -> None:
        if type(response.stream) not in _ENDED:
            raise ValueError("somebody has put a stream there")
        state, request = dict(vars(response)), dict(vars(response.request))
        for name in _DROPPED:
            state.pop(name, None)
        self._response = weakref.ref(response)
        self._received: bytes = state.pop("_content")
        self._took = state.pop("_elapsed", None)
        self._sent: bytes = request.pop("_content")
        _check_sent(request.pop("stream"), self._sent)
        if state.pop("history"):
            raise ValueError("a history is no plain value")
        heads = _taken_out_of(state), _taken_out_of(request)
        url = _plain_url(request.pop("url"))
        _check_plain(state.values())
        _check_plain(request.values())
        self._marshalled = marshal.dumps((state, request, heads, url))

    @classmethod
    def of(cls, response: Any) -> Self | None:
        """Pack a response; None where that would lose something of it."""
        if type(response) not in _KINDS:
            return None
        try:
            return cls(response)
        except Exception:  # noqa: BLE001 - a hook may have left it in any state, and it is kept then
            return None

    def unpack(self) -> httpx.Response:
        """Give the response."""
        response = self._response()
        return self._rebuild() if response is None else response

    def _rebuild(self) -> httpx.Response:
        state, sent, heads, url = marshal.loads(self._marshalled)  # noqa: S302 - written above, by us
        request = object.__new__(httpx.Request)
        vars(request).update(sent, _content=self._sent, url=url_from_parts(url))
        _put_into(request, heads[1])
        request.stream = httpx.ByteStream(self._sent)
        response = object.__new__(httpx.Response)
        vars(response).update(state, _content=self._received, history=[])
        _put_into(response, heads[0])
        response.request = request
        response.stream = SPENT
        if self._took is not None:
            response.elapsed = self._took
        return response


def _taken_out_of(state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Take headers and extensions out of the state of a response or a request.

    What leads to the connection is left out: a kept response must not hold it.
    """
    headers, extensions = state.pop("headers"), dict(state.pop("extensions"))
    _check_kind(headers, httpx.Headers)
    extensions.pop("network_stream", None)
    flat = dict(extensions)
    timeout, trailers = flat.pop("timeout", None), flat.pop("trailing_headers", None)
    _check_plain(flat.values())
    if timeout is not None:
        _check_kind(timeout, dict)
        _check_plain(timeout.values())
    if trailers is not None:
        _check_kind(trailers, list)
        _check_plain(part for pair in trailers for part in pair)
    return vars(headers), extensions


def _put_into(made: Any, head: tuple[dict[str, Any], dict[str, Any]]) -> None:
    made.headers = object.__new__(httpx.Headers)
    vars(made.headers).update(head[0])
    made.extensions = head[1]


def _check_kind(value: Any, kind: type) -> None:
    if type(value) is not kind:
        raise ValueError(f"{type(value).__name__} is more than {kind.__name__}")


def _check_plain(values: Iterable[Any]) -> None:
    if not _PLAIN.issuperset(map(type, values)):
        raise ValueError("there is a value that is no plain one")


def _check_sent(stream: Any, content: bytes) -> None:
    """Refuse a stream that a hook has put in the place of the request's."""
    _check_kind(stream, httpx.ByteStream)
    if b"".join(stream) != content:
        raise ValueError("what was sent is not what the request says")


def _plain_url(url: Any) -> tuple[Any, ...]:
    _check_kind(url, httpx.URL)
    return parts_of_url(url)
