"""Parses HTTP/1.1 responses with llhttp, the strict parser of Node.js, through ``httptools``.

The parser does no I/O: bytes go in, and the state of the response can be read. llhttp refuses ambiguous
responses (RFC 9112 section 6.3): lengths that differ, both a length and chunks, some bare line feeds. If
it refuses a head that has only one meaning, ``rewriter.py`` helps. Of a body, it reads only what arrives
together with the head: ``plain_body.py`` and ``chunks.py`` read the rest, and a chunked body that it refuses.

This module refuses what llhttp accepts and h11 doesn't: transfer codings other than ``chunked``, other
protocols and versions, blank lines before the status line, and control characters in the reason phrase.
"""

from collections import deque
from typing import Any

import httpcore
import httptools

from typed_async_client.http1.chunks import ChunkedReader
from typed_async_client.http1.head_checks import (
    MAX_HEAD,
    MisreadError,
    check_size,
    find_head_error,
    split_heads,
)
from typed_async_client.http1.plain_body import PlainReader
from typed_async_client.http1.rewriter import HeadRewriter
from typed_async_client.wire.headers import body_framing, has_close
from typed_async_client.wire.interim import MAX_INTERIM

__all__ = ["ResponseParser"]

_REWRITABLE = b"HTTP/1."
_CONTINUE, _SWITCHING = 100, 101
_WITHOUT_BODY = (204, 304)


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
        version: ``b"1.1"``, ``b"1.0"``, or another version 1.
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
        self._body: ChunkedReader | PlainReader = PlainReader(None)
        self._ends_at_head = False  # what follows belongs to another protocol
        self._error = ""
        self._head_parts: list[bytes] = []
        self._head_size = 0
        self._interim_responses = 0
        self._is_chunked = False
        self._length: int | None = None
        self._llhttp: Any = httptools.HttpResponseParser(self)
        self._method = method
        self._rewriter: HeadRewriter | None = None
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
            httpcore.RemoteProtocolError: they aren't a valid response, or the head is too large.
        """
        if self.is_tunnel:
            self.parts.append(data)
        elif self.is_complete:
            self.has_leftovers = True
        elif self.has_head:
            self._parse_body(data)
        elif rest := self._parse_head(data):
            self.feed(rest)

    def end(self) -> None:
        """Handle the end of the connection.

        Raises:
            httpcore.RemoteProtocolError: the response is truncated.
        """
        if not self.has_head:
            if self._rewriter is not None:
                self._parse(self._rewriter.held())
            raise httpcore.RemoteProtocolError("Server disconnected without sending a response.")
        if not self._until_close:
            expected = "" if self._length is None else f", expected {self._length}"
            raise httpcore.RemoteProtocolError(
                "peer closed connection without sending complete message body "
                f"(received {self.received} bytes{expected})"
            )
        self.is_complete = True

    def release(self) -> None:
        """Drop the llhttp parser, which refers back to this object, so that both are freed soon."""
        self._llhttp = None

    def _parse_head(self, data: bytes) -> bytes:
        """Parse a part of the head; return what follows the head, unless llhttp reads it."""
        check_size(self._head_size)  # without this part, which may belong to the body
        self._head_size += len(data)
        self._head_parts.append(data)
        if self._rewriter is not None:
            return self._parse_rewritten(self._rewriter, data)
        try:
            self._parse(data)
        except httpcore.RemoteProtocolError:
            received = b"".join(self._head_parts)
            if self._error or self.has_head or not received.startswith(_REWRITABLE):
                raise
            return self._parse_rewritten(self._start_over(), received)
        return self._end_head() if self.has_head else b""

    def _start_over(self) -> HeadRewriter:
        """Forget what was parsed, interim responses included."""
        self.got_continue = False
        self.headers.clear()
        self.reason = b""
        self._interim_responses = 0
        self._llhttp = httptools.HttpResponseParser(self)
        self._rewriter = HeadRewriter()
        return self._rewriter

    def _parse_rewritten(self, rewriter: HeadRewriter, data: bytes) -> bytes:
        while data and not self.has_head:
            rewritten, data = rewriter.feed(data)
            self._parse(rewritten)
        check_size(rewriter.size)
        if self.has_head:
            self._head_parts.clear()
            self._start_body()
        return data

    def _end_head(self) -> bytes:
        """Check the heads, and return what follows them, unless llhttp has read it."""
        parts, self._head_parts = self._head_parts, []
        wants_rest = self._ends_at_head or (self._is_chunked and not self.is_complete)
        count = self._interim_responses + 1
        rest = split_heads(parts, self._head_size, count, wants_rest=wants_rest)
        self._start_body()
        return rest

    def _start_body(self) -> None:
        """Leave the rest of the body to a reader, and a chunked one as a whole."""
        if self._is_chunked and not self.is_complete:
            self._body = ChunkedReader(self.trailers)
            self.parts.clear()
            self.received = 0
            self.trailers.clear()
        elif not self.is_complete:
            self._body = PlainReader(None if self._length is None else self._length - self.received)

    def _parse(self, data: bytes) -> None:
        try:
            self._llhttp.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.is_tunnel = self.is_complete = self._ends_at_head = True
        except httptools.HttpParserError as error:
            if not (self.is_complete or self._is_chunked):
                raise httpcore.RemoteProtocolError(self._error or str(error)) from error
            self.has_leftovers = self.is_complete and not self._ends_at_head
        if self._error:
            raise httpcore.RemoteProtocolError(self._error)

    def _parse_body(self, data: bytes) -> None:
        """Parse a part of the body; refuse chunk extensions or trailers that never end."""
        received = self.received
        parts = self._body.feed(data)
        self.parts.extend(parts)
        self.received += sum(map(len, parts))
        self.is_complete = self._body.is_complete
        self.has_leftovers = self._body.has_leftovers
        if self.received > received:
            self._bytes_without_body = 0
        else:
            self._bytes_without_body += len(data)
        if self._bytes_without_body > MAX_HEAD and not self.is_complete:
            raise httpcore.RemoteProtocolError(f"the trailers are larger than {MAX_HEAD} bytes")

    # Callbacks of llhttp, in the order of a response.

    def on_message_begin(self) -> None:
        """Handle the start of a response; a second one counts as leftovers."""
        self.has_leftovers = self.has_leftovers or (self.is_complete and not self._ends_at_head)

    def on_status(self, reason: bytes) -> None:
        """Store the reason phrase, which may arrive in parts."""
        if not self.has_head:
            self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header or a trailer field."""
        if not self.has_head:
            self.headers.append((name, value))
        elif not self.is_complete:
            self.trailers.append((name, value))

    def on_headers_complete(self) -> None:
        """Handle the end of the head."""
        if self.is_complete:
            return
        self.status = self._llhttp.get_status_code()
        self.version = self._llhttp.get_http_version().encode()
        if self._rewriter is not None:
            self.version = self._rewriter.version
        self._error = self._error or find_head_error(
            self.version, self.status, self.reason, is_upgrade=self._llhttp.should_upgrade()
        )
        if 100 <= self.status < 200 and self.status != _SWITCHING:  # noqa: PLR2004 - status classes
            self._add_interim()
        elif not self._error:
            self.has_head = True
            self.keep_alive = self._llhttp.should_keep_alive()
            self._read_framing()

    def on_body(self, data: bytes) -> None:
        """Store a part of the body."""
        if self._ends_at_head:
            return
        if self.is_complete:
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
        if self._rewriter is None and any(body_framing(self.headers)):
            raise MisreadError
        self._interim_responses += 1
        self.got_continue = self.got_continue or self.status == _CONTINUE
        if self._interim_responses > MAX_INTERIM:
            self._error = f"more than {MAX_INTERIM} interim responses"

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
                self.keep_alive = self.version != b"1.0" and not has_close(self.headers)
        elif self._method == b"CONNECT" and 200 <= self.status < 300:  # noqa: PLR2004 - success
            self.is_tunnel = self.is_complete = self._ends_at_head = True
        elif codings and self.status not in _WITHOUT_BODY:
            self._is_chunked = True
        else:
            self._until_close = self._length is None
