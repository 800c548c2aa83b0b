"""Reads HTTP/1.1 responses with llhttp, the strict parser of Node.js, through ``httptools``.

It takes bytes and tells what they mean; it knows no socket. llhttp refuses what could be read in two
ways (RFC 9112 section 6.3): two lengths, a length beside chunks, folded lines, bare line feeds.
"""

from collections import deque
from typing import Any

import httpcore
import httptools

__all__ = ["Reading"]

_MAX_HEAD = 100 * 1024
"""Bytes of a head, or of trailers, at most."""

_MAX_INTERIM = 20
"""Responses of status 1xx that may come before the one that counts."""


class Reading:
    """The response to one request, as far as it has come.

    Args:
        method: the method of the request, in upper case: HEAD has no body, CONNECT a tunnel.

    Attributes:
        headers: names and values as they came.
        is_complete: whether the whole response has come.
        is_tunnel: whether the connection now belongs to another protocol.
        has_leftovers: whether bytes came that belong to no response.
        has_head: whether the head has come.
        keeps_alive: whether the connection may serve another request.
        parts: body bytes not yet taken.
        reason: the reason phrase.
        received: body bytes so far.
        status: the status code.
        trailers: trailing names and values.
        version: ``b"1.1"`` or ``b"1.0"``.
    """

    def __init__(self, method: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.has_head: bool = False
        self.has_leftovers: bool = False
        self.is_complete: bool = False
        self.is_tunnel: bool = False
        self.keeps_alive: bool = False
        self.parts: deque[bytes] = deque()
        self.reason: bytes = b""
        self.received: int = 0
        self.status: int = 0
        self.trailers: list[tuple[bytes, bytes]] = []
        self.version: bytes = b"1.1"
        self._fields = 0
        self._trailing = 0
        self._interim = 0
        self._length: int | None = None
        self._method = method
        self._parser: Any = httptools.HttpResponseParser(self)
        self._until_close = False

    def feed(self, data: bytes) -> None:
        """Take bytes from the connection.

        Raises:
            httpcore.RemoteProtocolError: they are no HTTP/1.1 response, or too large a head.
        """
        if self.is_tunnel or self.is_complete:
            self._take_surplus(data)
            return
        if not self.has_head:
            self._bound(len(data))
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.is_tunnel = self.is_complete = True
            self.parts.append(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if not self.is_complete:  # what follows a complete response is only left over
                raise httpcore.RemoteProtocolError(str(error)) from error
            self.has_leftovers = True
        if self._trailing > _MAX_HEAD:
            raise httpcore.RemoteProtocolError(f"trailers larger than {_MAX_HEAD} bytes")
        if self._interim > _MAX_INTERIM:
            raise httpcore.RemoteProtocolError(f"more than {_MAX_INTERIM} interim responses")

    def end(self) -> None:
        """Take the end of the connection.

        Raises:
            httpcore.RemoteProtocolError: the response is not whole.
        """
        if not self.has_head:
            raise httpcore.RemoteProtocolError("Server disconnected without sending a response.")
        if not self._until_close:
            expected = "" if self._length is None else f", expected {self._length}"
            raise httpcore.RemoteProtocolError(
                "peer closed connection without sending complete message body "
                f"(received {self.received} bytes{expected})"
            )
        self.is_complete = True

    def _bound(self, size: int) -> None:
        """Refuse a head that does not end; what came with its end may be body already."""
        if self._fields > _MAX_HEAD:
            raise httpcore.RemoteProtocolError(f"the head is larger than {_MAX_HEAD} bytes")
        self._fields += size

    def _take_surplus(self, data: bytes) -> None:
        if self.is_tunnel:
            self.parts.append(data)
        else:
            self.has_leftovers = True

    # What llhttp calls, in the order of a response.

    def on_message_begin(self) -> None:
        """Begin a response; a second one is left over."""
        self.has_leftovers = self.has_leftovers or self.is_complete

    def on_status(self, reason: bytes) -> None:
        """Take the reason phrase."""
        if not self.has_head:
            self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        if self.is_complete:
            return
        if self.has_head:
            self._trailing += len(name) + len(value)
            self.trailers.append((name, value))
        else:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Take the end of a head."""
        if self.is_complete:
            return
        self.status = self._parser.get_status_code()
        self.version = self._parser.get_http_version().encode()
        if 100 <= self.status < 200 and self.status != 101:  # noqa: PLR2004 - status classes
            self._interim += 1
            return
        self.has_head = True
        self.keeps_alive = self._parser.should_keep_alive()
        self._measure()

    def on_body(self, data: bytes) -> None:
        """Take a part of the body."""
        if self.is_complete and not self.is_tunnel:
            self.has_leftovers = True
        else:
            self.received += len(data)
            self.parts.append(data)

    def on_message_complete(self) -> None:
        """Take the end of a response; that of an interim one only clears the desk."""
        if self.has_head:
            self.is_complete = True
        else:
            self.headers.clear()
            self.reason = b""

    def _measure(self) -> None:
        """Say where the body ends, RFC 9112 section 6.3."""
        if self._method == b"HEAD":
            self.is_complete = True
            return
        if self._method == b"CONNECT" and 200 <= self.status < 300:  # noqa: PLR2004 - success
            self.is_tunnel = self.is_complete = True
            return
        fields = {name.lower(): value for name, value in self.headers}
        if b"content-length" in fields:
            self._length = int(fields[b"content-length"])
        coding = fields.get(b"transfer-encoding", b"").lower().rsplit(b",", 1)[-1].strip()
        self._until_close = self._length is None and coding != b"chunked"
