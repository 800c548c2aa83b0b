"""Requests per second of this client and its peers, in one run, in turn, on one local server.

The server is a process of its own. The contestants take turns in each round, in the other order
every other round, so that a machine that changes its speed changes it for all of them; the ratio to
stock httpx is taken within each round.

Run it with ``make bench``. It writes ``build/compare.json``; what it prints is the median of the
rounds. ``chart.py`` draws what it writes.
"""

import argparse
import dataclasses
import json
import math
import os
import pathlib
import platform
from typing import Any

from contestants import STOCK, Contestant, available, versions
from serving import Server, serving
from turns import Figures, Pace, compare

TARGET = pathlib.Path("build/compare.json")


def machine() -> dict[str, str]:
    """Tell what this machine is, in general terms."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return {
        "cpu": _cpu(),
        "cores": f"{os.cpu_count()} cores",
        "python": python,
        "system": _system(),
    }


def _cpu() -> str:
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return f"{platform.system()} {platform.release()}"


def show(concurrency: int, figures: Figures, contestants: dict[str, Contestant]) -> None:
    """Print one table, the fastest first, those that failed last."""
    print(f"\n{f'{concurrency} concurrent':36}", end="")
    print("requests/s  CPU us    p50 ms    p99 ms  x httpx")
    for name, row in sorted(
        figures.items(), key=lambda item: -item[1].get("requests_per_second", 0)
    ):
        if "error" in row:
            print(f"{name:36}failed: {row['error']}")
            continue
        print(
            f"{name:36}{row['requests_per_second']:10.0f}{row['cpu_us_per_request']:8.0f}"
            f"{row['p50_ms']:10.2f}{row['p99_ms']:10.2f}"
            f"{row.get('ratio_to_httpx', math.nan):9.2f}  {contestants[name].says}"
        )


def report(server: Server, pace: Pace, contestants: dict[str, Contestant]) -> dict[str, Any]:
    """Give all that a reader of the figures must know, without the figures."""
    return {
        "machine": machine(),
        "server": server.name,
        "pace": dataclasses.asdict(pace),
        "versions": versions(),
        "contestants": {
            name: {"says": one.says, "retries": one.retries, "is_ours": one.is_ours}
            for name, one in contestants.items()
        },
    }


def arguments() -> argparse.Namespace:
    """Read the command line."""
    names = list(available())
    parser = argparse.ArgumentParser(description="Requests per second against the peers.")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contestant")
    parser.add_argument("--settle", type=float, default=0.8, help="seconds before a turn counts")
    parser.add_argument("--seconds", type=float, default=0.6, help="seconds while it counts")
    parser.add_argument("--concurrent", type=int, nargs="+", default=[1, 50, 500])
    parser.add_argument(
        "--only",
        nargs="+",
        default=names,
        choices=names,
        metavar="NAME",
        help=f"httpx plays in any case: {'; '.join(names)}",
    )
    return parser.parse_args()


def main() -> None:
    """Compare at each concurrency, print, and write the figures down."""
    options = arguments()
    contestants = {name: one for name, one in available().items() if name in {STOCK, *options.only}}
    pace = Pace(options.rounds, options.settle, options.seconds)
    with serving() as server:
        written = report(server, pace, contestants) | {"figures": {}}
        print(", ".join(written["machine"].values()) + f"; {server.name}")
        for concurrency in options.concurrent:
            figures = compare(list(contestants.values()), server.url, concurrency, pace)
            show(concurrency, figures, contestants)
            written["figures"][str(concurrency)] = figures
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(written, indent=2) + "\n")
    print(f"\nwritten to {TARGET}")


if __name__ == "__main__":
    main()
