"""Requests per second of this client and its peers, in one run, in turn, on one local server.

The server is a process of its own. The contestants take turns in each round, so that a machine that
changes its speed changes it for all of them; the ratio to stock httpx is taken within each round.

Run it with ``make bench``. It writes ``build/compare.json``; what it prints is the median.
"""

import argparse
import asyncio
import contextlib
import json
import pathlib
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from contestants import STOCK, Contestant, available

HERE = pathlib.Path(__file__).parent
SECONDS = 0.7


class Round:
    """What one contestant did in one round."""

    def __init__(self, requests: int, wall: float, cpu: float, latencies: list[float]) -> None:
        self.rate = requests / wall
        self.cpu = cpu / requests * 1e6
        ordered = sorted(latencies)
        self.p50 = ordered[len(ordered) // 2] * 1e3
        self.p99 = ordered[len(ordered) * 99 // 100] * 1e3


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Start the server, and give its address."""
    process = subprocess.Popen(  # noqa: S603 - our own file
        [sys.executable, str(HERE / "server.py")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None  # noqa: S101 - it was asked for
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/items/1"
    finally:
        process.terminate()
        process.wait()


async def play(contestant: Contestant, url: str, concurrency: int) -> Round:
    """Let one contestant make requests for a while, with that many workers."""
    latencies: list[float] = []
    async with contestant(concurrency) as get:
        await asyncio.gather(*(get(url) for _ in range(concurrency)))  # connects
        end = time.perf_counter() + SECONDS

        async def work() -> None:
            while (begun := time.perf_counter()) < end:
                await get(url)
                latencies.append(time.perf_counter() - begun)

        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(work() for _ in range(concurrency)))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Round(len(latencies), wall, cpu, latencies)


def compare(url: str, concurrency: int, rounds: int) -> dict[str, dict[str, float]]:
    """Let all contestants take turns; give the median figures of each."""
    contestants = available()
    played: dict[str, list[Round]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            played[name].append(asyncio.run(play(contestant, url, concurrency)))
    return {
        name: {
            "requests_per_second": statistics.median(one.rate for one in mine),
            "cpu_us_per_request": statistics.median(one.cpu for one in mine),
            "p50_ms": statistics.median(one.p50 for one in mine),
            "p99_ms": statistics.median(one.p99 for one in mine),
            "ratio_to_httpx": statistics.median(
                one.rate / stock.rate for one, stock in zip(mine, played[STOCK], strict=True)
            ),
        }
        for name, mine in played.items()
    }


def show(concurrency: int, figures: dict[str, dict[str, float]]) -> None:
    """Print one table."""
    print(f"\n{concurrency} concurrent      requests/s   CPU us   p50 ms   p99 ms   x httpx")
    for name, row in sorted(figures.items(), key=lambda item: -item[1]["requests_per_second"]):
        print(
            f"{name:22}{row['requests_per_second']:9.0f}{row['cpu_us_per_request']:9.0f}"
            f"{row['p50_ms']:9.2f}{row['p99_ms']:9.2f}{row['ratio_to_httpx']:10.2f}"
        )


def main() -> None:
    """Compare at each concurrency, print, and write the figures down."""
    parser = argparse.ArgumentParser(description="Requests per second against the peers.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrent", type=int, nargs="*", default=[1, 50, 500])
    options = parser.parse_args()
    results: dict[str, dict[str, dict[str, float]]] = {}
    with server() as url:
        for concurrency in options.concurrent:
            figures = compare(url, concurrency, options.rounds)
            show(concurrency, figures)
            results[str(concurrency)] = figures
    target = pathlib.Path("build/compare.json")
    target.parent.mkdir(exist_ok=True)
    machine = f"{platform.python_implementation()} {platform.python_version()}, {platform.system()}"
    target.write_text(json.dumps({"machine": machine, "figures": results}, indent=2) + "\n")
    print(f"\n{machine}; written to {target}")


if __name__ == "__main__":
    main()
