"""What the parsers of HTTP/1.1 responses share: the state of a response, and its body.

A parser does no I/O: bytes go in, and the state of the response can be read. Its subclasses parse heads,
``parser.py`` with llhttp and ``h11_parser.py`` with h11. Bodies are read by ``plain_body.py`` and
``chunks.py``.
"""

import abc
from collections import deque

import httpcore

from typed_async_client.http1.chunks import ChunkedReader
from typed_async_client.http1.head_checks import MAX_HEAD
from typed_async_client.http1.plain_body import PlainReader
from typed_async_client.wire.headers import WITHOUT_BODY, body_framing, has_close, has_keep_alive
from typed_async_client.wire.interim import MAX_INTERIM

__all__ = ["BaseParser"]

_CONTINUE = 100


class BaseParser(abc.ABC):
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
        self._error = ""  # what is wrong with the head
        self._head_size = 0
        self._interim_responses = 0
        self._is_chunked = False
        self._length: int | None = None
        self._method = method
        self._until_close = False  # only the end of the connection ends the body

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
            raise httpcore.RemoteProtocolError("Server disconnected without sending a response.")
        if not self._until_close:
            expected = "" if self._length is None else f", expected {self._length}"
            raise httpcore.RemoteProtocolError(
                "peer closed connection without sending complete message body "
                f"(received {self.received} bytes{expected})"
            )
        self.is_complete = True

    @abc.abstractmethod
    def release(self) -> None:
        """Drop what is only needed to parse, so that it is freed soon."""

    @abc.abstractmethod
    def _parse_head(self, data: bytes) -> bytes:
        """Parse a part of the head; return what follows the head and isn't parsed yet."""

    def _start_body(self) -> None:
        """Leave the rest of the body to a reader, and a chunked one as a whole."""
        if self._is_chunked and not self.is_complete:
            self._body = ChunkedReader(self.trailers)
            self.parts.clear()
            self.received = 0
            self.trailers.clear()
        elif not self.is_complete:
            self._body = PlainReader(None if self._length is None else self._length - self.received)

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

    def _read_framing(self) -> None:
        """Determine where the body ends, RFC 9112 section 6.3."""
        lengths, codings = body_framing(self.headers)
        if lengths:
            self._length = int(lengths[-1])
        if codings and codings != [b"chunked"]:
            self._error = f"unsupported transfer coding: {b', '.join(codings)!r}"
        if codings and (lengths or self.version == b"1.0"):
            # Another reader may read it differently, section 6.1.
            self.keep_alive = False
        if self._method == b"HEAD":
            self.is_complete = True
            if self._length is None and not codings:  # llhttp says no: it expects a body
                self.keep_alive = self._allows_another()
        elif self._method == b"CONNECT" and 200 <= self.status < 300:  # noqa: PLR2004 - success
            self._open_tunnel()
        elif codings and self.status not in WITHOUT_BODY:
            self._is_chunked = True
        else:
            self._until_close = self._length is None

    def _open_tunnel(self) -> None:
        """All that follows belongs to another protocol."""
        self.is_tunnel = self.is_complete = True

    def _count_interim(self) -> None:
        """Handle the head of an interim response; too many are an error."""
        self._interim_responses += 1
        self.got_continue = self.got_continue or self.status == _CONTINUE
        if self._interim_responses > MAX_INTERIM:
            self._error = f"more than {MAX_INTERIM} interim responses"

    def _allows_another(self) -> bool:
        """Whether the head lets the connection serve another request, RFC 9112 section 9.3."""
        if has_close(self.headers):
            return False
        return self.version != b"1.0" or has_keep_alive(self.headers)
