"""What happened to a request, told to a person: one line per attempt, and why it ended."""

from collections.abc import Iterator
from typing import Any

from typed_async_client.attempts import AttemptRecord
from typed_async_client.policies.facts import Sent
from typed_async_client.policies.retry_decision import GiveUp, GiveUpReason, RetryAfter

__all__ = ["explain"]

_SENT = {
    Sent.NOTHING: "nothing was sent",
    Sent.UNANSWERED: "sent, not answered",
    Sent.ANSWERED: "the response broke off",
    Sent.UNPROCESSED: "not processed by the server",
}

_SOURCES = {
    "backoff": "backoff",
    "server": "as the server asked",
    "custom": "by the caller's own function",
}

_REASONS = {
    GiveUpReason.FINAL: "another attempt would end in the same way",
    GiveUpReason.UNSAFE: "the server may have processed the request, which isn't idempotent",
    GiveUpReason.NOT_REPLAYABLE: "the body was read, and can be read only once",
    GiveUpReason.RETRIES: "every allowed retry was made",
    GiveUpReason.RETRY_AFTER: "the server asked for a longer wait than is allowed",
    GiveUpReason.DEADLINE: "no time was left before the deadline",
    GiveUpReason.BUDGET: "the retry budget was used up",
}

_FINAL = GiveUpReason.FINAL


def explain(result: Any) -> str:
    """Return the text of ``RequestResult.explain()``.

    Args:
        result: a ``RequestResult``.
    """
    return "\n".join(_lines(result))


def _lines(result: Any) -> Iterator[str]:
    attempts = f"{result.attempts} attempt{'' if result.attempts == 1 else 's'}"
    yield (
        f"{result.request_id}: {result.method} {result.url}: {_ending(result)} after {attempts} "
        f"in {result.total_time:.3f} s"
    )
    for record in result.history:
        yield f"  {_attempt(record)}"
    if result.resends:
        yield f"  resent {result.resends} time(s) because a reused connection was lost"
    last = result.history[-1].decision if result.history else None
    if isinstance(last, GiveUp) and last.reason is GiveUpReason.NOT_REPLAYABLE:
        yield f"  body: it comes from {result.history[-1].facts.body or 'a source'}"
    if not isinstance(last, GiveUp) or result.history[-1].rejection is not None:
        return
    if result.error is not None or last.reason is not _FINAL:
        yield f"  ended: {_REASONS[last.reason]}"


def _ending(result: Any) -> str:
    status = "" if result.status_code is None else f" ({result.status_code})"
    return f"{result.status}{status}"


def _attempt(record: AttemptRecord) -> str:
    name = f"{record.number}" if record.copy == 0 else f"{record.number}, copy {record.copy}"
    parts = [f"at {record.started:.3f} s", _outcome(record)]
    if record.gate_wait:
        parts.append(f"waited {record.gate_wait:.3f} s for its turn")
    if record.circuit is not None:
        parts.append(f"circuit {record.circuit}")
    if record.budget_left is not None:
        parts.append(f"budget {record.budget_left:.1f}")
    if record.phases:
        parts.append(", ".join(f"{name} {spent:.3f} s" for name, spent in record.phases.items()))
    if isinstance(record.decision, RetryAfter):
        source = _SOURCES[record.decision.source]
        parts.append(f"retry in {record.decision.delay:.3f} s ({source})")
    return f"attempt {name}: {'; '.join(parts)}"


def _outcome(record: AttemptRecord) -> str:
    if record.rejection is not None:
        return f"refused ({record.rejection}): {record.error}"
    if record.error is None and record.status is None:
        return f"no answer within {record.duration:.3f} s, and a copy was faster"
    if record.error is None:
        return f"status {record.status} after {record.duration:.3f} s"
    if record.facts.fault is None and record.status is None:  # what it had sent is unknown
        return f"interrupted after {record.duration:.3f} s ({record.error})"
    return f"{record.error} after {record.duration:.3f} s ({_SENT[record.sent]})"
