"""Lets the contestants play in turn, and counts: it knows nothing of who they are.

A turn is a process of its own, so that no contestant weighs on another. It opens a client, starts one
worker for each concurrent request, lets them connect for a while, and then counts for a while what
comes back. It ends as soon as it has counted: what a client needs to close is not looked at.
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

from contestants import STOCK, Contestant
from server import BODY

__all__ = ["Figures", "Pace", "Turn", "compare"]

ENOUGH = 30
"""Answers that a turn waits for, though its seconds be over."""

PATIENCE = 20.0
"""Seconds that it waits for them, and that it may take beyond those it should."""

Figures = dict[str, dict[str, Any]]
"""By name: the median figures of a contestant, or its error."""


@dataclasses.dataclass(frozen=True, slots=True)
class Pace:
    """How long it takes.

    Attributes:
        rounds: turns of each contestant.
        settle: seconds of a turn before it counts.
        seconds: those while it counts; more when there were few answers.
    """

    rounds: int
    settle: float
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """What one contestant did in one turn.

    Attributes:
        rate: requests per second.
        cpu: microseconds of CPU per request, of all threads of this process.
        p50: median of the latencies, in milliseconds.
        p99: the latency that one request in a hundred exceeds, in milliseconds.
    """

    rate: float
    cpu: float
    p50: float
    p99: float

    @classmethod
    def counted(cls, latencies: Sequence[float], wall: float, cpu: float) -> "Turn":
        """Make it of latencies, wall time and CPU time, all in seconds."""
        ordered, count = sorted(latencies), len(latencies)
        return cls(
            rate=count / wall,
            cpu=cpu / count * 1e6,
            p50=ordered[count // 2] * 1e3,
            p99=ordered[count * 99 // 100] * 1e3,
        )


def compare(contestants: Sequence[Contestant], url: str, concurrency: int, pace: Pace) -> Figures:
    """Let all contestants take turns; one that fails plays no more, and its error is told."""
    played: dict[str, list[Turn]] = {one.name: [] for one in contestants}
    errors: dict[str, str] = {}
    for number in range(pace.rounds):
        for one in contestants[:: -1 if number % 2 else 1]:
            if one.name not in errors:
                match _turn(one, url, concurrency, pace):
                    case Turn() as turn:
                        played[one.name].append(turn)
                    case error:
                        errors[one.name] = error
    return {
        name: {"error": errors[name]} if name in errors else _medians(mine, played[STOCK])
        for name, mine in played.items()
    }


def _turn(contestant: Contestant, url: str, concurrency: int, pace: Pace) -> Turn | str:
    """Play one turn in a process of its own; give what came of it, or an error in one line."""
    forking = multiprocessing.get_context("fork")
    ours, theirs = forking.Pipe(duplex=False)
    gc.collect()  # so that the new process has no garbage to look through
    process = forking.Process(
        target=_play_and_tell, args=(theirs, contestant, url, concurrency, pace), daemon=True
    )
    process.start()
    theirs.close()
    try:
        if not ours.poll(pace.settle + pace.seconds + 2 * PATIENCE):
            return "it did not end"
        told: Turn | str = ours.recv()
    except EOFError:
        return "its process died"
    else:
        return told
    finally:
        process.kill()
        process.join()
        ours.close()


def _play_and_tell(
    pipe: multiprocessing.connection.Connection,
    contestant: Contestant,
    url: str,
    concurrency: int,
    pace: Pace,
) -> None:
    if not contestant.has_sniffio:
        sys.modules.pop("sniffio", None)
        sys.meta_path.insert(0, _WithoutSniffio())
    try:
        with asyncio.Runner(loop_factory=_loop_factory(contestant)) as runner:
            latencies: list[float] = []
            threading.Thread(target=_watch, args=(latencies, pace, pipe.send), daemon=True).start()
            runner.run(_play(contestant, url, concurrency, latencies))
    except Exception as error:  # noqa: BLE001 - one that fails must not stop the others
        pipe.send(_told(error))


class _WithoutSniffio(importlib.abc.MetaPathFinder):
    """Lets a search for sniffio fail, after the same steps, as where pip installed httpx alone.

    httpcore searches for it at each lock. It is no dependency of httpx any more, but may be there.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Search for a name that does not exist in its place."""
        if name == "sniffio":
            importlib.machinery.PathFinder.find_spec("sniffio_is_not_there", path, target)
            raise ModuleNotFoundError("No module named 'sniffio'", name=name)


async def _play(contestant: Contestant, url: str, concurrency: int, latencies: list[float]) -> None:
    """Make requests with that many workers until the process is ended.

    Raises:
        ExceptionGroup: a request failed, or its answer was not the server's.
    """
    async with contestant.opener(concurrency) as get, asyncio.TaskGroup() as workers:

        async def work() -> None:
            while True:
                begun = time.perf_counter()
                if (body := await get(url)) != BODY:
                    raise ValueError(f"not the answer of the server: {body!r:.80}")
                latencies.append(time.perf_counter() - begun)

        for _ in range(concurrency):
            workers.create_task(work())


def _watch(latencies: list[float], pace: Pace, tell: Callable[[Turn | str], None]) -> None:
    """Tell what was counted; from a thread, for a loop may be busy for seconds at a time."""
    time.sleep(pace.settle)
    before, wall, cpu = len(latencies), time.perf_counter(), time.process_time()
    time.sleep(pace.seconds)
    while len(latencies) - before < ENOUGH and time.perf_counter() - wall < PATIENCE:
        time.sleep(pace.seconds)
    counted = latencies[before:]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    tell(Turn.counted(counted, wall, cpu) if counted else f"no answer within {wall:.1f} s")


def _loop_factory(contestant: Contestant) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if not contestant.on_uvloop:
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _medians(mine: Sequence[Turn], stock: Sequence[Turn]) -> dict[str, float]:
    """Give the median figures; without the ratio, when stock httpx has failed."""
    ratios = [one.rate / measure.rate for one, measure in zip(mine, stock, strict=False)]
    return {
        "requests_per_second": statistics.median(one.rate for one in mine),
        "cpu_us_per_request": statistics.median(one.cpu for one in mine),
        "p50_ms": statistics.median(one.p50 for one in mine),
        "p99_ms": statistics.median(one.p99 for one in mine),
    } | ({"ratio_to_httpx": statistics.median(ratios)} if ratios else {})


def _told(error: BaseException) -> str:
    """Tell an error in one line, the first one of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    first, *_ = [*str(error).splitlines(), ""]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
