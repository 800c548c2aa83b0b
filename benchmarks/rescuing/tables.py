"""What the turns of ``rescue.py`` amount to, and how that is printed: as in docs/rescue.md."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

from rescuing.faults import Plan
from rescuing.turns import Turn

__all__ = ["FAULTS", "OUTAGE", "Table", "rescued", "survived"]


def rescued(turn: Turn, plan: Plan) -> dict[str, Any]:
    """Return the figures of a turn in which single requests failed."""
    times = sorted(each.ended - each.began for each in turn.records if each.error is None)
    return {
        "answered": len(times),
        "answered_percent": 100 * len(times) / plan.requests,
        "wire_per_answer": len(turn.arrivals) / len(times) if times else math.nan,
        "posts_executed_twice": turn.posts_executed_twice,
        "p50_ms": _percentile(times, 50) * 1e3,
        "p99_ms": _percentile(times, 99) * 1e3,
        "errors": turn.errors(),
    }


def survived(turn: Turn, plan: Plan) -> dict[str, Any]:
    """Return the figures of a turn with an outage; the load is relative to one attempt each."""
    begin, end = plan.outage or (0.0, 0.0)
    failures = sorted(
        each.ended - each.began
        for each in turn.records
        if each.error is not None and begin <= each.began < end
    )
    during = sum(begin <= each < end for each in turn.arrivals) / (end - begin)
    return {
        "during_per_second": during,
        "load_percent": 100 * during / plan.rate,
        "seconds_to_error": _percentile(failures, 50),
        "normal_after": turn.normal_after,
        "errors": turn.errors(),
    }


def _percentile(ordered: Sequence[float], percent: int) -> float:
    return ordered[len(ordered) * percent // 100] if ordered else math.nan


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """A table in Markdown.

    Attributes:
        columns: their titles, and what formats the figures of a row.
    """

    columns: tuple[tuple[str, Callable[[dict[str, Any]], str]], ...]

    def head(self) -> str:
        """Return its title and its ruler."""
        titles = " | ".join(title for title, _ in self.columns)
        return f"| | {titles} |\n|---|{'---:|' * len(self.columns)}"

    def line(self, name: str, row: dict[str, Any]) -> str:
        """Return the line of a client."""
        if "error" in row:
            return f"| {name} | {row['error']} |{' |' * (len(self.columns) - 1)}"
        cells = " | ".join(form(row) for _, form in self.columns)
        return f"| {name} | {cells} |"


def _after(row: dict[str, Any]) -> str:
    return "later" if row["normal_after"] is None else f"{row['normal_after']:.1f} s"


FAULTS = Table(
    (
        ("Answered", lambda row: f"{row['answered_percent']:.1f} %"),
        ("Sent per answer", lambda row: f"{row['wire_per_answer']:.2f}"),
        ("POSTs executed twice", lambda row: str(row["posts_executed_twice"])),
        ("p50", lambda row: f"{row['p50_ms']:.0f} ms"),
        ("p99", lambda row: f"{row['p99_ms']:,.0f} ms"),
    )
)

OUTAGE = Table(
    (
        ("Sent per second", lambda row: f"{row['during_per_second']:.0f}"),
        ("Load", lambda row: f"{row['load_percent']:.0f} %"),
        ("Error after", lambda row: f"{row['seconds_to_error'] * 1e3:,.0f} ms"),
        ("Normal after", _after),
    )
)
