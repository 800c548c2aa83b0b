"""Whether a request whose connection failed may go out again at once, on another connection.

That is no retry: it repairs what the pool itself did, reusing a connection that the server was
closing at that moment (RFC 9112 section 9.3.1), or using one that refused the request unread
(RFC 9113 section 8.7).
"""

import httpcore

from typed_async_client.http2.frames import REFUSED_STREAM
from typed_async_client.libraries import is_from
from typed_async_client.policies.classify import is_idempotent
from typed_async_client.pool.slot import Origin, Slot
from typed_async_client.wire.messages import REPLAYABLE_BODIES

__all__ = ["RESENDS", "PooledRequest"]

RESENDS = "typed_async_client.resends"
"""Response extension: how often the pool sent the request again on another connection."""

_PORTS = {b"http": 80, b"https": 443, b"ws": 80, b"wss": 443}
"""The schemes that the pool speaks, and their ports."""

_LOST = (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError)

_MOST_DRAINED = 10
"""Connections, one after another, that may say of a request that it came too late for them."""

_MOST_TURNED_AWAY = 10
"""Connections, one after another, that a request may find busy or closed before it begins."""

_MOST_IN_HOPE = 2
"""Connections made by others that a request waits for in vain: each may cost a connect timeout."""


class PooledRequest:
    """The way of one request through the connections of a pool.

    Attributes:
        after: the number of the slot that it failed on last; 0 before that.
        origin: where it goes.
        request: what is sent.
        resends: how often it was sent again.

    Raises:
        httpcore.UnsupportedProtocol: the scheme is none that the pool speaks.
    """

    __slots__ = ("_turned_away", "after", "origin", "request", "resends")

    def __init__(self, request: httpcore.Request) -> None:
        self.after: int = 0
        self.origin: Origin = _origin_of(request)
        self.request: httpcore.Request = request
        self.resends: int = 0
        self._turned_away = 0

    @property
    def allow_unconnected(self) -> bool:
        """Whether it waits for connections that others make; twice in vain is enough."""
        return self._turned_away < _MOST_IN_HOPE

    def turn_away(self, error: httpcore.ConnectionNotAvailable) -> None:
        """Note that a connection did not take the request; nothing of it was sent.

        Raises:
            httpcore.ConnectError: too many did so.
        """
        self._turned_away += 1
        if self._turned_away > _MOST_TURNED_AWAY:
            raise httpcore.ConnectError(
                f"{self._turned_away} connections closed before they took the request"
            ) from error

    def fail(self, slot: Slot, error: BaseException, *, received: int) -> BaseException | None:
        """Note that the request failed; give the error to raise, None when it is to go out again.

        Args:
            slot: the connection that it failed on.
            error: what it failed with.
            received: bytes that had come on the connection before.
        """
        if _was_never_begun(slot, error) and self._turned_away < _MOST_TURNED_AWAY:
            self._turned_away += 1
            self.after = slot.number
            return None
        code = slot.reset_code(error)
        if code == REFUSED_STREAM:
            may_repeat = self.resends < (_MOST_DRAINED if slot.drains else 1)
        else:
            silent = slot.exchanges > 1 and slot.received == received
            may_repeat = silent and self.resends == 0 and self._is_lost_and_idempotent(error)
        if not may_repeat or not isinstance(self.request.stream, REPLAYABLE_BODIES):
            return _explained(error, code)
        self.resends += 1
        self.after = slot.number
        return None

    def _is_lost_and_idempotent(self, error: BaseException) -> bool:
        return isinstance(error, _LOST) and is_idempotent(
            self.request.method.decode("ascii", "replace").upper(), self.request.headers
        )


def _was_never_begun(slot: Slot, error: BaseException) -> bool:
    """Whether httpcore would begin with HTTP/2 where a cancelled request had closed it before."""
    return slot.watch is None and is_from(error, "h2")


def _explained(error: BaseException, code: int | None) -> BaseException:
    """Say whose fault it was that a body could not be sent on: httpcore blames the client."""
    if code is None or not isinstance(error, httpcore.LocalProtocolError):
        return error
    said = "did not process it" if code == REFUSED_STREAM else f"gave it up with error code {code}"
    return httpcore.RemoteProtocolError(f"the server ended the stream of the request: it {said}")


def _origin_of(request: httpcore.Request) -> Origin:
    url = request.url
    if url.scheme not in _PORTS:
        scheme = url.scheme.decode("ascii", "replace")
        raise httpcore.UnsupportedProtocol(
            f"unsupported protocol {scheme!r}: a URL begins with http:// or https://"
        )
    return url.scheme, url.host, url.port or _PORTS[url.scheme]
