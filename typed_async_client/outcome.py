"""The outcome of one attempt: the facts about it, with its response or its error.

The facts are read here, from the log of the attempt itself, as soon as it has ended.
"""

import dataclasses
from typing import TYPE_CHECKING, Any, Self

from typed_async_client.attempts import Attempt, AttemptRecord
from typed_async_client.described import with_message, without_userinfo
from typed_async_client.drafts import draft_class
from typed_async_client.errors import DeadlineExceededError
from typed_async_client.facts import (
    facts_of_broken_body,
    facts_of_error,
    facts_of_response,
    origin_after_redirects,
    origin_of,
    request_of,
)
from typed_async_client.httpx_errors import as_httpx_error, timeout_error
from typed_async_client.policies.facts import Facts
from typed_async_client.sent import SentLog
from typed_async_client.wording import format_seconds, name_server

if TYPE_CHECKING:
    import httpx

    from typed_async_client.record import RequestRecord

__all__ = ["AttemptHistory", "Outcome"]


@dataclasses.dataclass(slots=True, eq=False)
class Outcome:
    """What an attempt ended with: a response, or else an error, or both if the body broke later.

    Attributes:
        facts: what is known about the attempt.
        response: the response, whatever its status code; None for a failure.
        error: what the caller gets if no other attempt follows; None for a response.
        origin: the origin that answered, or failed to; empty if unknown.
        attempt: the attempt.
        ended: when it ended, in monotonic seconds.
        admission: what the policies have granted to it; None without policies.
        request: the request that failed; None if unknown, or if it was answered.
        is_judged: whether the caller's own functions have been asked about it.
        interruption: what interrupted the reading of the body, such as a cancellation.
    """

    facts: Facts
    response: "httpx.Response | None" = None
    error: Exception | None = None
    origin: str = ""
    attempt: Attempt | None = None
    ended: float = 0.0
    admission: Any = None
    request: Any = None
    is_judged: bool = False
    interruption: BaseException | None = None

    @property
    def answered_by(self) -> str:
        """The origin that has answered, or failed to, after redirects; empty for the one asked."""
        if self.response is None:
            return self.origin
        return origin_after_redirects(self.response) or self.origin

    @classmethod
    def of_response(cls, response: "httpx.Response", attempt: Attempt, log: SentLog) -> Self:
        """Read the facts about an attempt that was answered.

        Args:
            response: the response.
            attempt: the attempt.
            log: what it has sent.
        """
        facts = facts_of_response(response, log, idempotent=attempt.idempotent)
        return cls(facts, response, None, "", attempt)

    @classmethod
    def of_broken_body(cls, answered: "Outcome", error: BaseException) -> Self:
        """Return the outcome of an attempt whose response was handed over, and broke later.

        It has a response and an error, which the reader of the body has got already.
        """
        if not isinstance(error, Exception):
            return cls(answered.facts, answered.response, interruption=error)
        return cls(facts_of_broken_body(answered.facts, error), answered.response, error)

    @classmethod
    def of_error(
        cls, raised: Exception, attempt: Attempt, log: SentLog, record: "RequestRecord"
    ) -> Self:
        """Read the facts about an attempt that failed, whichever library raised the error.

        Args:
            raised: the error.
            attempt: the attempt.
            log: what it has sent.
            record: the request, whose URL the message of the error mustn't quote.
        """
        error = as_httpx_error(raised)
        facts = facts_of_error(error, log, idempotent=attempt.idempotent)
        request: Any = request_of(error) or log.request
        error = without_userinfo(error, record.url)
        error = with_message(error, request, in_body=log.in_body)
        return cls(facts, None, error, origin_of(request), attempt, request=request)

    @classmethod
    def of_expiry(
        cls, expiry: Exception, attempt: Attempt, log: SentLog, record: "RequestRecord"
    ) -> Self:
        """Describe an attempt that took longer than it may.

        Past the deadline of the request, that is the client's own decision, and says nothing about
        the server.
        """
        request = log.request
        limit = format_seconds(round(attempt.limit, 3))
        what = "its deadline passed" if attempt.is_last_moment else "the attempt took too long"
        server = name_server(record.origin)
        message = f"{record.method}: {what}: no complete response from {server} within {limit}"
        client = getattr(log.owner, "client", None)
        error: Exception
        if attempt.is_last_moment:
            error = DeadlineExceededError(message, request=request, client=client)
        else:
            is_connected = not log.has_sent_nothing
            error = timeout_error(message, request, client=client, is_connected=is_connected)
        error.__cause__ = expiry
        facts = facts_of_error(error, log, idempotent=attempt.idempotent)
        if attempt.is_last_moment or log.is_queued:
            facts = dataclasses.replace(facts, local=True)
        return cls(facts, None, error, origin_of(request), attempt, request=request)


@dataclasses.dataclass(frozen=True, slots=True)
class AttemptHistory:
    """The attempts that led to a response, for a transport, which keeps no results.

    Attributes:
        request_id: the id in the request's context.
        records: one record per attempt, in order; the same that events and errors refer to.
        elapsed: seconds from the start of the request to the head of its response.
        resends: how often the pool has sent the request a second time, because its reused
            connection was lost before any answer.
    """

    request_id: str
    records: tuple[AttemptRecord, ...]
    elapsed: float
    resends: int = 0

    @property
    def attempts(self) -> int:
        """The number of attempts that were sent, hedged copies not included."""
        return max((each.number for each in self.records if each.rejection is None), default=0)

    @staticmethod
    def of(
        request_id: str, records: tuple[AttemptRecord, ...], elapsed: float, resends: int
    ) -> "AttemptHistory":
        """Create a history; internal to the engine, and fast, as each response has one."""
        history: Any = object.__new__(_HistoryDraft)
        history.request_id = request_id
        history.records = records
        history.elapsed = elapsed
        history.resends = resends
        history.__class__ = AttemptHistory
        made: AttemptHistory = history
        return made


_HistoryDraft = draft_class(AttemptHistory)
