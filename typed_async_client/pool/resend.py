"""Decides whether a request whose connection failed is resent at once on another connection.

A resend isn't a retry. It repairs the pool's own choice of connection: it may have reused one that the
server was just closing (RFC 9112 section 9.3.1), or used one that refused the request without
processing it (RFC 9113 section 8.7). Only in the first case may the server have processed the request,
so only that is called a resend, is recorded for the attempt, and can be switched off.
"""

import httpcore

from typed_async_client.hosts import tls_host
from typed_async_client.http2.errors import (
    ConnectionEndedError,
    ConnectionFullError,
    UnprocessedError,
)
from typed_async_client.policies.classify import is_idempotent
from typed_async_client.pool.failures import message_of
from typed_async_client.pool.slot import Key, Origin, Slot
from typed_async_client.sent import attempt_log
from typed_async_client.wire.messages import REPLAYABLE_BODIES, STARTED
from typed_async_client.wire.request_rules import prepared
from typed_async_client.wording import explained

__all__ = ["REFUSALS", "RESENDS", "PooledRequest", "key_of"]

RESENDS = "typed_async_client.resends"
"""Response extension: how often the pool sent the request twice, after it may have been processed."""

REFUSALS = "typed_async_client.refusals"
"""Response extension: how many connections refused the request without processing it."""

_PORTS = {b"http": 80, b"https": 443, b"ws": 80, b"wss": 443}
"""The schemes that the pool supports, and their default ports."""

_SECURE = (b"https", b"wss")

_CONNECTION_LOST = (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError)

_NOT_CONNECTED = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.ProxyError)

_MAX_DRAINING_REFUSALS = 10
"""How many draining connections may refuse a request."""

_MAX_UNAVAILABLE = 10
"""How often a request may find its connection busy or closed before it was started."""

_MAX_UNCONNECTED = 2
"""How often a request joins a connection that isn't established: each may cost a connect timeout."""


