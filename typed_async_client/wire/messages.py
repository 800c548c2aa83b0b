"""httpcore's requests and responses, made of values that somebody has checked already.

httpcore's own constructors look at the type of each name and value whenever a message is handed
on. Here they are taken as they are: from httpx, which has encoded them, or from a parser.
"""

from typing import Any

import httpcore
import httpx

__all__ = ["REPLAYABLE_BODIES", "TrustedRequest", "TrustedResponse", "timeout_of"]

REPLAYABLE_BODIES = (httpx.ByteStream, type(httpcore.Request("GET", "http://a.test/").stream))
"""Bodies that can be sent twice because they hold their bytes."""


def timeout_of(request: httpcore.Request | httpx.Request, phase: str) -> float | None:
    """Return the timeout of a request for ``connect``, ``read``, ``write`` or ``pool``.

    In seconds; None is no limit.
    """
    seconds: float | None = request.extensions.get("timeout", {}).get(phase)
    return seconds


class TrustedRequest(httpcore.Request):
    """A request of httpx, as httpcore wants it.

    Args:
        request: what to send.

    Raises:
        TypeError: the method, or a target given as an extension, is not ASCII.
    """

    def __init__(self, request: httpx.Request) -> None:
        if not request.method.isascii():
            raise TypeError("method strings may not include unicode characters.")
        self.method: bytes = request.method.encode()
        self.url: httpcore.URL = _TrustedURL(request.url)
        self.headers: list[tuple[bytes, bytes]] = request.headers.raw
        self.stream: Any = request.stream
        self.extensions: Any = request.extensions
        if "target" in request.extensions:
            target = httpcore.URL(target=request.extensions["target"])
            self.url.target = target.target


class _TrustedURL(httpcore.URL):
    def __init__(self, url: httpx.URL) -> None:
        self.scheme = url.raw_scheme
        self.host = url.raw_host
        self.port = url.port
        self.target = url.raw_path


class TrustedResponse(httpcore.Response):
    """A response of a parser, as httpcore gives it.

    Args:
        status: the status code.
        headers: names and values as they came.
        stream: the body, iterated asynchronously.
        extensions: what else is known of it.
    """

    def __init__(
        self,
        status: int,
        headers: list[tuple[bytes, bytes]],
        stream: Any,
        extensions: dict[str, Any],
    ) -> None:
        self.status: int = status
        self.headers: list[tuple[bytes, bytes]] = headers
        self.stream: Any = stream
        self.extensions: Any = extensions
        self._stream_consumed = False
