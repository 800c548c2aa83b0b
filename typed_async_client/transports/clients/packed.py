"""A response as the ledger keeps it: in few bytes, as soon as nobody else holds it.

A response that was read is some twenty objects, and the garbage collector walks through all that are
kept, again and again: ten thousand of them cost more than it cost to send the requests.

Names of httpx 0.28 used that are not in its documentation: ``Response._content``, ``_decoder``,
``_elapsed`` and ``_request``, ``Request._content``, ``URL._uri_reference`` and what it is; and that
what makes all these, and ``Headers``, is what ``vars()`` tells.
"""

import marshal
import weakref
from typing import Any, Self

import httpx
from httpx._urlparse import ParseResult

from typed_async_client.transports.whole import SPENT, WholeResponse

__all__ = ["PackedResponse"]

_KINDS = (httpx.Response, WholeResponse)
_DROPPED = ("stream", "_body", "_decoder", "_request")


class PackedResponse:
    """The response of a request: the very one while somebody holds it, later one made anew.

    What is made anew is an ``httpx.Response`` with the same state. It lacks what a closed response
    has no use for: its stream, and the extension ``network_stream``.

    Args:
        response: one that was read to its end.

    Raises:
        KeyError: it was not read.
        ValueError: it carries what is no plain value.
    """

    __slots__ = ("_body", "_elapsed", "_made", "_sent", "_state")

    def __init__(self, response: httpx.Response) -> None:
        state, request = dict(vars(response)), dict(vars(response.request))
        for name in _DROPPED:
            state.pop(name, None)
        self._made = weakref.ref(response)
        self._body: bytes = state.pop("_content")
        self._elapsed = state.pop("_elapsed", None)
        state["headers"] = _plain_headers(state["headers"])
        state["extensions"] = _without_stream(state["extensions"])
        self._sent: bytes = request.pop("_content")
        del request["stream"]
        request["url"] = _plain_url(request["url"])
        request["headers"] = _plain_headers(request["headers"])
        self._state = marshal.dumps((state, request))

    @classmethod
    def of(cls, response: Any) -> Self | None:
        """Pack a response; None where that would lose something of it."""
        if type(response) not in _KINDS or type(vars(response)["_request"]) is not httpx.Request:
            return None
        try:
            return cls(response)
        except (KeyError, ValueError):
            return None

    def unpack(self) -> httpx.Response:
        """Give the response."""
        response = self._made()
        if response is None:
            response = self._make_anew()
            self._made = weakref.ref(response)
        return response

    def _make_anew(self) -> httpx.Response:
        state, sent = marshal.loads(self._state)  # noqa: S302 - written above, by this process
        request = object.__new__(httpx.Request)
        vars(request).update(sent, _content=self._sent)
        request.url = _url(sent["url"])
        request.headers = _headers(sent["headers"])
        request.stream = httpx.ByteStream(self._sent)
        response = object.__new__(httpx.Response)
        vars(response).update(state, _content=self._body)
        response.headers = _headers(state["headers"])
        response.request = request
        response.stream = SPENT
        if self._elapsed is not None:
            response.elapsed = self._elapsed
        return response


def _plain_headers(headers: Any) -> dict[str, Any]:
    if type(headers) is not httpx.Headers:
        raise ValueError(f"{type(headers).__name__} is more than httpx.Headers")
    return vars(headers)


def _plain_url(url: Any) -> tuple[Any, ...]:
    if type(url) is not httpx.URL:
        raise ValueError(f"{type(url).__name__} is more than httpx.URL")
    return tuple(url._uri_reference)  # noqa: SLF001 - told above


def _url(parts: tuple[Any, ...]) -> httpx.URL:
    url = object.__new__(httpx.URL)
    url._uri_reference = ParseResult(*parts)
    return url


def _without_stream(extensions: dict[str, Any]) -> dict[str, Any]:
    """Leave out what leads to the connection, which a kept response must not hold."""
    return {name: value for name, value in extensions.items() if name != "network_stream"}


def _headers(state: dict[str, Any]) -> httpx.Headers:
    headers = object.__new__(httpx.Headers)
    vars(headers).update(state)
    return headers
