"""Decides whether a request whose connection failed is resent at once on another connection.

A resend isn't a retry. It repairs the pool's own choice of connection: it may have reused one that the
server was just closing (RFC 9112 section 9.3.1), or used one that refused the request without
processing it (RFC 9113 section 8.7).
"""

import httpcore

from typed_async_client.http2.frames import REFUSED_STREAM
from typed_async_client.libraries import is_error_of_h2
from typed_async_client.policies.classify import is_idempotent
from typed_async_client.pool.failures import message_of
from typed_async_client.pool.slot import Origin, Slot
from typed_async_client.wire.messages import REPLAYABLE_BODIES

__all__ = ["RESENDS", "PooledRequest"]

RESENDS = "typed_async_client.resends"
"""Response extension: how often the pool resent the request on another connection."""

_PORTS = {b"http": 80, b"https": 443, b"ws": 80, b"wss": 443}
"""The schemes that the pool supports, and their default ports."""

_CONNECTION_LOST = (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError)

_MAX_DRAINING_RESENDS = 10
"""How often a request is resent because its connection was draining."""

_MAX_UNAVAILABLE = 10
"""How often a request may find its connection busy or closed before it was started."""

_MAX_UNCONNECTED = 2
"""How often a request joins a connection that isn't established: each may cost a connect timeout."""


class PooledRequest:
    """A request in the pool, and what happened to it on the connections it was given.

    Attributes:
        failed_slot: the number of the slot that it failed on last; 0 if it hasn't failed.
        origin: the origin of its URL.
        request: the request itself.
        resends: how often it was resent.

    Raises:
        httpcore.UnsupportedProtocol: the pool doesn't support the URL's scheme.
    """

    __slots__ = ("_unavailable", "failed_slot", "origin", "request", "resends")

    def __init__(self, request: httpcore.Request) -> None:
        self.failed_slot: int = 0
        self.origin: Origin = _origin_of(request)
        self.request: httpcore.Request = request
        self.resends: int = 0
        self._unavailable = 0

    @property
    def allow_unconnected(self) -> bool:
        """Whether it may join a connection that isn't established yet."""
        return self._unavailable < _MAX_UNCONNECTED

    def record_unavailable(self, error: httpcore.ConnectionNotAvailable) -> None:
        """Record that a connection didn't accept the request; nothing of it was sent.

        Raises:
            httpcore.ConnectError: this has happened too often.
        """
        self._unavailable += 1
        if self._unavailable > _MAX_UNAVAILABLE:
            reason = f"{self._unavailable} connections closed before accepting the request"
            message = message_of(httpcore.ConnectError, self.request, self.origin, reason)
            raise httpcore.ConnectError(message) from error

    def record_failure(
        self, slot: Slot, error: BaseException, *, received: int
    ) -> BaseException | None:
        """Record that the request failed; return the error to raise, or None to resend it.

        Args:
            slot: the slot that it failed on.
            error: the error that it failed with.
            received: bytes received on the connection before the request.
        """
        if _was_closed_before_use(slot, error) and self._unavailable < _MAX_UNAVAILABLE:
            self._unavailable += 1
            self.failed_slot = slot.number
            return None
        code = slot.reset_code(error)
        if code == REFUSED_STREAM:
            may_resend = self.resends < (_MAX_DRAINING_RESENDS if slot.is_draining else 1)
        else:
            no_response = slot.exchanges > 1 and slot.received == received
            may_resend = no_response and self.resends == 0 and self._is_lost_and_idempotent(error)
        if not may_resend or not isinstance(self.request.stream, REPLAYABLE_BODIES):
            return _blame_server(error, code)
        self.resends += 1
        self.failed_slot = slot.number
        return None

    def _is_lost_and_idempotent(self, error: BaseException) -> bool:
        return isinstance(error, _CONNECTION_LOST) and is_idempotent(
            self.request.method.decode("ascii", "replace").upper(), self.request.headers
        )


def _was_closed_before_use(slot: Slot, error: BaseException) -> bool:
    """Whether a cancelled request had closed the HTTP/2 connection before its preface was sent."""
    return slot.frame_filter is None and is_error_of_h2(error)


def _blame_server(error: BaseException, code: int | None) -> BaseException:
    """Return a remote error if the server ended the upload; httpcore raises a local one."""
    if code is None or not isinstance(error, httpcore.LocalProtocolError):
        return error
    if code == REFUSED_STREAM:
        return httpcore.RemoteProtocolError("the server refused the stream without processing it")
    return httpcore.RemoteProtocolError(f"the server reset the stream with error code {code}")


def _origin_of(request: httpcore.Request) -> Origin:
    url = request.url
    if url.scheme not in _PORTS:
        scheme = url.scheme.decode("ascii", "replace")
        raise httpcore.UnsupportedProtocol(
            f"unsupported protocol {scheme!r}: the URL must start with http:// or https://"
        )
    return url.scheme, url.host, url.port or _PORTS[url.scheme]
