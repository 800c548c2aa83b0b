"""What has been received for one request over HTTP/2, until the request takes it."""

import asyncio
from collections import deque

import httpcore

from typed_async_client.http2.heads import Fields, Headers
from typed_async_client.wire.headers import WITHOUT_BODY
from typed_async_client.wire.interim import MAX_INTERIM

__all__ = ["Stream"]

_CONTINUE = 100

_NONE_YET: Headers = []
"""Stays empty: hundreds of streams may wait, and the garbage collector traverses what each of them has."""


class Stream:
    """One stream, from the request to the end of the response.

    Args:
        stream_id: its number on the connection.
        method: the method of the request.

    Attributes:
        error: what the request fails with; None as long as it may succeed.
        got_continue: whether the server has asked for the body.
        has_head: whether the final head has arrived.
        headers: the headers of the response.
        id: its number on the connection.
        is_complete: whether the whole response has arrived.
        is_sent: whether the whole request was passed on to be sent.
        parts: the parts of the body that nobody has taken yet.
        status: the status of the response.
        trailers: what follows the body.
        taken: bytes of the body that were taken since the server was last told.
    """

    __slots__ = (
        "_expected",
        "_interim",
        "_method",
        "_received",
        "_waiter",
        "error",
        "got_continue",
        "has_head",
        "headers",
        "id",
        "is_complete",
        "is_sent",
        "parts",
        "status",
        "taken",
        "trailers",
    )

    def __init__(self, stream_id: int, method: bytes) -> None:
        self.error: Exception | None = None
        self.got_continue: bool = False
        self.has_head: bool = False
        self.headers: Headers = _NONE_YET
        self.id: int = stream_id
        self.is_complete: bool = False
        self.is_sent: bool = False
        self.parts: deque[bytes] = deque()
        self.status: int = 0
        self.taken: int = 0
        self.trailers: Headers = _NONE_YET
        self._expected: int | None = None
        self._interim = 0
        self._method = method
        self._received = 0
        self._waiter: asyncio.Future[None] | None = None

    def changed(self) -> "asyncio.Future[None]":
        """Return a future that completes at the next change; one wait at a time."""
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter

    def wake(self) -> None:
        """Let the request look at what has changed."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def fail(self, error: Exception) -> None:
        """End the request with an error, unless its response is complete or it has failed before."""
        if self.error is None and not (self.is_complete and self.is_sent):
            self.error = error
        self.wake()

    def receive_interim(self, fields: Fields) -> None:
        """Receive an interim response (1xx).

        Raises:
            httpcore.RemoteProtocolError: it is malformed, or one of too many.
        """
        status = fields.interim_status()
        self._interim += 1
        if self._interim > MAX_INTERIM:
            raise httpcore.RemoteProtocolError(f"more than {MAX_INTERIM} interim responses")
        self.got_continue = self.got_continue or status == _CONTINUE
        self.wake()

    def receive_head(self, fields: Fields) -> None:
        """Receive the head of the response.

        Raises:
            httpcore.RemoteProtocolError: it is malformed.
        """
        head = fields.head()
        self.status, self.headers, self.has_head = head.status, list(head.headers), True
        self.trailers = []
        self._expected = 0 if self._has_no_body(head.status) else head.length
        self.wake()

    def receive_part(self, part: bytes) -> None:
        """Receive a part of the body.

        Raises:
            httpcore.RemoteProtocolError: the body is longer than declared.
        """
        self._received += len(part)
        if self._expected is not None and self._received > self._expected:
            raise self._wrong_length()
        if part:
            self.parts.append(part)
            self.wake()

    def receive_trailers(self, fields: Fields) -> None:
        """Receive the trailers.

        Raises:
            httpcore.RemoteProtocolError: they are malformed.
        """
        self.trailers.extend(fields.trailers())

    def receive_end(self) -> None:
        """Receive the end of the response.

        Raises:
            httpcore.RemoteProtocolError: the body is shorter than declared.
        """
        if self._expected is not None and self._received != self._expected:
            raise self._wrong_length()
        self.is_complete = True
        self.wake()

    def _has_no_body(self, status: int) -> bool:
        return self._method == b"HEAD" or status in WITHOUT_BODY

    def _wrong_length(self) -> httpcore.RemoteProtocolError:
        if self._has_no_body(self.status):
            reason = f"the response has a body, although a {self.status} response"
            if self._method == b"HEAD":
                reason = "the response has a body, although the response to HEAD"
            return httpcore.RemoteProtocolError(f"{reason} can't have one")
        return httpcore.RemoteProtocolError(
            f"the body has {self._received} bytes, but its content-length is {self._expected}"
        )
