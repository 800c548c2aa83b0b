"""How the demo looks: its progress while it runs, its tables at the end.

The only file that imports rich. It prints what it is given and counts nothing itself.
"""

import contextlib
from collections.abc import Callable, Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from typed_async_client import ResultStatus
from typed_async_client.cli.summary import Row, Standing, Tally, percentile

__all__ = ["show_begin", "show_tally", "watching"]

_EVERY = 50
"""Finished requests from one plain line to the next."""

_COUNTS = "in flight {task.fields[flying]}, retries {task.fields[retries]}, failures {task.fields[failures]}"

_PROMISE = "every request ended exactly once"

_UNBOUNDED = 1000
"""Columns of a terminal that any table fits on."""

_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def show_begin(requests: int, seed: int, console: Console | None = None) -> None:
    """Print what is about to run."""
    _say(console or Console(), f"{requests} requests to a server on this machine, seed {seed}")


def watching(
    total: int, console: Console | None = None
) -> contextlib.AbstractContextManager[Callable[[Standing], None]]:
    """Show a run: live on a terminal, else one plain line every 50 finished requests.

    Args:
        total: requests to make.
        console: where to; None is stdout.
    """
    where = console or Console()
    # Not console.is_terminal, which is also true of a file when FORCE_COLOR is set.
    live = where.file.isatty() and not where.is_dumb_terminal
    return _live(total, where) if live else contextlib.nullcontext(_plain(where))


@contextlib.contextmanager
def _live(total: int, console: Console) -> Iterator[Callable[[Standing], None]]:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn(_COUNTS))
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=total, flying=0, retries=0, failures=0)

        def show(now: Standing) -> None:
            progress.update(
                bar,
                completed=now.finished,
                flying=now.in_flight,
                retries=now.retries,
                failures=now.failures,
            )

        yield show


def _plain(console: Console) -> Callable[[Standing], None]:
    told = 0

    def show(now: Standing) -> None:
        nonlocal told
        if now.finished // _EVERY > told:
            told = now.finished // _EVERY
            _say(console, f"{now.finished} of {now.total} requests finished")

    return show


def show_tally(tally: Tally, console: Console | None = None) -> None:
    """Print the tables, what is wrong with the run, and the verdict as the last line."""
    where = console or Console()
    ends = _ends(tally)
    wanted = where.measure(ends, options=where.options.update_width(_UNBOUNDED)).maximum
    where.print(
        ends if wanted <= where.width else _narrow_ends(tally), _failures(tally), _times(tally)
    )
    for fault in tally.faults:
        _say(where, fault)
    _say(where, "NOT every request ended exactly once" if tally.faults else _PROMISE)


def _ends(tally: Tally) -> Table:
    table = _table("requests", "count", *ResultStatus, "attempts", "retries")
    for kind, row in tally.rows.items():
        table.add_row(kind, *_cells(row))
    table.add_section()
    table.add_row("all", *_cells(tally.total))
    return table


def _narrow_ends(tally: Tally) -> Table:
    """Tell the same in fewer columns, one end a line; attempts are left out, being requests and retries."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("requests", no_wrap=True)
    table.add_column("ended in")
    table.add_column("retries", justify="right")
    for kind, row in tally.rows.items():
        table.add_row(kind, _in_words(row), str(row.retries or "-"))
    table.add_section()
    table.add_row("all", _in_words(tally.total), str(tally.total.retries or "-"))
    return table


def _in_words(row: Row) -> str:
    ends = [(row.ends.get(status, 0), status) for status in ResultStatus]
    return "\n".join(f"{count} {status}" for count, status in ends if count)


def _cells(row: Row) -> list[str]:
    ends = [row.ends.get(status, 0) for status in ResultStatus]
    return [str(count or "-") for count in (row.requests, *ends, row.attempts, row.retries)]


def _failures(tally: Tally) -> Table:
    table = _table("what the failures were", "requests")
    for name, count in tally.failures.items():
        table.add_row(name, str(count))
    return table


def _times(tally: Tally) -> Table:
    table = _table("time", *_SHARES)
    if tally.times:
        table.add_row(
            "seconds", *(f"{percentile(tally.times, share):.3f}" for share in _SHARES.values())
        )
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(first, no_wrap=True)
    for other in others:
        table.add_column(other, justify="right")
    return table


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True)
