"""Compares this client with others over HTTP/2, each on one connection: requests, and large bodies.

The server is nginx with one worker, in a process of its own, or nghttpx in front of it. The clients
take turns in each round, in alternating order, and the ratio to httpx is calculated within each
round. CPU time is that of the client's process. httpx never opens more than 100 streams at a time,
so with 500 workers most of its requests wait.

Run it with ``python benchmarks/http2.py``; ``--help`` lists what makes it longer or shorter.
"""

import argparse
import asyncio
import collections
import dataclasses
import gc
import importlib.util
import statistics
import time
from collections.abc import Iterable

from h2_clients import BASELINE, CLIENTS, OURS, Calls
from h2_serving import MIB, Server, serving
from server import BODY

WARM_UP = 200
"""Requests before those that are measured."""

FASTER_AT_50 = 3.0
"""How many times as many requests per second as httpx ours should make, with 50 streams."""

GROWTH_TO_500 = 1.15
"""How many times the CPU time of a request with 50 streams one may cost with 500."""

FASTER_DOWNLOAD = 1.5
"""How many times as fast as httpx ours should read a large body."""


class MismatchError(Exception):
    """A response or a transfer isn't what it should be."""


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """The result of one turn.

    Attributes:
        speed: requests, or megabytes, per second.
        cpu: CPU microseconds per request, or per megabyte.
    """

    speed: float
    cpu: float


class Rounds:
    """The results of one kind of turn, by client, round by round."""

    def __init__(self) -> None:
        self._turns: collections.defaultdict[str, list[Measured]] = collections.defaultdict(list)

    def add(self, name: str, measured: Measured) -> None:
        """Add a turn of a client."""
        self._turns[name].append(measured)

    def turns(self, name: str) -> list[Measured]:
        """Return the turns of a client."""
        return self._turns[name]

    def drop(self, name: str) -> None:
        """Forget a client."""
        self._turns.pop(name, None)

    def names(self) -> Iterable[str]:
        """Return the clients that had turns, the fastest first."""
        return sorted(self._turns, key=self.speed, reverse=True)

    def speed(self, name: str) -> float:
        """Return the median speed of a client."""
        return statistics.median(turn.speed for turn in self._turns[name])

    def cpu(self, name: str) -> float:
        """Return the median CPU time of a client."""
        return statistics.median(turn.cpu for turn in self._turns[name])

    def faster(self, name: str) -> float:
        """Return how many times as fast as httpx a client is."""
        pairs = zip(self._turns[name], self._turns[BASELINE], strict=True)
        return statistics.median(own.speed / other.speed for own, other in pairs)

    def cheaper(self, name: str) -> float:
        """Return how many times the CPU time of a client httpx needs."""
        pairs = zip(self._turns[name], self._turns[BASELINE], strict=True)
        return statistics.median(other.cpu / own.cpu for own, other in pairs)

    def growth(self, name: str, fewer: "Rounds") -> float:
        """Return how many times the CPU time with fewer streams a client needs here."""
        pairs = zip(self._turns[name], fewer.turns(name), strict=True)
        return statistics.median(own.cpu / other.cpu for own, other in pairs)


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """What a client does in a turn.

    Attributes:
        kind: how the turn is called.
        streams: requests at the same time; 0 for a large body.
        requests: how many are measured.
    """

    kind: str
    streams: int = 0
    requests: int = 0

    async def run(self, name: str, server: Server, *, secure: bool) -> Measured:
        """Open a client, let it connect, and measure it."""
        opener, _ = CLIENTS[name]
        url = server.urls[secure]
        async with opener(server.context(), str(server.authority)) as calls:
            await _get_many(calls, f"{url}/small", WARM_UP, max(self.streams, 1))
            gc.collect()
            start, cpu = time.perf_counter(), time.process_time()
            amount = await self._work(calls, url, server.size)
            cpu, elapsed = time.process_time() - cpu, time.perf_counter() - start
        return Measured(amount / elapsed, cpu / amount * 1e6)

    async def _work(self, calls: Calls, url: str, size: int) -> float:
        """Do it; return the number of requests, or of megabytes."""
        if self.streams:
            await _get_many(calls, f"{url}/small", self.requests, self.streams)
            return self.requests
        if self.kind == "download":
            received = await calls.download(f"{url}/large")
            if received != size:
                raise MismatchError(self.kind, received)
        elif (status := await calls.upload(f"{url}/upload/1", size)) not in {201, 204}:
            raise MismatchError(self.kind, status)
        return size / 1e6


