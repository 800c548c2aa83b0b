"""Parses HTTP/1.1 responses with h11, where httptools isn't installed or h11 is requested.

h11 parses the heads. Its state machine is given a request that it doesn't send: it needs one to know
whether the response has a body, and which protocols the connection may be switched to. Whether the real
request has asked for another protocol is checked by the exchange.

h11's limits don't apply to heads that arrive in one read, or to interim responses. Those of llhttp's
parser are applied here.
"""

import functools
from typing import Any

import h11
import httpcore

from typed_async_client.http1.base_parser import BaseParser
from typed_async_client.http1.head_checks import MAX_HEAD, check_size, find_head_error
from typed_async_client.wire.headers import WITHOUT_BODY

__all__ = ["H11Parser"]

_SWITCHING = 101

_QUOTING = "illegal header line"
"""How the message of h11 starts that quotes a whole header."""


class H11Parser(BaseParser):
    """Parses the response to one request, whose head h11 reads.

    Args:
        method: as for ``BaseParser``.
    """

    def __init__(self, method: bytes) -> None:
        super().__init__(method)
        self._h11: Any = h11.Connection(h11.CLIENT, MAX_HEAD)
        self._h11.send(_request_with(method))

    def release(self) -> None:
        """Drop h11's connection."""
        self._h11 = None

    def _parse_head(self, data: bytes) -> bytes:
        check_size(self._head_size)  # without this part, which may belong to the body
        self._head_size += len(data)
        self._h11.receive_data(data)
        while not self.has_head:
            event = self._next_event()
            if event is h11.NEED_DATA:
                return b""
            self._take_head(event)
        rest: bytes = self._h11.trailing_data[0]
        self.release()
        check_size(self._head_size - len(rest))
        return rest

    def _next_event(self) -> Any:
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as error:
            if str(error).startswith(_QUOTING):  # the header may be a secret
                error.args = (_QUOTING,)
            raise httpcore.RemoteProtocolError(str(error)) from error

    def _take_head(self, head: Any) -> None:
        """Read a head, which may be that of an interim response."""
        self.status: int = head.status_code
        self.version: bytes = head.http_version
        # An Upgrade header isn't required in a 101, and h11 has checked the reason phrase.
        self._error = find_head_error(self.version, self.status, b"", is_upgrade=True)
        if type(head) is h11.InformationalResponse and self.status != _SWITCHING:
            self._count_interim()
        else:
            self.has_head = True
            self.reason: bytes = head.reason
            self.headers: list[tuple[bytes, bytes]] = head.headers.raw_items()
            self._end_head()
        if self._error:
            raise httpcore.RemoteProtocolError(self._error)

    def _end_head(self) -> None:
        """Determine whether there is a body, where it ends, and what may follow it."""
        self.keep_alive: bool = self._allows_another()
        if self.status == _SWITCHING:
            self._open_tunnel()
            return
        self._read_framing()
        if self.status in WITHOUT_BODY or (self._length == 0 and not self._is_chunked):
            self.is_complete: bool = True
        elif self._until_close:
            self.keep_alive = False
        self._start_body()


@functools.lru_cache(maxsize=32)
def _request_with(method: bytes) -> h11.Request:
    """Return a request with that method, which lets a response switch to another protocol."""
    return h11.Request(method=method, target="/", headers=[("Host", "a"), ("Upgrade", "any")])
