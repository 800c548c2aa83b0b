"""Runs the clients in turn, and measures them.

Each turn runs in a separate process, so that clients don't affect each other. It opens a client,
starts a worker for each concurrent request, lets the connections settle, and then counts responses
for a while. The process ends right after counting; closing the client isn't measured.
"""

import asyncio
import dataclasses
import gc
import importlib.abc
import importlib.machinery
import multiprocessing
import multiprocessing.connection
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from clients import BASELINE, Client
from server import BODY

__all__ = ["Results", "Schedule", "Turn", "compare"]

MIN_RESPONSES = 30
"""Responses that a turn waits for, even if its time is up."""

EXTRA_TIME = 20.0
"""Seconds that it waits for these at most, and that it may overrun."""

Results = dict[str, dict[str, Any]]
"""By name: the medians of a client, or its error."""


@dataclasses.dataclass(frozen=True, slots=True)
class Schedule:
    """How many turns there are, and how long they take.

    Attributes:
        rounds: turns of each client.
        settle: seconds of a turn before counting.
        seconds: seconds of counting; more if there are few responses.
    """

    rounds: int
    settle: float
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """The measurements of one client in one turn.

    Attributes:
        rate: requests per second.
        cpu: CPU microseconds per request, in all threads of the process.
        p50: median latency, in milliseconds.
        p99: 99th percentile of the latency, in milliseconds.
    """

    rate: float
    cpu: float
    p50: float
    p99: float

    @classmethod
    def from_latencies(cls, latencies: Sequence[float], wall: float, cpu: float) -> "Turn":
        """Calculate a turn from latencies, wall time and CPU time, all in seconds."""
        ordered, count = sorted(latencies), len(latencies)
        return cls(
            rate=count / wall,
            cpu=cpu / count * 1e6,
            p50=ordered[count // 2] * 1e3,
            p99=ordered[count * 99 // 100] * 1e3,
        )


def compare(clients: Sequence[Client], url: str, concurrency: int, schedule: Schedule) -> Results:
    """Measure all clients in turn; one that fails gets no further turns, but an error."""
    turns: dict[str, list[Turn]] = {client.name: [] for client in clients}
    errors: dict[str, str] = {}
    for number in range(schedule.rounds):
        for client in clients[:: -1 if number % 2 else 1]:
            if client.name not in errors:
                match _run_turn(client, url, concurrency, schedule):
                    case Turn() as turn:
                        turns[client.name].append(turn)
                    case error:
                        errors[client.name] = error
    return {
        name: {"error": errors[name]} if name in errors else _medians(measured, turns[BASELINE])
        for name, measured in turns.items()
    }


def _run_turn(client: Client, url: str, concurrency: int, schedule: Schedule) -> Turn | str:
    """Run one turn in a separate process; return its measurements, or an error in one line."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    gc.collect()  # so that the new process has no garbage to collect
    process = context.Process(
        target=_run_and_send, args=(sender, client, url, concurrency, schedule), daemon=True
    )
    process.start()
    sender.close()
    try:
        if not receiver.poll(schedule.settle + schedule.seconds + 2 * EXTRA_TIME):
            return "the turn did not finish"
        result: Turn | str = receiver.recv()
    except EOFError:
        return "the process died"
    else:
        return result
    finally:
        process.kill()
        process.join()
        receiver.close()


def _run_and_send(
    pipe: multiprocessing.connection.Connection,
    client: Client,
    url: str,
    concurrency: int,
    schedule: Schedule,
) -> None:
    if not client.has_sniffio:
        sys.modules.pop("sniffio", None)
        sys.meta_path.insert(0, _WithoutSniffio())
    try:
        with asyncio.Runner(loop_factory=_loop_factory(client)) as runner:
            latencies: list[float] = []
            threading.Thread(
                target=_count_responses, args=(latencies, schedule, pipe.send), daemon=True
            ).start()
            runner.run(_send_requests(client, url, concurrency, latencies))
    except Exception as error:  # noqa: BLE001 - a failed client must not stop the others
        pipe.send(_describe(error))


class _WithoutSniffio(importlib.abc.MetaPathFinder):
    """Makes importing sniffio fail at the same cost as if only httpx had been installed.

    httpcore tries to import it for each lock. httpx no longer depends on it, but it may be there.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Search for a module that doesn't exist instead."""
        if name == "sniffio":
            importlib.machinery.PathFinder.find_spec("sniffio_is_not_there", path, target)
            raise ModuleNotFoundError("No module named 'sniffio'", name=name)


async def _send_requests(
    client: Client, url: str, concurrency: int, latencies: list[float]
) -> None:
    """Make requests with that many workers until the process is terminated.

    Raises:
        ExceptionGroup: a request failed, or returned an unexpected body.
    """
    async with client.opener(concurrency) as get, asyncio.TaskGroup() as workers:

        async def work() -> None:
            while True:
                start = time.perf_counter()
                if (body := await get(url)) != BODY:
                    raise ValueError(f"unexpected body: {body!r:.80}")
                latencies.append(time.perf_counter() - start)

        for _ in range(concurrency):
            workers.create_task(work())


def _count_responses(
    latencies: list[float], schedule: Schedule, send: Callable[[Turn | str], None]
) -> None:
    """Count responses and send the result, from a thread: the loop may be busy for seconds."""
    time.sleep(schedule.settle)
    before, wall, cpu = len(latencies), time.perf_counter(), time.process_time()
    time.sleep(schedule.seconds)
    while len(latencies) - before < MIN_RESPONSES and time.perf_counter() - wall < EXTRA_TIME:
        time.sleep(schedule.seconds)
    counted = latencies[before:]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    send(Turn.from_latencies(counted, wall, cpu) if counted else f"no response within {wall:.1f} s")


def _loop_factory(client: Client) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if not client.on_uvloop:
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _medians(turns: Sequence[Turn], baseline: Sequence[Turn]) -> dict[str, float]:
    """Return the medians; the ratio is left out if stock httpx has failed."""
    ratios = [turn.rate / base.rate for turn, base in zip(turns, baseline, strict=False)]
    return {
        "requests_per_second": statistics.median(turn.rate for turn in turns),
        "cpu_us_per_request": statistics.median(turn.cpu for turn in turns),
        "p50_ms": statistics.median(turn.p50 for turn in turns),
        "p99_ms": statistics.median(turn.p99 for turn in turns),
    } | ({"ratio_to_httpx": statistics.median(ratios)} if ratios else {})


def _describe(error: BaseException) -> str:
    """Return an error in one line; for a group, its first error."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    first, *_ = [*str(error).splitlines(), ""]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