async def _get_many(calls: Calls, url: str, count: int, streams: int) -> None:
    remaining = iter(range(count))

    async def work() -> None:
        for _ in remaining:
            body = await calls.get(url)
            if body != BODY:
                raise MismatchError("GET", body)

    await asyncio.gather(*(work() for _ in range(streams)))


def measure(
    server: Server, turns: list[Turn], names: list[str], rounds: int, *, secure: bool
) -> dict[str, Rounds]:
    """Let the clients take their turns; a client that fails gets no more turns of that kind."""
    results = {turn.kind: Rounds() for turn in turns}
    failed: dict[tuple[str, str], str] = {}
    for number in range(rounds):
        for turn in turns:
            for name in names[:: 1 if number % 2 else -1]:
                if (turn.kind, name) in failed:
                    continue
                try:
                    measured = asyncio.run(turn.run(name, server, secure=secure))
                except Exception as error:  # noqa: BLE001 - of any library; it is told
                    failed[turn.kind, name] = f"{type(error).__name__}: {error}"
                else:
                    results[turn.kind].add(name, measured)
    for (kind, name), reason in failed.items():
        print(f"{name} failed, {kind}: {reason}")
        results[kind].drop(name)
    return results


def show(results: dict[str, Rounds], unit: str) -> None:
    """Print a table for each kind of turn, the fastest client first."""
    for kind, rounds in results.items():
        print(f"\n{kind:24}{unit + '/s':>14}{'CPU us/' + unit:>18}{'x httpx':>10}{'CPU':>7}")
        for name in rounds.names():
            print(
                f"  {name:22}{rounds.speed(name):14.0f}{rounds.cpu(name):18.0f}"
                f"{rounds.faster(name):10.2f}{rounds.cheaper(name):7.2f}"
            )


def judge(requests: dict[str, Rounds], bodies: dict[str, Rounds]) -> None:
    """Print whether the aims hold, those that were measured."""
    print()
    for kind, results, least in (
        ("50 streams", requests, FASTER_AT_50),
        ("download", bodies, FASTER_DOWNLOAD),
    ):
        if kind in results:
            ratio = results[kind].faster(OURS)
            cheaper = results[kind].cheaper(OURS)
            verdict = "holds" if ratio >= least else "doesn't hold"
            by_cpu = f"{cheaper:.2f} x by CPU time"
            print(f"{kind}: {ratio:.2f} x httpx, {by_cpu}; the aim of at least {least} {verdict}")
    if {"50 streams", "500 streams"} <= requests.keys():
        growth = requests["500 streams"].growth(OURS, requests["50 streams"])
        verdict = "holds" if growth <= GROWTH_TO_500 else "doesn't hold"
        print(
            f"CPU time from 50 to 500 streams: x {growth:.2f}; the aim of {GROWTH_TO_500} {verdict}"
        )


def available(chosen: list[str]) -> list[str]:
    """Return the clients that can be compared; say which can't."""
    names = []
    for name in dict.fromkeys((OURS, BASELINE, *chosen)):
        if importlib.util.find_spec(CLIENTS[name][1]) is None:
            print(f"{name} isn't installed")
        else:
            names.append(name)
    return names


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nghttpx", action="store_true", help="put nghttpx in front of nginx")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each client")
    parser.add_argument("--requests", type=int, default=2000, help="in each turn")
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 50, 500])
    parser.add_argument("--size", type=int, default=100, help="mebibytes of a large body; 0: none")
    parser.add_argument("--over", nargs="+", choices=["plain", "tls"], default=["plain", "tls"])
    parser.add_argument(
        "--only",
        nargs="+",
        choices=list(CLIENTS),
        default=list(CLIENTS),
        metavar="NAME",
        help=f"ours and httpx are always included: {'; '.join(CLIENTS)}",
    )
    return parser.parse_args()


def main() -> None:
    """Measure over each of the two, and print the results and whether the aims hold."""
    options = arguments()
    names = available(options.only)
    requests = [Turn(f"{count} streams", count, options.requests) for count in options.streams]
    bodies = [Turn("download"), Turn("upload")] if options.size else []
    with serving(options.size * MIB, through_nghttpx=options.nghttpx) as server:
        for over in options.over:
            print(f"\n{server.name}, {'over TLS' if over == 'tls' else 'prior knowledge'}")
            secure = over == "tls"
            small = measure(server, requests, names, options.rounds, secure=secure)
            show(small, "request")
            large = measure(server, bodies, names, options.rounds, secure=secure)
            show(large, "MB")
            judge(small, large)


if __name__ == "__main__":
    main()
