"""Encodes a request body for HTTP/1.1, as the request's headers declare it.

``wire/request_rules.py`` has checked them, and left at most one that declares a body. This module sends
nothing itself.
"""

from collections.abc import Iterable

import httpcore

from typed_async_client.wire.body_length import BodyLength

__all__ = ["Framing"]


class Framing:
    """Encodes one request's body, either chunked or with a declared length.

    Args:
        request: the request whose headers declare the framing.

    Attributes:
        has_body: whether the headers announce a body.
    """

    def __init__(self, request: httpcore.Request) -> None:
        self._length = BodyLength(request.headers)
        self.has_body: bool = self._length.has_body

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
        if not self._length.is_known:
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        self._length.count(len(data))
        return data

    def encode_end(self) -> bytes:
        """Encode the end of the body.

        Raises:
            httpcore.LocalProtocolError: the body is shorter than declared.
        """
        self._length.end()
        return b"" if self._length.is_known else b"0\r\n\r\n"
