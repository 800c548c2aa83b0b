"""Prints the demo: its progress while it runs, and its tables at the end.

This is the only file that imports rich. ``summary.py`` does the counting.
"""

import contextlib
from collections.abc import Callable, Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from typed_async_client import ResultStatus
from typed_async_client.cli.summary import Row, RunProgress, Summary, percentile

__all__ = ["show_progress", "show_start", "show_summary"]

_STATUSES = [status for status in ResultStatus if status is not ResultStatus.REJECTED]
"""The client of the demonstration has no policy that refuses requests."""

_LINE_INTERVAL = 50
"""Finished requests from one progress line to the next."""

_COUNTS = (
    "in flight {task.fields[in_flight]}, retries {task.fields[retries]}, "
    "failures {task.fields[failures]}"
)

_ALL_ENDED_ONCE = "every request ended exactly once"

_WIDE = 1000
"""Columns of a terminal wide enough for any table."""

_PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def show_start(requests: int, seed: int, console: Console | None = None) -> None:
    """Print what will run."""
    _print_line(console or Console(), f"{requests} requests to a local server, seed {seed}")


def show_progress(
    total: int, console: Console | None = None
) -> contextlib.AbstractContextManager[Callable[[RunProgress], None]]:
    """Show the progress of a run: a bar on a terminal, otherwise a line every 50 requests.

    Args:
        total: number of requests to make.
        console: where to print; None means stdout.

    Returns:
        A context manager that enters with a function to call after each event.
    """
    where = console or Console()
    # console.is_terminal is also true for a file if FORCE_COLOR is set.
    live = where.file.isatty() and not where.is_dumb_terminal
    return _live(total, where) if live else contextlib.nullcontext(_lines(where))


@contextlib.contextmanager
def _live(total: int, console: Console) -> Iterator[Callable[[RunProgress], None]]:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn(_COUNTS))
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=total, in_flight=0, retries=0, failures=0)

        def show(now: RunProgress) -> None:
            progress.update(
                bar,
                completed=now.finished,
                in_flight=now.in_flight,
                retries=now.retries,
                failures=now.failures,
            )

        yield show


def _lines(console: Console) -> Callable[[RunProgress], None]:
    printed = 0

    def show(now: RunProgress) -> None:
        nonlocal printed
        if now.finished // _LINE_INTERVAL > printed:
            printed = now.finished // _LINE_INTERVAL
            _print_line(console, f"{now.finished} of {now.total} requests finished")

    return show


def show_summary(summary: Summary, console: Console | None = None) -> None:
    """Print the tables, any violations, and whether every request ended exactly once."""
    where = console or Console()
    results = _results(summary)
    full_width = where.measure(results, options=where.options.update_width(_WIDE)).maximum
    where.print(
        results if full_width <= where.width else _narrow_results(summary),
        _failures(summary),
        _times(summary),
    )
    for violation in summary.violations:
        _print_line(where, violation)
    _print_line(
        where, "NOT every request ended exactly once" if summary.violations else _ALL_ENDED_ONCE
    )


def _results(summary: Summary) -> Table:
    table = _table("requests", "count", *_STATUSES, "attempts", "retries")
    for kind, row in summary.rows.items():
        table.add_row(kind, *_cells(row))
    table.add_section()
    table.add_row("all", *_cells(summary.total))
    return table


def _narrow_results(summary: Summary) -> Table:
    """Make the same table with fewer columns: a line per status, without the attempts."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("requests", no_wrap=True)
    table.add_column("results")
    table.add_column("retries", justify="right")
    for kind, row in summary.rows.items():
        table.add_row(kind, _statuses(row), str(row.retries or "-"))
    table.add_section()
    table.add_row("all", _statuses(summary.total), str(summary.total.retries or "-"))
    return table


def _statuses(row: Row) -> str:
    counts = [(row.by_status.get(status, 0), status) for status in _STATUSES]
    return "\n".join(f"{count} {status}" for count, status in counts if count)


def _cells(row: Row) -> list[str]:
    counts = [row.by_status.get(status, 0) for status in _STATUSES]
    return [str(count or "-") for count in (row.requests, *counts, row.attempts, row.retries)]


def _failures(summary: Summary) -> Table:
    table = _table("failures", "requests")
    for name, count in summary.failures.items():
        table.add_row(name, str(count))
    return table


def _times(summary: Summary) -> Table:
    table = _table("duration", *_PERCENTILES)
    if summary.times:
        table.add_row(
            "seconds",
            *(f"{percentile(summary.times, share):.3f}" for share in _PERCENTILES.values()),
        )
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(first, no_wrap=True)
    for other in others:
        table.add_column(other, justify="right")
    return table


def _print_line(console: Console, line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True)
