"""Reads HTTP/1.1 responses with llhttp, the strict parser of Node.js, through ``httptools``.

It takes bytes and tells what they mean; it knows no socket. llhttp refuses what could be read in two
ways (RFC 9112 section 6.3): two lengths, a length beside chunks, folded lines, bare line feeds. What
llhttp lets pass and h11 does not is refused here: codings other than ``chunked``, whose bytes would
be given for the body, other protocols and versions, blank lines in front, control characters.
"""

import re
from collections import deque
from typing import Any

import httpcore
import httptools

from typed_async_client.wire.headers import body_framing

__all__ = ["ResponseParser"]

_MAX_HEAD = 100 * 1024
"""Bytes of a head, or of trailers, at most."""

_MAX_INTERIM = 20
"""Responses of status 1xx that may come before the one that counts."""

_START, _HEAD_END = b"HTTP/", b"\r\n\r\n"
_VERSIONS = (b"1.1", b"1.0")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CONTINUE, _SWITCHING = 100, 101


class ResponseParser:
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
        may_continue: whether the server asked for the body, by status 100.
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
        self.may_continue: bool = False
        self.parts: deque[bytes] = deque()
        self.reason: bytes = b""
        self.received: int = 0
        self.status: int = 0
        self.trailers: list[tuple[bytes, bytes]] = []
        self.version: bytes = b"1.1"
        self._bodiless = 0
        self._fault = ""
        self._fields = 0
        self._pieces: list[bytes] = []  # what the head came in
        self._interim = 0
        self._length: int | None = None
        self._method = method
        self._parser: Any = httptools.HttpResponseParser(self)
        self._until_close = False

    def take(self, data: bytes) -> None:
        """Take what a read of the connection gave; nothing is its end.

        Raises:
            httpcore.RemoteProtocolError: it is no HTTP/1.1 response, or no whole one.
        """
        if data:
            self.feed(data)
        else:
            self.end()

    def feed(self, data: bytes) -> None:
        """Take bytes from the connection.

        Raises:
            httpcore.RemoteProtocolError: they are no HTTP/1.1 response, or too large a head.
        """
        if self.is_tunnel or self.is_complete:
            self._take_surplus(data)
            return
        if self.has_head:
            self._parse_body(data)
            return
        self._bound(data)
        if self._method == b"CONNECT":
            self._parse_before_tunnel(data)
        else:
            self._parse(data)
        if self.has_head:
            self._check_starts()

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

    def release(self) -> None:
        """Let go of the parser, which holds this in turn: kept responses are no circles."""
        self._parser = None

    def _bound(self, data: bytes) -> None:
        """Refuse a head that does not end; what came with its end may be body already."""
        if self._fields > _MAX_HEAD:
            raise httpcore.RemoteProtocolError(f"the head is larger than {_MAX_HEAD} bytes")
        self._fields += len(data)
        self._pieces.append(data)

    def _check_starts(self) -> None:
        """Refuse RTSP, ICE, and blank lines in front of a head: llhttp passes over them."""
        count = self._interim + 1
        if count > 1 or not self._pieces[0].startswith(_START):
            heads = b"".join(self._pieces).split(_HEAD_END, count)[:count]
            if not all(head.startswith(_START) for head in heads):
                raise httpcore.RemoteProtocolError("a response does not begin with HTTP/")
        self._pieces.clear()

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.is_tunnel = self.is_complete = True
            self.parts.append(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if not self.is_complete:  # what follows a complete response is only left over
                raise httpcore.RemoteProtocolError(self._fault or str(error)) from error
            self.has_leftovers = True
        if self._fault:
            raise httpcore.RemoteProtocolError(self._fault)

    def _parse_body(self, data: bytes) -> None:
        """Refuse trailers, or what else stands between two parts of a body, that do not end."""
        received = self.received
        self._parse(data)
        self._bodiless = 0 if self.received > received else self._bodiless + len(data)
        if self._bodiless > _MAX_HEAD and not self.is_complete:
            raise httpcore.RemoteProtocolError(f"trailers larger than {_MAX_HEAD} bytes")

    def _parse_before_tunnel(self, data: bytes) -> None:
        """Parse byte by byte: llhttp does not say where a head ends, and a tunnel begins there."""
        for place in range(len(data)):
            self._parse(data[place : place + 1])
            if self.has_head:
                if surplus := data[place + 1 :]:
                    self.feed(surplus)
                return

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
            self.trailers.append((name, value))
        else:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Take the end of a head."""
        if self.is_complete:
            return
        self.status = self._parser.get_status_code()
        self.version = self._parser.get_http_version().encode()
        self._fault = self._fault or self._fault_of_head()
        if 100 <= self.status < 200 and self.status != _SWITCHING:  # noqa: PLR2004 - status classes
            self._count_interim()
        elif not self._fault:
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

    def _count_interim(self) -> None:
        self._interim += 1
        self.may_continue = self.may_continue or self.status == _CONTINUE
        if self._interim > _MAX_INTERIM:
            self._fault = f"more than {_MAX_INTERIM} interim responses"

    def _fault_of_head(self) -> str:
        """Say what is wrong with a head that llhttp lets pass; nothing when all is well."""
        if self.version not in _VERSIONS:
            return f"HTTP/{self.version.decode()} is not HTTP/1.1"
        if self.status < _CONTINUE:
            return f"there is no status {self.status:03}"
        if _CONTROL.search(self.reason):
            return "a control character in the reason phrase"
        if self.status == _SWITCHING and not self._parser.should_upgrade():
            return "switching protocols to none"
        return ""

    def _measure(self) -> None:
        """Say where the body ends, RFC 9112 section 6.3."""
        lengths, codings = body_framing(self.headers)
        if lengths:
            self._length = int(lengths[-1])
        if codings and codings != [b"chunked"]:
            self._fault = f"transfer codings other than chunked: {b', '.join(codings)!r}"
        if codings and self.version == b"1.0":  # section 6.1: its framing is faulty
            self.keeps_alive = False
        if self._method == b"HEAD":
            self.is_complete = True
            if self._length is None and not codings:  # llhttp, for which a body may follow, says no
                self.keeps_alive = self.version == b"1.1" and not self._says_close()
        elif self._method == b"CONNECT" and 200 <= self.status < 300:  # noqa: PLR2004 - success
            self.is_tunnel = self.is_complete = True
        else:
            self._until_close = self._length is None and not codings

    def _says_close(self) -> bool:
        told = [value.lower() for name, value in self.headers if name.lower() == b"connection"]
        return b"close" in [token.strip(b" \t") for token in b",".join(told).split(b",")]
