"""How a request's body goes over an HTTP/1.1 connection, as its headers declare it.

It refuses what could be read in two ways, with h11's words, before anything is written. It sends
nothing itself.
"""

import re
from collections.abc import Iterable

import httpcore

from typed_async_client.wire.headers import body_framing

__all__ = ["Framing"]

_LENGTH = re.compile(rb"[0-9]{1,20}")
"""RFC 9112 section 6.2 names no bound; this is h11's."""


class Framing:
    """The frame of one request's body: chunks, or the length that was declared.

    Chunks win over a length beside them, as they do with h11: httpx adds a length itself to a
    body in bytes that somebody wants sent in chunks.

    Args:
        request: whose headers count.

    Attributes:
        is_wanted: whether the headers announce a body.

    Raises:
        httpcore.LocalProtocolError: the lengths differ or one is not a number in digits, or there
            is a transfer coding other than ``chunked``, RFC 9112 sections 6.1 and 6.3.
    """

    def __init__(self, request: httpcore.Request) -> None:
        lengths, codings = body_framing(request.headers)
        self._left = _length(lengths)
        self._is_chunked = _is_chunked(codings)
        self.is_wanted: bool = self._is_chunked or self._left > 0

    def whole(self, body: Iterable[bytes]) -> bytes:
        """Frame a body that is there.

        Raises:
            httpcore.LocalProtocolError: it is longer or shorter than declared.
        """
        return b"".join([*map(self.part, body), self.end()])

    def part(self, data: bytes) -> bytes:
        """Frame a part of a body.

        Raises:
            httpcore.LocalProtocolError: the body is longer than declared.
        """
        if self._is_chunked:
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        self._left -= len(data)
        if self._left < 0:
            raise httpcore.LocalProtocolError("Too much data for declared Content-Length")
        return data

    def end(self) -> bytes:
        """Frame the end of it.

        Raises:
            httpcore.LocalProtocolError: the body is shorter than declared.
        """
        if self._is_chunked:
            return b"0\r\n\r\n"
        if self._left > 0:
            raise httpcore.LocalProtocolError("Too little data for declared Content-Length")
        return b""


def _length(lengths: list[bytes]) -> int:
    if not lengths:
        return 0
    if not all(map(_LENGTH.fullmatch, lengths)):
        raise httpcore.LocalProtocolError("bad Content-Length")
    if len(set(lengths)) > 1:
        raise httpcore.LocalProtocolError("conflicting Content-Length headers")
    return int(lengths[0])


def _is_chunked(codings: list[bytes]) -> bool:
    if len(codings) > 1:
        raise httpcore.LocalProtocolError("multiple Transfer-Encoding headers")
    if codings and codings[0] != b"chunked":
        raise httpcore.LocalProtocolError("Only Transfer-Encoding: chunked is supported")
    return bool(codings)
