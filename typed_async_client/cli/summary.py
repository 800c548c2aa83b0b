"""What comes of the demo: counts, percentiles, and the proof that each request ended once.

Pure: it reads results and events that were gathered, and knows nothing of how they look printed.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self

from typed_async_client import AsyncEvent, EventType, RequestResult, ResultStatus
from typed_async_client.cli.plan import Kind, Planned

__all__ = ["Row", "Standing", "Tally", "count_up", "percentile"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a run has come.

    Attributes:
        total: requests to make.
        begun: requests submitted.
        finished: terminal events.
        retries: ``RETRY`` events.
        failures: terminal events that tell of no response.
    """

    total: int
    begun: int = 0
    finished: int = 0
    retries: int = 0
    failures: int = 0

    @property
    def in_flight(self) -> int:
        """How many requests were submitted and have not ended."""
        return self.begun - self.finished

    def after_begin(self) -> Self:
        """Give the standing after one more submission."""
        return dataclasses.replace(self, begun=self.begun + 1)

    def after(self, kind: EventType) -> Self:
        """Give the standing after an event."""
        if not kind.is_terminal:
            return dataclasses.replace(self, retries=self.retries + 1)
        return dataclasses.replace(
            self,
            finished=self.finished + 1,
            failures=self.failures + (kind is not EventType.SUCCESS),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What came of the requests of one kind, or of all.

    Attributes:
        requests: how many were planned.
        ends: results by status.
        attempts: attempts made in all.
        retries: ``RETRY`` events in all.
    """

    requests: int
    ends: Mapping[ResultStatus, int]
    attempts: int
    retries: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What came of a run. Two runs of one seed differ in ``times`` alone.

    Attributes:
        rows: one for each kind that was planned.
        total: all kinds together.
        failures: how many requests ended with an error, by its class, the most frequent first.
        times: seconds from begin to end of each request, ascending.
        faults: what contradicts that each request ended exactly once; empty when nothing does.
    """

    rows: Mapping[Kind, Row]
    total: Row
    failures: Mapping[str, int]
    times: tuple[float, ...] = dataclasses.field(compare=False)
    faults: tuple[str, ...]


def count_up(
    plan: Sequence[Planned], results: Mapping[str, RequestResult], events: Sequence[AsyncEvent]
) -> Tally:
    """Count what came of a run.

    Args:
        plan: the requests that were to be made.
        results: what the client says, by request id.
        events: all that the callbacks were given.
    """
    retries = Counter(e.context.request_id for e in events if not e.event_type.is_terminal)
    by_kind: dict[Kind, list[str]] = {}
    for planned in plan:
        by_kind.setdefault(planned.kind, []).append(planned.request_id)
    return Tally(
        rows={kind: _row(by_kind[kind], results, retries) for kind in Kind if kind in by_kind},
        total=_row([planned.request_id for planned in plan], results, retries),
        failures=_failures(results.values()),
        times=tuple(sorted(result.total_time for result in results.values())),
        faults=tuple(_faults(plan, results, events)),
    )


def percentile(ascending: Sequence[float], share: float) -> float:
    """Give the smallest value that at least this share of the values does not exceed.

    Args:
        ascending: the values in order, at least one.
        share: above 0, at most 1.
    """
    return ascending[math.ceil(share * len(ascending)) - 1]


def _row(names: Sequence[str], results: Mapping[str, RequestResult], retries: Counter[str]) -> Row:
    known = [results[name] for name in names if name in results]
    return Row(
        requests=len(names),
        ends=Counter(result.status for result in known),
        attempts=sum(result.attempts for result in known),
        retries=sum(retries[name] for name in names),
    )


def _failures(results: Iterable[RequestResult]) -> dict[str, int]:
    counted = Counter(type(r.error).__name__ for r in results if r.error is not None)
    return dict(sorted(counted.items(), key=lambda entry: (-entry[1], entry[0])))


def _faults(
    plan: Sequence[Planned], results: Mapping[str, RequestResult], events: Sequence[AsyncEvent]
) -> Iterator[str]:
    ends = Counter(e.context.request_id for e in events if e.event_type.is_terminal)
    for name in (planned.request_id for planned in plan):
        if name not in results:
            yield f"{name} has no result"
        if ends[name] != 1:
            yield f"{name} has {ends[name]} terminal events"
    for name in sorted((results.keys() | ends.keys()) - {planned.request_id for planned in plan}):
        yield f"{name} was never planned"
