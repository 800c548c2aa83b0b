"""Runs the turns of ``rescue.py``: a server that fails and a client, each in its own process.

Requests start at a fixed rate, whether or not earlier ones have ended: the callers of a service
don't send less because it waits before a retry.
"""

import asyncio
import collections
import dataclasses
import json
import logging
import multiprocessing
import multiprocessing.connection
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from rescuing.clients import Ask, Rescuer
from rescuing.faults import Plan

__all__ = ["Record", "Turn", "run_turn"]

HERE = pathlib.Path(__file__).parent.parent
LEAD = 0.5
"""Seconds from opening a client until the plan starts."""

LONGEST = 120.0
"""Seconds that a turn may take."""

PAUSE = 0.1
"""Seconds between two looks at whether all is normal again."""

NORMAL = 0.9
"""Share of the requests of a second that are answered when a service is back to normal."""


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """How one request ended; times are seconds since the start of the plan.

    Attributes:
        number: the request.
        began: when it was due.
        ended: when its caller had the result.
        error: the class of its error; None if it was answered.
    """

    number: int
    began: float
    ended: float
    error: str | None


Result = tuple[list[Record], float | None]
"""What the process of a client returns: how its requests ended, and when all was normal."""


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """What happened in one turn.

    Attributes:
        records: of each request.
        arrivals: when the server received a request, retries included.
        posts_executed_twice: POSTs without a key that it executed more than once.
        normal_after: seconds from the end of the outage until the client was back to normal; None
            if it wasn't, or if there was no outage.
    """

    records: list[Record]
    arrivals: list[float]
    posts_executed_twice: int
    normal_after: float | None

    def errors(self) -> dict[str, int]:
        """Return how many requests ended with each error."""
        return collections.Counter(each.error for each in self.records if each.error)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What the process of a client needs to know.

    Attributes:
        rescuer: the client.
        url: the server.
        wait: seconds that the client allows for each wait.
        plan: what happens.
        start: when it starts, in monotonic seconds.
        patience: seconds after an outage for which the client goes on at most.
    """

    rescuer: Rescuer
    url: str
    wait: float
    plan: Plan
    start: float
    patience: float


def run_turn(rescuer: Rescuer, plan: Plan, wait: float, patience: float = 0.0) -> Turn:
    """Run one turn in two new processes.

    Args:
        rescuer: the client.
        plan: what the server does.
        wait: seconds that the client allows for each wait.
        patience: seconds after an outage for which requests are sent until all is normal.

    Raises:
        RuntimeError: the client couldn't be run.
    """
    command = [sys.executable, "-m", "rescuing.server", plan.to_json()]
    with subprocess.Popen(  # noqa: S603 - our own file
        command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None  # noqa: S101 - it is a pipe
        assert server.stdout is not None  # noqa: S101 - it is one too
        try:
            url = f"http://127.0.0.1:{int(server.stdout.readline())}/items"
            start = time.monotonic() + LEAD
            print(start, file=server.stdin, flush=True)
            job = _Job(
                rescuer=rescuer, url=url, wait=wait, plan=plan, start=start, patience=patience
            )
            records, normal_after = _in_process(job)
        finally:
            server.stdin.close()  # which ends the server
            report = server.stdout.readline()
    counted: dict[str, Any] = json.loads(report)
    return Turn(records=records, normal_after=normal_after, **counted)


def _in_process(job: _Job) -> Result:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run_and_send, args=(sender, job), daemon=True)
    process.start()
    sender.close()
    result: Result | None
    try:
        if not receiver.poll(LONGEST):
            raise RuntimeError(f"the turn did not finish within {LONGEST:.0f} s")
        result, error = receiver.recv()
    except EOFError:
        raise RuntimeError("the process of the client died") from None
    finally:
        process.kill()
        process.join()
        receiver.close()
    if result is None:
        raise RuntimeError(error)
    return result


def _run_and_send(pipe: multiprocessing.connection.Connection, job: _Job) -> None:
    logging.disable()  # some clients log each retry
    try:
        pipe.send((asyncio.run(_run(job)), None))
    except Exception as error:  # noqa: BLE001 - reported by the parent
        pipe.send((None, f"{type(error).__name__}: {error}"))


async def _run(job: _Job) -> Result:
    async with job.rescuer.opener(job.url, job.wait) as ask:
        load = _Load(ask, job.plan, job.start)
        if job.plan.outage is None:
            await load.stream()
            return load.records, None
        return load.records, await load.outage(job.patience)


class _Load:
    """The requests of one turn.

    Args:
        ask: sends a request.
        plan: which ones.
        start: when it starts, in monotonic seconds.
    """

    def __init__(self, ask: Ask, plan: Plan, start: float) -> None:
        self.records: list[Record] = []
        self._ask = ask
        self._plan = plan
        self._start = start

    async def stream(self) -> None:
        """Start the requests at their rate, and wait for all of them."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._plan.requests):
                due = number / self._plan.rate
                await self._until(due)
                tasks.create_task(self._send(number, due))

    async def outage(self, patience: float) -> float | None:
        """Send throughout the outage and until all is normal again; return when that was."""
        _, end = self._plan.outage or (0.0, 0.0)
        stream = asyncio.create_task(self.stream())
        normal_after = None
        await self._until(end)
        while normal_after is None and self._now() < end + patience:
            await asyncio.sleep(PAUSE)
            normal_after = next(self._normal_after(end), None)
        stream.cancel()
        await asyncio.wait([stream])
        return normal_after

    async def _send(self, number: int, due: float) -> None:
        request = self._plan.request(number)
        error = None
        try:
            if await self._ask(request) != request.body:
                error = "WrongBody"
        except Exception as failure:  # noqa: BLE001 - whatever the client raises
            error = type(failure).__name__
        self.records.append(Record(number, due, self._now(), error))

    def _now(self) -> float:
        return time.monotonic() - self._start

    async def _until(self, instant: float) -> None:
        await asyncio.sleep(max(0.0, instant - self._now()))

    def _normal_after(self, end: float) -> Iterator[float]:
        """Yield the seconds after ``end`` from which a whole second was as good as usual."""
        answers = [record.ended for record in self.records if record.error is None]
        for tenth in range(int((self._now() - end - 1) * 10)):
            since = end + tenth / 10
            if sum(since <= each < since + 1 for each in answers) >= NORMAL * self._plan.rate:
                yield tenth / 10