class PooledRequest:
    """A request in the pool, and what happened to it on the connections it was given.

    Attributes:
        failed_slot: the number of the slot that it failed on last; 0 if it hasn't failed.
        key: its origin, and the server name that it asks for.
        origin: the origin of its URL.
        refusals: how many connections refused it without processing it, or couldn't send it.
        request: the request itself.
        resends: how often it was sent again after it may have been processed, 0 or 1.
        ticket: its number in the order in which requests asked for a slot; renewed each time it
            asks for one.

    Args:
        request: the request.
        resend_on_closed: whether it may be sent again after it may have been processed.

    Raises:
        httpcore.UnsupportedProtocol: the pool doesn't support the URL's scheme.
    """

    __slots__ = (
        "_is_resending",
        "_joined_in_vain",
        "_log",
        "_may_resend",
        "_unavailable",
        "_was_refused",
        "failed_slot",
        "key",
        "origin",
        "refusals",
        "request",
        "resends",
        "ticket",
    )

    def __init__(self, request: httpcore.Request, *, resend_on_closed: bool = True) -> None:
        self.failed_slot: int = 0
        self.key: Key = key_of(request)
        self.origin: Origin = self.key[0]
        self.refusals: int = 0
        self.request: httpcore.Request = request
        self.resends: int = 0
        self.ticket: int = 0
        self._is_resending = False
        self._joined_in_vain = 0
        self._log = attempt_log()
        if self._log is not None:
            self._log.has_sent_nothing = True
        self._may_resend = resend_on_closed
        self._unavailable = 0
        self._was_refused = False  # by a connection that accepts others

    @property
    def allow_unconnected(self) -> bool:
        """Whether it may join a connection that isn't established yet."""
        return self._joined_in_vain < _MAX_UNCONNECTED

    def prepare(self) -> httpcore.Request:
        """Check the request, and return what is sent: itself, or a copy with other headers.

        Raises:
            httpcore.LocalProtocolError: it breaks a rule of ``wire/request_rules.py``.
        """
        try:
            self.request = prepared(self.request)
        except httpcore.LocalProtocolError as error:
            message = message_of(type(error), self.request, self.origin, str(error))
            raise explained(error, message)  # noqa: B904 - it is the same error
        return self.request

    def log_waiting(self, *, is_queued: bool) -> None:
        """Record in the log of the attempt whether the request waits for a connection."""
        if self._log is not None:
            self._log.is_queued = is_queued

    def record_unavailable(self, error: httpcore.ConnectionNotAvailable) -> None:
        """Record that a connection didn't accept the request; nothing of it was sent.

        One that is alive and has no room for it says nothing about the server.

        Raises:
            httpcore.ConnectError: this has happened too often.
        """
        self._joined_in_vain += not isinstance(error, ConnectionEndedError)
        if isinstance(error, ConnectionFullError):
            return
        self._unavailable += 1
        if self._unavailable > _MAX_UNAVAILABLE:
            reason = f"{self._unavailable} connections closed before accepting the request"
            message = message_of(httpcore.ConnectError, self.request, self.origin, reason)
            raise httpcore.ConnectError(message) from error

    def record_failure(
        self, slot: Slot, error: BaseException, *, received: int, written: int
    ) -> BaseException | None:
        """Record that the request failed; return the error to raise, or None to send it again.

        Args:
            slot: the slot that it failed on.
            error: the error that it failed with.
            received: bytes received on the connection before the request.
            written: bytes written to the connection before the request.
        """
        was_written = self._was_written(slot, error, written)
        if was_written and self._log is not None:
            self._log.has_sent_nothing = False
        if slot.was_cut_off:
            return error
        if self._is_resending and was_written:
            self.record_resend()
        if _was_never_sent(slot, error, was_written=was_written):
            may_send_again = self._unavailable < _MAX_UNAVAILABLE
            self._unavailable += may_send_again
        else:
            may_send_again = self._may_send_again(slot, error, received)
        if not may_send_again:
            if isinstance(error, UnprocessedError) and self._log is not None:
                self._log.is_refused = self.resends == 0
            return _as_httpcore(error)
        self.failed_slot = slot.number
        return None

    def record_resend(self) -> None:
        """Record, for the request and for its attempt, that it was really sent twice."""
        self._is_resending = False
        self.resends += 1
        if self._log is not None:
            self._log.count_resend()

    def extensions(self) -> dict[str, int]:
        """Return the response extensions that tell what happened; empty if it was sent once."""
        if self._is_resending:
            self.record_resend()
        counts = {RESENDS: self.resends, REFUSALS: self.refusals}
        return {name: count for name, count in counts.items() if count}

    def _was_written(self, slot: Slot, error: BaseException, written: int) -> bool:
        """Whether anything may have been sent since it was given the slot.

        Over HTTP/2, its bytes are told apart from those of others.
        """
        if isinstance(error, _NOT_CONNECTED):
            return False
        if slot.is_multiplexed:
            return bool(vars(self.request).pop(STARTED, False))
        return slot.written > written

    def _may_send_again(self, slot: Slot, error: BaseException, received: int) -> bool:
        """Decide whether a request that was sent is sent once more, and record the decision."""
        is_untouched = isinstance(error, UnprocessedError) and error.is_body_untouched
        if not (is_untouched or isinstance(self.request.stream, REPLAYABLE_BODIES)):
            return False
        if isinstance(error, UnprocessedError):
            if error.is_graceful:
                may_send_again = self.refusals < _MAX_DRAINING_REFUSALS
            else:
                may_send_again, self._was_refused = not self._was_refused, True
            self.refusals += may_send_again
            return may_send_again
        got_no_response = slot.exchanges > 1 and slot.received == received
        self._is_resending = got_no_response and self._may_resend_after(error)
        self._may_resend = self._may_resend and not self._is_resending
        return self._is_resending

    def _may_resend_after(self, error: BaseException) -> bool:
        """Whether it may be sent again although the server may have processed it.

        It may once in an attempt, to which the hops of redirects and of authentication belong.
        """
        if not (self._may_resend and isinstance(error, _CONNECTION_LOST)):
            return False
        return (self._log is None or self._log.may_resend) and is_idempotent(
            self.request.method.decode("ascii", "replace").upper(), self.request.headers
        )


def _was_never_sent(slot: Slot, error: BaseException, *, was_written: bool) -> bool:
    """Whether a reused connection was lost before a byte of the request was written to it."""
    if slot.exchanges == 1 or was_written or isinstance(error, UnprocessedError):
        return False
    return isinstance(error, _CONNECTION_LOST)


def _as_httpcore(error: BaseException) -> BaseException:
    """Return the error in a class of httpcore, which is what a caller knows."""
    if isinstance(error, UnprocessedError):
        return httpcore.RemoteProtocolError(str(error))
    return error


def key_of(request: httpcore.Request) -> Key:
    """Return what the connection of a request must be good for.

    Raises:
        httpcore.UnsupportedProtocol: the pool doesn't support the URL's scheme.
    """
    url = request.url
    if url.scheme not in _PORTS:
        scheme = url.scheme.decode("ascii", "replace")
        raise httpcore.UnsupportedProtocol(
            f"unsupported protocol {scheme!r}: the URL must start with http:// or https://"
        )
    origin = url.scheme, url.host, url.port or _PORTS[url.scheme]
    return origin, _server_name(request, origin)


def _server_name(request: httpcore.Request, origin: Origin) -> str:
    """Return the name that the request wants verified, if it isn't the host of its URL."""
    name = request.extensions.get("sni_hostname")
    if not name or origin[0] not in _SECURE:
        return ""
    text = tls_host((name.decode("ascii") if isinstance(name, bytes) else name).lower())
    return "" if text.encode() == origin[1] else text
