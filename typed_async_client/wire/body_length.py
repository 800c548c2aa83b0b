"""Compares the body of a request with the length that its headers declare."""

from collections.abc import Iterable

import httpcore

from typed_async_client.wire.headers import body_framing

__all__ = ["BodyLength"]


class BodyLength:
    """Counts the bytes of one body.

    ``wire/request_rules.py`` has checked the headers, and left at most one that declares a body.

    Args:
        headers: the headers of the request.

    Attributes:
        is_known: whether the length is declared; a chunked body has none, so that only its end tells.
        left: how many bytes are missing; 0 if the length isn't known.
    """

    __slots__ = ("is_known", "left")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        lengths, codings = body_framing(headers)
        self.is_known: bool = not codings
        self.left: int = int(lengths[0]) if lengths and not codings else 0

    @property
    def has_body(self) -> bool:
        """Whether anything is to be sent; before the first part, whether there is a body at all."""
        return not self.is_known or self.left > 0

    @property
    def is_reached(self) -> bool:
        """Whether as many bytes were counted as declared."""
        return self.is_known and self.left == 0

    def count(self, size: int) -> None:
        """Count a part of the body.

        Raises:
            httpcore.LocalProtocolError: the body is longer than declared.
        """
        if self.is_known:
            self.left -= size
            if self.left < 0:
                raise httpcore.LocalProtocolError("Too much data for declared Content-Length")

    def end(self) -> None:
        """Check that the body may end here.

        Raises:
            httpcore.LocalProtocolError: it is shorter than declared.
        """
        if self.left > 0:
            raise httpcore.LocalProtocolError("Too little data for declared Content-Length")
