"""The output of the demo, on a terminal and in a file."""

import dataclasses
import io

import pytest
from rich.console import Console

from typed_async_client import EventType, ResultStatus
from typed_async_client.cli.plan import Kind
from typed_async_client.cli.report import show_progress, show_start, show_summary
from typed_async_client.cli.summary import Row, RunProgress, Summary


class Terminal(io.StringIO):
    """A file that claims to be a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


def _summary(*violations: str) -> Summary:
    by_status = {ResultStatus.SUCCESS: 3, ResultStatus.CANCELLED: 1}
    row = Row(requests=4, by_status=by_status, attempts=6, retries=2)
    return Summary(
        rows={Kind.RECOVERING: row},
        total=row,
        failures={"CancelledError": 1},
        times=(0.1, 0.2, 0.3, 0.4),
        violations=violations,
    )


def _run(file: io.StringIO, requests: int) -> None:
    progress = RunProgress(total=requests)
    with show_progress(requests, Console(file=file, width=80)) as show:
        for _ in range(requests):
            for kind in (EventType.RETRY, EventType.SUCCESS):
                progress = progress.after_start() if kind is EventType.RETRY else progress
                progress = progress.after_event(kind)
                show(progress)


def test_in_a_file_there_is_a_line_for_every_fifty_requests() -> None:
    """A retry in between doesn't print a line twice."""
    file = io.StringIO()
    _run(file, 120)
    assert file.getvalue() == "50 of 120 requests finished\n100 of 120 requests finished\n"


def test_in_a_file_there_are_lines_even_if_color_is_forced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A log may have color, but a bar that redraws itself would garble it."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    file = io.StringIO()
    _run(file, 50)
    assert file.getvalue() == "50 of 50 requests finished\n"


def test_on_a_terminal_there_is_a_bar_with_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with the final counts."""
    monkeypatch.setenv("TERM", "xterm")
    file = Terminal()
    _run(file, 60)
    assert "60/60" in file.getvalue()
    assert "in flight 0, retries 60, failures 0" in file.getvalue()
    assert "requests finished" not in file.getvalue()


def test_on_a_dumb_terminal_there_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a terminal can't move its cursor."""
    monkeypatch.setenv("TERM", "dumb")
    file = Terminal()
    _run(file, 50)
    assert file.getvalue() == "50 of 50 requests finished\n"


def test_the_tables_show_results_failures_and_durations() -> None:
    """They fit in 80 columns, and are followed by the verdict."""
    file = io.StringIO()
    show_summary(_summary(), Console(file=file, width=80))
    lines = [line.split() for line in file.getvalue().splitlines()]
    counts = ["4", "3", "-", "-", "1", "6", "2"]
    assert ["refused", "at", "first", *counts] in lines
    assert ["all", *counts] in lines
    assert ["CancelledError", "1"] in lines
    assert ["seconds", "0.200", "0.400", "0.400", "0.400"] in lines
    assert file.getvalue().endswith("\nevery request ended exactly once\n")


@pytest.mark.parametrize("width", [40, 50, 78])
def test_on_a_narrow_terminal_the_table_has_fewer_columns(width: int) -> None:
    """No heading and no count is truncated; each status has its own line."""
    file = io.StringIO()
    show_summary(_summary(), Console(file=file, width=width))
    shown = file.getvalue()
    lines = [line.split() for line in shown.splitlines()]
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= width
    assert ["requests", "results", "retries"] in lines
    assert ["refused", "at", "first", "3", "success", "2"] in lines
    assert lines[lines.index(["all", "3", "success", "2"]) + 1] == ["1", "cancelled"]
    assert ["seconds", "0.200", "0.400", "0.400", "0.400"] in lines


def test_violations_are_printed_before_the_verdict() -> None:
    """The verdict is the last line."""
    file = io.StringIO()
    show_summary(_summary("demo-00001 has no result"), Console(file=file, width=80))
    assert file.getvalue().endswith(
        "\ndemo-00001 has no result\nNOT every request ended exactly once\n"
    )


def test_a_run_without_results_can_be_reported() -> None:
    """There are no durations, and no percentiles."""
    file = io.StringIO()
    summary = dataclasses.replace(_summary("demo-00001 has no result"), times=())
    show_summary(summary, Console(file=file, width=80))
    assert "seconds" not in file.getvalue()


def test_the_report_goes_to_stdout_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    """The seed is printed first, so that the run can be repeated."""
    show_start(3, 7)
    with show_progress(50) as show:
        show(RunProgress(total=50, started=50, finished=50))
    show_summary(_summary())
    out, err = capsys.readouterr()
    assert out.startswith("3 requests to a local server, seed 7\n50 of 50 requests finished\n")
    assert err == ""
