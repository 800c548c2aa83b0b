"""httpcore's requests and responses, built from values that have already been checked.

httpcore's constructors check the type of every header name and value each time a message is passed on.
These classes skip that: the values come from httpx, which has encoded them, or from a parser.
"""

import copy
from collections.abc import Mapping
from typing import Any

import httpcore
import httpx

from typed_async_client.hosts import authority_host
from typed_async_client.wire.headers import with_close

__all__ = [
    "REPLAYABLE_BODIES",
    "STARTED",
    "TrustedRequest",
    "TrustedResponse",
    "closing_request",
    "opening_request",
    "timeout_of",
]

REPLAYABLE_BODIES = (httpx.ByteStream, type(httpcore.Request("GET", "http://a.test/").stream))
"""Body types that can be sent again, because they hold all their bytes in memory."""

STARTED = "started"
"""Attribute of a request on a connection that others share: its head was passed on to be sent."""

_PERCENT = ord("%")
"""As a number, which is found in bytes faster than in other bytes."""


def timeout_of(request: httpcore.Request | httpx.Request, phase: str) -> float | None:
    """Return a request's ``connect``, ``read``, ``write`` or ``pool`` timeout.

    In seconds; None is no limit.
    """
    seconds: float | None = request.extensions.get("timeout", {}).get(phase)
    return seconds


def closing_request(request: httpcore.Request) -> httpcore.Request:
    """Return a copy of a request that asks to close the connection after its response."""
    changed = copy.copy(request)
    changed.headers = with_close(request.headers)
    return changed


def opening_request(url: httpcore.URL, timeouts: Mapping[str, float | None]) -> httpcore.Request:
    """Return what opens a connection: a request without a method, which can't be sent.

    Args:
        url: a URL of the origin.
        timeouts: seconds by phase: ``connect``, ``read``, ``write``; None is no limit.
    """
    return httpcore.Request(b"", url, extensions={"timeout": dict(timeouts)})


class TrustedRequest(httpcore.Request):
    """An httpx request converted for httpcore, without checking its headers again.

    Args:
        request: the request to convert.

    Raises:
        TypeError: the method, or a target passed as an extension, isn't ASCII.
    """

    def __init__(self, request: httpx.Request) -> None:
        if not request.method.isascii():
            raise TypeError("method strings may not include unicode characters.")
        self.method: bytes = request.method.encode()
        self.url: httpcore.URL = _TrustedURL(request.url)
        self.headers: list[tuple[bytes, bytes]] = request.headers.raw
        if _PERCENT in self.url.host:
            self.headers = _without_zone(self.headers, request.url.netloc)
        self.stream: Any = request.stream
        self.extensions: Any = request.extensions
        if "target" in request.extensions:
            target = httpcore.URL(target=request.extensions["target"])
            self.url.target = target.target

    def __repr__(self) -> str:
        return f"<Request [{self.method!r}]>"  # as in httpcore, whose loggers print it


class _TrustedURL(httpcore.URL):
    def __init__(self, url: httpx.URL) -> None:
        self.scheme = url.raw_scheme
        self.host = url.raw_host
        self.port = url.port
        self.target = url.raw_path

    def __bytes__(self) -> bytes:
        """Return the whole URL; httpcore leaves out the brackets of IPv6."""
        host = authority_host(self.host.decode("ascii")).encode("ascii")
        return bytes(
            httpcore.URL(scheme=self.scheme, host=host, port=self.port, target=self.target)
        )


def _without_zone(headers: list[tuple[bytes, bytes]], netloc: bytes) -> list[tuple[bytes, bytes]]:
    """Remove the zone of an IPv6 address from a Host that httpx has copied from the URL."""
    address, zone, rest = netloc.partition(b"%")
    if not zone or not address.startswith(b"["):
        return headers
    host = address + rest[rest.index(b"]") :]
    return [
        (name, host if value == netloc and name.lower() == b"host" else value)
        for name, value in headers
    ]


class TrustedResponse(httpcore.Response):
    """A parsed response as an httpcore response, without checking its headers again.

    Args:
        status: the status code.
        headers: names and values as received.
        stream: the body, an async iterable.
        extensions: httpcore's response extensions.
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
