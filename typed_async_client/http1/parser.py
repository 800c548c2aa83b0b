"""Parses HTTP/1.1 responses with llhttp, the strict parser of Node.js, through ``httptools``.

The parser does no I/O: bytes go in, and the state of the response can be read. llhttp refuses ambiguous
responses (RFC 9112 section 6.3): two lengths, both a length and chunks, folded lines, bare line feeds.
This module refuses what llhttp accepts and h11 doesn't: transfer codings other than ``chunked``, whose
encoded bytes would be returned as the body, other protocols and versions, blank lines before the status
line, and control characters in the reason phrase.
"""

import re
from collections import deque
from typing import Any

import httpcore
import httptools

from typed_async_client.wire.headers import body_framing

__all__ = ["ResponseParser"]

_MAX_HEAD = 100 * 1024
"""Most bytes in a head, with those of interim responses before it, or in trailers."""

_HEAD_TOO_LARGE = f"the head is larger than {_MAX_HEAD} bytes"

_MAX_INTERIM = 20
"""Most interim (1xx) responses before the final one."""

_START, _HEAD_END = b"HTTP/", b"\r\n\r\n"
_VERSIONS = (b"1.1", b"1.0")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CONTINUE, _SWITCHING = 100, 101


class ResponseParser:
    """Parses the response to one request, and holds what has been received of it so far.

    Args:
        method: the method of the request, in upper case. It matters because a response to HEAD has
            no body, and a successful one to CONNECT opens a tunnel.

    Attributes:
        got_continue: whether the server has sent 100 Continue.
        has_head: whether the head has been received.
        has_leftovers: whether there were bytes beyond the end of the response.
        headers: names and values as received.
        is_complete: whether the whole response has been received.
        is_tunnel: whether the connection now carries another protocol.
        keep_alive: whether the connection may serve another request.
        parts: body bytes not yet consumed.
        reason: the reason phrase.
        received: number of body bytes received.
        status: the status code.
        trailers: names and values of the trailer fields.
        version: ``b"1.1"`` or ``b"1.0"``.
    """

    def __init__(self, method: bytes) -> None:
        self.got_continue: bool = False
        self.has_head: bool = False
        self.has_leftovers: bool = False
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete: bool = False
        self.is_tunnel: bool = False
        self.keep_alive: bool = False
        self.parts: deque[bytes] = deque()
        self.reason: bytes = b""
        self.received: int = 0
        self.status: int = 0
        self.trailers: list[tuple[bytes, bytes]] = []
        self.version: bytes = b"1.1"
        self._bytes_without_body = 0  # received since the last body bytes
        self._error = ""
        self._head_parts: list[bytes] = []
        self._head_size = 0
        self._interim_responses = 0
        self._length: int | None = None
        self._llhttp: Any = httptools.HttpResponseParser(self)
        self._method = method
        self._until_close = False

    def take(self, data: bytes) -> None:
        """Parse the result of a read; empty means that the connection has ended.

        Raises:
            httpcore.RemoteProtocolError: it isn't a valid HTTP/1.1 response, or it is truncated.
        """
        if data:
            self.feed(data)
        else:
            self.end()

    def feed(self, data: bytes) -> None:
        """Parse received bytes.

        Raises:
            httpcore.RemoteProtocolError: they aren't a valid HTTP/1.1 response, or the head is too
                large.
        """
        if self.is_tunnel or self.is_complete:
            self._take_extra(data)
            return
        if self.has_head:
            self._parse_body(data)
            return
        self._add_head_part(data)
        if self._method == b"CONNECT":
            self._parse_before_tunnel(data)
        else:
            self._parse(data)
        if self.has_head:
            self._check_heads()

    def end(self) -> None:
        """Handle the end of the connection.

        Raises:
            httpcore.RemoteProtocolError: the response is truncated.
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
        """Drop the llhttp parser, which refers back to this object.

        Without the reference cycle, a response that is kept can be freed with its last reference.
        """
        self._llhttp = None

    def _add_head_part(self, data: bytes) -> None:
        """Store a part of the head, and refuse a head that is too large already.

        The last part may belong to the body, so it is counted once the head is complete.
        """
        if self._head_size > _MAX_HEAD:
            raise httpcore.RemoteProtocolError(_HEAD_TOO_LARGE)
        self._head_size += len(data)
        self._head_parts.append(data)

    def _check_heads(self) -> None:
        """Refuse heads that are too large, and RTSP, ICE and blank lines, which llhttp accepts."""
        count = self._interim_responses + 1
        is_large = self._head_size > _MAX_HEAD
        if count > 1 or is_large or not self._head_parts[0].startswith(_START):
            heads = b"".join(self._head_parts).split(_HEAD_END, count)[:count]
            if not all(head.startswith(_START) for head in heads):
                raise httpcore.RemoteProtocolError("the response doesn't start with HTTP/")
            if sum(len(head) + len(_HEAD_END) for head in heads) > _MAX_HEAD:
                raise httpcore.RemoteProtocolError(_HEAD_TOO_LARGE)
        self._head_parts.clear()

    def _parse(self, data: bytes) -> None:
        try:
            self._llhttp.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.is_tunnel = self.is_complete = True
            self.parts.append(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if not self.is_complete:  # bytes after a complete response are just leftovers
                raise httpcore.RemoteProtocolError(self._error or str(error)) from error
            self.has_leftovers = True
        if self._error:
            raise httpcore.RemoteProtocolError(self._error)

    def _parse_body(self, data: bytes) -> None:
        """Parse a part of the body; refuse chunk extensions or trailers that never end."""
        received = self.received
        self._parse(data)
        if self.received > received:
            self._bytes_without_body = 0
        else:
            self._bytes_without_body += len(data)
        if self._bytes_without_body > _MAX_HEAD and not self.is_complete:
            raise httpcore.RemoteProtocolError(f"the trailers are larger than {_MAX_HEAD} bytes")

    def _parse_before_tunnel(self, data: bytes) -> None:
        """Parse byte by byte: the tunnel starts where the head ends, which llhttp doesn't report."""
        for index in range(len(data)):
            self._parse(data[index : index + 1])
            if self.has_head:
                if rest := data[index + 1 :]:
                    self.feed(rest)
                return

    def _take_extra(self, data: bytes) -> None:
        if self.is_tunnel:
            self.parts.append(data)
        else:
            self.has_leftovers = True

    # Callbacks of llhttp, in the order of a response.

    def on_message_begin(self) -> None:
        """Handle the start of a response; a second one counts as leftovers."""
        self.has_leftovers = self.has_leftovers or self.is_complete

    def on_status(self, reason: bytes) -> None:
        """Store the reason phrase, which may arrive in parts."""
        if not self.has_head:
            self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header or a trailer field."""
        if self.is_complete:
            return
        if self.has_head:
            self.trailers.append((name, value))
        else:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Handle the end of the head."""
        if self.is_complete:
            return
        self.status = self._llhttp.get_status_code()
        self.version = self._llhttp.get_http_version().encode()
        self._error = self._error or self._find_head_error()
        if 100 <= self.status < 200 and self.status != _SWITCHING:  # noqa: PLR2004 - status classes
            self._add_interim()
        elif not self._error:
            self.has_head = True
            self.keep_alive = self._llhttp.should_keep_alive()
            self._read_framing()

    def on_body(self, data: bytes) -> None:
        """Store a part of the body."""
        if self.is_complete and not self.is_tunnel:
            self.has_leftovers = True
        else:
            self.received += len(data)
            self.parts.append(data)

    def on_message_complete(self) -> None:
        """Handle the end of a response; after an interim one, reset for the next head."""
        if self.has_head:
            self.is_complete = True
        else:
            self.headers.clear()
            self.reason = b""

    def _add_interim(self) -> None:
        self._interim_responses += 1
        self.got_continue = self.got_continue or self.status == _CONTINUE
        if self._interim_responses > _MAX_INTERIM:
            self._error = f"more than {_MAX_INTERIM} interim responses"

    def _find_head_error(self) -> str:
        """Return what is wrong with a head that llhttp accepted; empty if nothing is."""
        if self.version not in _VERSIONS:
            return f"unsupported version HTTP/{self.version.decode()}"
        if self.status < _CONTINUE:
            return f"invalid status code {self.status:03}"
        if _CONTROL.search(self.reason):
            return "control character in the reason phrase"
        if self.status == _SWITCHING and not self._llhttp.should_upgrade():
            return "101 Switching Protocols without an Upgrade header"
        return ""

    def _read_framing(self) -> None:
        """Determine where the body ends, RFC 9112 section 6.3."""
        lengths, codings = body_framing(self.headers)
        if lengths:
            self._length = int(lengths[-1])
        if codings and codings != [b"chunked"]:
            self._error = f"unsupported transfer coding: {b', '.join(codings)!r}"
        if codings and self.version == b"1.0":  # faulty framing, section 6.1
            self.keep_alive = False
        if self._method == b"HEAD":
            self.is_complete = True
            if self._length is None and not codings:  # llhttp says no: it expects a body
                self.keep_alive = self.version == b"1.1" and not self._has_connection_close()
        elif self._method == b"CONNECT" and 200 <= self.status < 300:  # noqa: PLR2004 - success
            self.is_tunnel = self.is_complete = True
        else:
            self._until_close = self._length is None and not codings

    def _has_connection_close(self) -> bool:
        values = [value.lower() for name, value in self.headers if name.lower() == b"connection"]
        return b"close" in [token.strip(b" \t") for token in b",".join(values).split(b",")]
