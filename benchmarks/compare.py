"""Compares the requests per second of this client and of other clients, on one local server.

The server runs in a separate process. In each round the clients take turns, in alternating order,
so that changes in the machine's speed affect all of them; the ratio to stock httpx is calculated
within each round.

Run it with ``make bench``. It prints the medians of the rounds and writes them to
``build/compare.json``, which ``chart.py`` draws.
"""

import argparse
import dataclasses
import json
import math
import os
import pathlib
import platform
from typing import Any

from clients import BASELINE, Client, available, versions
from serving import Server, serving
from turns import Results, Schedule, compare

OUTPUT = pathlib.Path("build/compare.json")


def machine() -> dict[str, str]:
    """Describe this machine in general terms."""
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


def show(concurrency: int, results: Results, clients: dict[str, Client]) -> None:
    """Print one table, with the fastest client first and failed ones last."""
    print(f"\n{f'{concurrency} concurrent':36}", end="")
    print("requests/s  CPU us    p50 ms    p99 ms  x httpx")
    for name, row in sorted(
        results.items(), key=lambda item: -item[1].get("requests_per_second", 0)
    ):
        if "error" in row:
            print(f"{name:36}failed: {row['error']}")
            continue
        print(
            f"{name:36}{row['requests_per_second']:10.0f}{row['cpu_us_per_request']:8.0f}"
            f"{row['p50_ms']:10.2f}{row['p99_ms']:10.2f}"
            f"{row.get('ratio_to_httpx', math.nan):9.2f}  {clients[name].description}"
        )


def metadata(server: Server, schedule: Schedule, clients: dict[str, Client]) -> dict[str, Any]:
    """Return what is needed to interpret the results, without the results themselves."""
    return {
        "machine": machine(),
        "server": server.name,
        "schedule": dataclasses.asdict(schedule),
        "versions": versions(),
        "clients": {
            name: {
                "description": client.description,
                "retries": client.retries,
                "is_ours": client.is_ours,
            }
            for name, client in clients.items()
        },
    }


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    names = list(available())
    parser = argparse.ArgumentParser(description="Compare requests per second with other clients.")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each client")
    parser.add_argument(
        "--settle", type=float, default=0.8, help="seconds of a turn before counting"
    )
    parser.add_argument("--seconds", type=float, default=0.6, help="seconds of counting")
    parser.add_argument("--concurrent", type=int, nargs="+", default=[1, 50, 500])
    parser.add_argument(
        "--only",
        nargs="+",
        default=names,
        choices=names,
        metavar="NAME",
        help=f"clients to compare; httpx is always included: {'; '.join(names)}",
    )
    return parser.parse_args()


def main() -> None:
    """Compare the clients at each concurrency, and print and write the results."""
    options = arguments()
    selected = {BASELINE, *options.only}
    clients = {name: client for name, client in available().items() if name in selected}
    schedule = Schedule(options.rounds, options.settle, options.seconds)
    with serving() as server:
        report = metadata(server, schedule, clients) | {"results": {}}
        print(", ".join(report["machine"].values()) + f"; {server.name}")
        for concurrency in options.concurrent:
            results = compare(list(clients.values()), server.url, concurrency, schedule)
            show(concurrency, results, clients)
            report["results"][str(concurrency)] = results
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nwritten to {OUTPUT}")


if __name__ == "__main__":
    main()
