"""Summarizes a run of the demo, and checks that each request ended exactly once.

Pure: it takes results and events, and counts them. ``report.py`` prints the summary.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self

from typed_async_client import AsyncEvent, EventType, RequestResult, ResultStatus
from typed_async_client.cli.plan import Kind, PlannedRequest

__all__ = ["Row", "RunProgress", "Summary", "percentile", "summarize"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """The progress of a run.

    Attributes:
        total: requests to make.
        started: requests submitted.
        finished: terminal events.
        retries: ``RETRY`` events.
        failures: terminal events other than ``SUCCESS``.
    """

    total: int
    started: int = 0
    finished: int = 0
    retries: int = 0
    failures: int = 0

    @property
    def in_flight(self) -> int:
        """How many requests have been submitted and haven't ended."""
        return self.started - self.finished

    def after_start(self) -> Self:
        """Return the progress after one more request was submitted."""
        return dataclasses.replace(self, started=self.started + 1)

    def after_event(self, event_type: EventType) -> Self:
        """Return the progress after an event."""
        if not event_type.is_terminal:
            return dataclasses.replace(self, retries=self.retries + 1)
        return dataclasses.replace(
            self,
            finished=self.finished + 1,
            failures=self.failures + (event_type is not EventType.SUCCESS),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The results of the requests of one kind, or of all.

    Attributes:
        requests: how many were planned.
        by_status: number of results by status.
        attempts: total number of attempts.
        retries: total number of ``RETRY`` events.
    """

    requests: int
    by_status: Mapping[ResultStatus, int]
    attempts: int
    retries: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The results of a run. Two runs with the same seed only differ in ``times``.

    Attributes:
        rows: one row for each kind that was planned.
        total: all kinds together.
        failures: number of requests that ended with an error, by its class, most frequent first.
        times: duration of each request in seconds, ascending.
        violations: ways in which a request didn't end exactly once; empty if there are none.
    """

    rows: Mapping[Kind, Row]
    total: Row
    failures: Mapping[str, int]
    times: tuple[float, ...] = dataclasses.field(compare=False)
    violations: tuple[str, ...]


def summarize(
    plan: Sequence[PlannedRequest],
    results: Mapping[str, RequestResult],
    events: Sequence[AsyncEvent],
) -> Summary:
    """Summarize a run.

    Args:
        plan: the requests that should have been made.
        results: the client's results by request id.
        events: all events that the callbacks received.
    """
    retries = Counter(e.context.request_id for e in events if not e.event_type.is_terminal)
    by_kind: dict[Kind, list[str]] = {}
    for planned in plan:
        by_kind.setdefault(planned.kind, []).append(planned.request_id)
    return Summary(
        rows={kind: _row(by_kind[kind], results, retries) for kind in Kind if kind in by_kind},
        total=_row([planned.request_id for planned in plan], results, retries),
        failures=_failures(results.values()),
        times=tuple(sorted(result.total_time for result in results.values())),
        violations=tuple(_violations(plan, results, events)),
    )


def percentile(ascending: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values doesn't exceed.

    Args:
        ascending: the values in order, at least one.
        share: above 0, at most 1.
    """
    return ascending[math.ceil(share * len(ascending)) - 1]


def _row(
    request_ids: Sequence[str], results: Mapping[str, RequestResult], retries: Counter[str]
) -> Row:
    found = [results[request_id] for request_id in request_ids if request_id in results]
    return Row(
        requests=len(request_ids),
        by_status=Counter(result.status for result in found),
        attempts=sum(result.attempts for result in found),
        retries=sum(retries[request_id] for request_id in request_ids),
    )


def _failures(results: Iterable[RequestResult]) -> dict[str, int]:
    counted = Counter(type(r.error).__name__ for r in results if r.error is not None)
    return dict(sorted(counted.items(), key=lambda entry: (-entry[1], entry[0])))


def _violations(
    plan: Sequence[PlannedRequest],
    results: Mapping[str, RequestResult],
    events: Sequence[AsyncEvent],
) -> Iterator[str]:
    ends = Counter(e.context.request_id for e in events if e.event_type.is_terminal)
    planned_ids = [planned.request_id for planned in plan]
    for request_id in planned_ids:
        if request_id not in results:
            yield f"{request_id} has no result"
        if ends[request_id] != 1:
            yield f"{request_id} has {ends[request_id]} terminal events"
    for request_id in sorted((results.keys() | ends.keys()) - set(planned_ids)):
        yield f"{request_id} was never planned"
