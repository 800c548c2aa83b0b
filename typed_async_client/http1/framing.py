"""Encodes a request body for HTTP/1.1, as the request's headers declare it.

Ambiguous headers are refused before anything is written, with h11's error messages. This module sends
nothing itself.
"""

import re
from collections.abc import Iterable

import httpcore

from typed_async_client.wire.headers import body_framing

__all__ = ["Framing"]

_LENGTH = re.compile(rb"[0-9]{1,20}")
"""At most 20 digits: RFC 9112 section 6.2 sets no limit, this is h11's."""


class Framing:
    """Encodes one request's body, either chunked or with a declared length.

    If the headers declare both, the body is sent chunked, as h11 does: when a caller sets
    ``Transfer-Encoding: chunked`` for a body in bytes, httpx adds a length as well.

    Args:
        request: the request whose headers declare the framing.

    Attributes:
        has_body: whether the headers announce a body.

    Raises:
        httpcore.LocalProtocolError: the lengths differ, one of them isn't a decimal number, or
            there is a transfer coding other than ``chunked``, RFC 9112 sections 6.1 and 6.3.
    """

    def __init__(self, request: httpcore.Request) -> None:
        lengths, codings = body_framing(request.headers)
        self._remaining = _length(lengths)
        self._is_chunked = _is_chunked(codings)
        self.has_body: bool = self._is_chunked or self._remaining > 0

    def encode(self, body: Iterable[bytes]) -> bytes:
        """Encode a complete body.

        Raises:
            httpcore.LocalProtocolError: the body is longer or shorter than declared.
        """
        return b"".join([*map(self.encode_part, body), self.encode_end()])

    def encode_part(self, data: bytes) -> bytes:
        """Encode a part of the body.

        Raises:
            httpcore.LocalProtocolError: the body is longer than declared.
        """
        if self._is_chunked:
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        self._remaining -= len(data)
        if self._remaining < 0:
            raise httpcore.LocalProtocolError("Too much data for declared Content-Length")
        return data

    def encode_end(self) -> bytes:
        """Encode the end of the body.

        Raises:
            httpcore.LocalProtocolError: the body is shorter than declared.
        """
        if self._is_chunked:
            return b"0\r\n\r\n"
        if self._remaining > 0:
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
