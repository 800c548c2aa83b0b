"""How the demo looks, on a terminal and off it."""

import dataclasses
import io

import pytest
from rich.console import Console

from typed_async_client import EventType, ResultStatus
from typed_async_client.cli.plan import Kind
from typed_async_client.cli.report import show_begin, show_tally, watching
from typed_async_client.cli.summary import Row, Standing, Tally


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def _tally(*faults: str) -> Tally:
    ends = {ResultStatus.SUCCESS: 3, ResultStatus.CANCELLED: 1}
    row = Row(requests=4, ends=ends, attempts=6, retries=2)
    return Tally(
        rows={Kind.RECOVERING: row},
        total=row,
        failures={"CancelledError": 1},
        times=(0.1, 0.2, 0.3, 0.4),
        faults=faults,
    )


def _run(file: io.StringIO, requests: int) -> None:
    now = Standing(total=requests)
    with watching(requests, Console(file=file, width=80)) as show:
        for _ in range(requests):
            for kind in (EventType.RETRY, EventType.SUCCESS):
                now = now.after_begin() if kind is EventType.RETRY else now
                now = now.after(kind)
                show(now)


def test_off_a_terminal_a_run_is_a_line_for_each_fifty_requests() -> None:
    """A retry in between does not print a line twice."""
    file = io.StringIO()
    _run(file, 120)
    assert file.getvalue() == "50 of 120 requests finished\n100 of 120 requests finished\n"


def test_a_file_gets_plain_lines_even_where_colour_is_forced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Colour in a log is one thing, a bar that redraws itself another."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    file = io.StringIO()
    _run(file, 50)
    assert file.getvalue() == "50 of 50 requests finished\n"


def test_on_a_terminal_a_run_is_a_bar_with_its_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last thing it shows is the end of the run."""
    monkeypatch.setenv("TERM", "xterm")
    file = Terminal()
    _run(file, 60)
    assert "60/60" in file.getvalue()
    assert "in flight 0, retries 60, failures 0" in file.getvalue()
    assert "requests finished" not in file.getvalue()


def test_on_a_dumb_terminal_a_run_is_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot move its cursor."""
    monkeypatch.setenv("TERM", "dumb")
    file = Terminal()
    _run(file, 50)
    assert file.getvalue() == "50 of 50 requests finished\n"


def test_the_tables_tell_ends_failures_and_times() -> None:
    """Within 80 columns, and the promise as the last line."""
    file = io.StringIO()
    show_tally(_tally(), Console(file=file, width=80))
    lines = [line.split() for line in file.getvalue().splitlines()]
    counts = ["4", "3", "-", "-", "1", "6", "2"]
    assert ["refused", "at", "first", *counts] in lines
    assert ["all", *counts] in lines
    assert ["CancelledError", "1"] in lines
    assert ["seconds", "0.200", "0.400", "0.400", "0.400"] in lines
    assert file.getvalue().endswith("\nevery request ended exactly once\n")


@pytest.mark.parametrize("width", [40, 50, 78])
def test_on_a_narrow_terminal_the_table_has_fewer_columns(width: int) -> None:
    """No heading and no count is cut; each end is a line of its own."""
    file = io.StringIO()
    show_tally(_tally(), Console(file=file, width=width))
    shown = file.getvalue()
    lines = [line.split() for line in shown.splitlines()]
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= width
    assert ["requests", "ended", "in", "retries"] in lines
    assert ["refused", "at", "first", "3", "success", "2"] in lines
    assert lines[lines.index(["all", "3", "success", "2"]) + 1] == ["1", "cancelled"]
    assert ["seconds", "0.200", "0.400", "0.400", "0.400"] in lines


def test_a_broken_promise_is_told_with_its_reasons() -> None:
    """The reasons first, the verdict last."""
    file = io.StringIO()
    show_tally(_tally("demo-00001 has no result"), Console(file=file, width=80))
    assert file.getvalue().endswith(
        "\ndemo-00001 has no result\nNOT every request ended exactly once\n"
    )


def test_a_run_without_any_result_is_told_too() -> None:
    """There are no times then, and no percentiles."""
    file = io.StringIO()
    tally = dataclasses.replace(_tally("demo-00001 has no result"), times=())
    show_tally(tally, Console(file=file, width=80))
    assert "seconds" not in file.getvalue()


def test_the_report_goes_to_stdout_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    """And the seed is told first, so that the run can be repeated."""
    show_begin(3, 7)
    with watching(50) as show:
        show(Standing(total=50, begun=50, finished=50))
    show_tally(_tally())
    out, err = capsys.readouterr()
    assert out.startswith(
        "3 requests to a server on this machine, seed 7\n50 of 50 requests finished\n"
    )
    assert err == ""
