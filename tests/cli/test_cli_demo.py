"""``demo``: what the server does decides each end, so the counts follow from the plan alone."""

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
from typed_async_client.cli.demo import perform
from typed_async_client.cli.plan import MAX_RETRIES, Kind, draw_plan
from typed_async_client.cli.summary import Row, Standing

ENDS = {
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
    """Each kind has one end, one error class and a known number of attempts."""
    plan = draw_plan(60, seed)
    shown: list[Standing] = []
    tally = await perform(plan, seed, shown.append)
    kinds = Counter(planned.kind for planned in plan)
    for kind, count in kinds.items():
        retries = sum(planned.refusals for planned in plan if planned.kind is kind)
        retries += MAX_RETRIES * count if kind is Kind.REFUSED else 0
        assert tally.rows[kind] == Row(
            requests=count, ends={ENDS[kind]: count}, attempts=count + retries, retries=retries
        )
    assert tally.failures == {name: kinds[kind] for kind, name in ERRORS.items() if kinds[kind]}
    assert tally.faults == ()
    assert len(tally.times) == 60
    assert (shown[-1].begun, shown[-1].finished, shown[-1].in_flight) == (60, 60, 0)


async def test_a_run_leaves_no_task_behind() -> None:
    """Not of the client, not of the servers."""
    await perform(draw_plan(20, 3), 3, lambda _: None)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_cancelled_run_leaves_no_task_behind() -> None:
    """Also while requests are in flight and ports about to listen."""
    begun = asyncio.Event()
    run = asyncio.create_task(perform(draw_plan(500, 3), 3, lambda _: begun.set()))
    await begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_equal_seeds_give_equal_reports(capsys: pytest.CaptureFixture[str]) -> None:
    """In this process and in another one: all but the seconds is the same text."""
    words = ("demo", "--seed", "5", "--requests", "60")
    assert await asyncio.to_thread(main, words) == 0
    here = capsys.readouterr().out
    there = await run_command(*words)
    assert there.code == 0
    assert without_timings(here) == without_timings(there.out.decode())


async def test_without_a_seed_one_is_drawn_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Given back to the command it makes the same run."""
    assert await asyncio.to_thread(main, ["demo", "--requests", "1"]) == 0
    first = capsys.readouterr().out
    seed = first.splitlines()[0].rpartition(" ")[2]
    assert await asyncio.to_thread(main, ["demo", "--requests", "1", "--seed", seed]) == 0
    assert without_timings(capsys.readouterr().out) == without_timings(first)


async def test_three_hundred_requests_end_exactly_once_and_warn_of_nothing() -> None:
    """The whole run, with every warning an error and asyncio in its debug mode."""
    ended = await run_command("demo", "--seed", "7", options=("-X", "dev", "-W", "error"))
    lines = without_timings(ended.out.decode())
    assert (ended.code, ended.err) == (0, "")
    assert lines[0] == "300 requests to a server on this machine, seed 7"
    assert lines[1:7] == [f"{n} of 300 requests finished" for n in range(50, 301, 50)]
    assert lines[-1] == "every request ended exactly once"
    assert "\x1b" not in ended.out.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
async def test_on_a_terminal_the_progress_is_live() -> None:
    """A bar with the counts, redrawn in place, then the same tables."""
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
    """Read until the other end is closed, which Linux tells by an error."""
    with os.fdopen(terminal, "rb") as file, contextlib.suppress(OSError):
        read = bytearray()
        while chunk := file.read1():
            read += chunk
    return read.decode()


async def test_an_interrupted_demo_is_exit_code_130_and_no_traceback() -> None:
    """Client and servers are closed before the process ends."""

    async def interrupt(process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        await process.stdout.readline()
        await process.stdout.readline()  # the run has begun: 50 requests have ended
        process.send_signal(signal.SIGINT)

    ended = await run_command(
        "demo", "--requests", "3000", options=("-X", "dev", "-W", "error"), meanwhile=interrupt
    )
    assert (ended.code, ended.err) == (130, "typed-async-client: interrupted\n")
