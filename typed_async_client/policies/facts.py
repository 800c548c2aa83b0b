"""What is known about one attempt: all that a policy may base a decision on.

Pure values. Whoever made the attempt reads them from its response or its error, once.
"""

import dataclasses
import enum
from typing import Final

from typed_async_client.policies.classify import Fault

__all__ = ["UNPROCESSED_STATUSES", "Facts", "Sent"]


class Sent(enum.StrEnum):
    """How far an attempt got, as far as the client can know."""

    NOTHING = enum.auto()  #: no byte of the request has left
    UNANSWERED = enum.auto()  #: something was sent, and no response began
    ANSWERED = enum.auto()  #: a response began
    UNPROCESSED = enum.auto()  #: the server said so: GOAWAY, REFUSED_STREAM, 421, draining


UNPROCESSED_STATUSES: Final = frozenset({421, 425, 429})
"""Statuses of requests that the server refused to process.

421 (RFC 9110 section 15.5.20): it isn't responsible for the URL. 425 (RFC 8470 section 5.2): the
request might be a replay. 429 (RFC 6585 section 4): the client sent too many of them. 408 and 503
say the same, but proxies also send them for requests that they have passed on.
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The facts about one attempt.

    Attributes:
        fault: what went wrong; None if a response was received, whatever its status.
        sent: how far the attempt got.
        status: the status of the response, even if its body was lost; None without one.
        retry_after: seconds for which the server asked to wait; None if it didn't.
        should_retry: what the server said in ``x-should-retry``; None if nothing.
        idempotent: whether the request may be sent twice, by its method, by its idempotency key, or
            because the caller said so.
        replayable: whether the body can be sent again. A body that can be read only once can be,
            until it has been read.
        body: what the body is read from, in words; None if it can be sent again.
        matches: whether the error is of a class that the caller wants retried.
        wanted: what the caller's own function says about the response; None if it leaves the
            decision to the other options.
        follows_others: whether the attempt is more than one request: a redirect or an authentication
            challenge led to the last one, whose status says nothing about those before it.
        local: whether the client itself failed the attempt: a full pool, a refusal by one of its
            own policies, a deadline, a cancellation. That is never held against the server.
    """

    fault: Fault | None
    sent: Sent
    status: int | None = None
    retry_after: float | None = None
    should_retry: bool | None = None
    idempotent: bool = False
    replayable: bool = True
    body: str | None = None
    matches: bool = False
    wanted: bool | None = None
    follows_others: bool = False
    local: bool = False

    @property
    def is_unprocessed(self) -> bool:
        """Whether the server said that it hasn't processed the request, nor any before it."""
        says_so = self.sent is Sent.UNPROCESSED or self.status in UNPROCESSED_STATUSES
        return says_so and not self.follows_others

    @property
    def may_have_been_processed(self) -> bool:
        """Whether the server may have acted on the request, or on an earlier hop of the attempt."""
        if self.sent is Sent.NOTHING:
            return self.fault is Fault.CONNECT_LATER
        return not self.is_unprocessed
