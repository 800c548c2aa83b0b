"""Parses HTTP/1.1 responses with llhttp, the strict parser of Node.js, through ``httptools``.

llhttp refuses ambiguous responses (RFC 9112 section 6.3): lengths that differ, both a length and chunks,
some bare line feeds. If it refuses a head that has only one meaning, ``rewriter.py`` helps. Of a body, it
reads only what arrives together with the head: ``base_parser.py`` reads the rest, and a chunked body that
it refuses.

This module refuses what llhttp accepts and h11 doesn't: transfer codings other than ``chunked``, other
protocols and versions, blank lines before the status line, and control characters in the reason phrase.
"""

from typing import Any

import httpcore
import httptools

from typed_async_client.http1.base_parser import BaseParser
from typed_async_client.http1.head_checks import (
    MisreadError,
    check_size,
    find_head_error,
    split_heads,
)
from typed_async_client.http1.rewriter import HeadRewriter
from typed_async_client.wire.headers import body_framing

__all__ = ["ResponseParser"]

_REWRITABLE = b"HTTP/1."
_SWITCHING = 101


class ResponseParser(BaseParser):
    """Parses the response to one request, whose head llhttp reads.

    Args:
        method: as for ``BaseParser``.
    """

    def __init__(self, method: bytes) -> None:
        super().__init__(method)
        self._head_parts: list[bytes] = []
        self._llhttp: Any = httptools.HttpResponseParser(self)
        self._rewriter: HeadRewriter | None = None

    def end(self) -> None:
        """Handle the end of the connection, after which a line that is held back is complete."""
        if self._rewriter is not None and not self.has_head:
            self._parse(self._rewriter.held())
        super().end()

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
        wants_rest = self.is_tunnel or (self._is_chunked and not self.is_complete)
        count = self._interim_responses + 1
        rest = split_heads(parts, self._head_size, count, wants_rest=wants_rest)
        self._start_body()
        return rest

    def _parse(self, data: bytes) -> None:
        try:
            self._llhttp.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._open_tunnel()
        except httptools.HttpParserError as error:
            if not (self.is_complete or self._is_chunked):
                raise httpcore.RemoteProtocolError(self._error or str(error)) from error
            self.has_leftovers = self.is_complete and not self.is_tunnel
        if self._error:
            raise httpcore.RemoteProtocolError(self._error)

    # Callbacks of llhttp, in the order of a response.

    def on_message_begin(self) -> None:
        """Handle the start of a response; a second one counts as leftovers."""
        self.has_leftovers: bool = self.has_leftovers or (self.is_complete and not self.is_tunnel)

    def on_status(self, reason: bytes) -> None:
        """Store the reason phrase, which may arrive in parts."""
        if not self.has_head:
            self.reason: bytes = self.reason + reason

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
        self.status: int = self._llhttp.get_status_code()
        self.version: bytes = self._llhttp.get_http_version().encode()
        if self._rewriter is not None:
            self.version = self._rewriter.version
        self._error = self._error or find_head_error(
            self.version, self.status, self.reason, is_upgrade=self._llhttp.should_upgrade()
        )
        if 100 <= self.status < 200 and self.status != _SWITCHING:  # noqa: PLR2004 - status classes
            self._add_interim()
        elif not self._error:
            self.has_head = True
            self.keep_alive: bool = self._llhttp.should_keep_alive()
            if self.version == b"1.0":  # llhttp ignores a ``close`` beside ``keep-alive``
                self.keep_alive = self.keep_alive and self._allows_another()
            self._read_framing()

    def on_body(self, data: bytes) -> None:
        """Store a part of the body."""
        if self.is_tunnel:
            return
        if self.is_complete:
            self.has_leftovers = True
        else:
            self.received: int = self.received + len(data)
            self.parts.append(data)

    def on_message_complete(self) -> None:
        """Handle the end of a response; after an interim one, reset for the next head."""
        if self.has_head:
            self.is_complete: bool = True
        else:
            self.headers.clear()
            self.reason = b""

    def _add_interim(self) -> None:
        if self._rewriter is None and any(body_framing(self.headers)):
            raise MisreadError
        self._count_interim()
