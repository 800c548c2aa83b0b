"""``demo``: the server determines each result, so the counts follow from the plan alone."""

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter

import pytest
from cli_kit import environment, run_command, without_timings

from typed_async_client import ResultStatus
from typed_async_client.cli import main
from typed_async_client.cli.demo import run_plan
from typed_async_client.cli.plan import MAX_RETRIES, Kind, make_plan
from typed_async_client.cli.summary import Row, RunProgress

STATUSES = {
    Kind.ANSWERED: ResultStatus.SUCCESS,
    Kind.SLOW: ResultStatus.SUCCESS,
    Kind.UNAVAILABLE: ResultStatus.SUCCESS,
    Kind.RECOVERING: ResultStatus.SUCCESS,
    Kind.REFUSED: ResultStatus.ERROR,
    Kind.RESET: ResultStatus.ERROR,
    Kind.CUT_SHORT: ResultStatus.ERROR,
    Kind.STALLED: ResultStatus.TIMEOUT,
    Kind.CANCELLED: ResultStatus.CANCELLED,
}
ERRORS = {
    Kind.REFUSED: "ConnectError",
    Kind.RESET: "ReadError",
    Kind.CUT_SHORT: "RemoteProtocolError",
    Kind.STALLED: "ReadTimeout",
    Kind.CANCELLED: "CancelledError",
}


@pytest.mark.parametrize("seed", [7, 8])
async def test_the_counts_of_a_run_follow_from_its_plan(seed: int) -> None:
    """Each kind has one status, one error class and a known number of attempts."""
    plan = make_plan(60, seed)
    shown: list[RunProgress] = []
    summary = await run_plan(plan, seed, shown.append)
    kinds = Counter(planned.kind for planned in plan)
    for kind, count in kinds.items():
        retries = sum(planned.refusals for planned in plan if planned.kind is kind)
        retries += MAX_RETRIES * count if kind is Kind.REFUSED else 0
        assert summary.rows[kind] == Row(
            requests=count,
            by_status={STATUSES[kind]: count},
            attempts=count + retries,
            retries=retries,
        )
    assert summary.failures == {name: kinds[kind] for kind, name in ERRORS.items() if kinds[kind]}
    assert summary.violations == ()
    assert len(summary.times) == 60
    assert (shown[-1].started, shown[-1].finished, shown[-1].in_flight) == (60, 60, 0)


async def test_a_run_leaves_no_task_behind() -> None:
    """Neither the client nor the servers leave any."""
    await run_plan(make_plan(20, 3), 3, lambda _: None)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_cancelled_run_leaves_no_task_behind() -> None:
    """This holds while requests are in flight and ports are about to listen."""
    started = asyncio.Event()
    run = asyncio.create_task(run_plan(make_plan(500, 3), 3, lambda _: started.set()))
    await started.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_same_seed_gives_the_same_report(capsys: pytest.CaptureFixture[str]) -> None:
    """In this process and in another one, the text only differs in its durations."""
    arguments = ("demo", "--seed", "5", "--requests", "60")
    assert await asyncio.to_thread(main, arguments) == 0
    here = capsys.readouterr().out
    there = await run_command(*arguments)
    assert there.code == 0
    assert without_timings(here) == without_timings(there.out.decode())


async def test_without_a_seed_one_is_chosen_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Passing it to the command repeats the run."""
    assert await asyncio.to_thread(main, ["demo", "--requests", "1"]) == 0
    first = capsys.readouterr().out
    seed = first.splitlines()[0].rpartition(" ")[2]
    assert await asyncio.to_thread(main, ["demo", "--requests", "1", "--seed", seed]) == 0
    assert without_timings(capsys.readouterr().out) == without_timings(first)


async def test_three_hundred_requests_end_exactly_once_without_warnings() -> None:
    """A full run, with every warning an error and asyncio in debug mode."""
    ended = await run_command("demo", "--seed", "7", options=("-X", "dev", "-W", "error"))
    lines = without_timings(ended.out.decode())
    assert (ended.code, ended.err) == (0, "")
    assert lines[0] == "300 requests to a local server, seed 7"
    assert lines[1:7] == [f"{n} of 300 requests finished" for n in range(50, 301, 50)]
    assert lines[-1] == "every request ended exactly once"
    assert "\x1b" not in ended.out.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
async def test_on_a_terminal_the_progress_is_live() -> None:
    """A bar with the counts is redrawn in place, followed by the tables."""
    terminal, end = os.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "typed_async_client.cli", "demo", "--seed", "7", "--requests", "60",
        stdout=end, stderr=end, env=environment(TERM="xterm", COLUMNS="100"),
    )  # fmt: skip
    os.close(end)
    shown = await asyncio.to_thread(_read_all, terminal)
    async with asyncio.timeout(60):
        assert await process.wait() == 0
    assert "60/60" in shown
    assert "in flight 0, retries " in shown
    assert "requests finished" not in shown
    assert shown.rstrip().endswith("every request ended exactly once")


def _read_all(terminal: int) -> str:
    """Read until the other end is closed, which Linux reports as an error."""
    with os.fdopen(terminal, "rb") as file, contextlib.suppress(OSError):
        read = bytearray()
        while chunk := file.read1():
            read += chunk
    return read.decode()


async def test_an_interrupted_demo_exits_with_130_and_no_traceback() -> None:
    """The client and the servers are closed before the process exits."""

    async def interrupt(process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        await process.stdout.readline()
        await process.stdout.readline()  # the run is under way: 50 requests have ended
        process.send_signal(signal.SIGINT)

    ended = await run_command(
        "demo", "--requests", "3000", options=("-X", "dev", "-W", "error"), meanwhile=interrupt
    )
    assert (ended.code, ended.err) == (130, "typed-async-client: interrupted\n")
