"""Compares how many requests clients rescue from one failing server, and at what cost to it.

In the first part single requests fail, the server restarts once, and throttles for a moment. In the
second it is down for a while, and its clients go on sending. All clients meet the same
faults at the same times; each turn has a new server and a new client, in processes of their own.

Run it with ``make rescue``. It prints the tables of docs/rescue.md, draws its chart, and writes the
figures to ``build/rescue.json``.
"""

import argparse
import json
import math
import pathlib
from collections.abc import Callable
from typing import Any

from compare import machine
from rescuing.charts import draw
from rescuing.clients import RESCUERS, Rescuer, missing
from rescuing.faults import Plan
from rescuing.tables import FAULTS, OUTAGE, Table, rescued, survived
from rescuing.turns import run_turn

OUTPUT = pathlib.Path("build/rescue.json")

Row = dict[str, Any]


def faults_plan(options: argparse.Namespace) -> Plan:
    """Return the plan of the first part, with a restart and a throttled moment."""
    length = options.requests / options.rate
    return Plan(
        seed=options.seed,
        requests=options.requests,
        rate=options.rate,
        refused=() if options.steady else ((length * 0.3, length * 0.3 + 0.3),),
        throttled=() if options.steady else ((length * 0.7, length * 0.7 + 0.8),),
    )


def outage_plan(options: argparse.Namespace) -> Plan:
    """Return the plan of the second part, in which nothing else goes wrong."""
    begin, end = options.before, options.before + options.outage
    return Plan(
        seed=options.seed,
        requests=math.ceil((end + options.patience) * options.outage_rate),
        rate=options.outage_rate,
        has_faults=False,
        outage=(begin, end),
    )


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    names = [rescuer.name for rescuer in RESCUERS]
    parser = argparse.ArgumentParser(description="Compare what clients make of a failing server.")
    parser.add_argument("--seed", type=int, default=1, help="of the faults")
    parser.add_argument("--requests", type=int, default=2000, help="of the first part")
    parser.add_argument("--rate", type=float, default=100.0, help="requests per second")
    parser.add_argument("--timeout", type=float, default=1.0, help="seconds of each client")
    parser.add_argument("--steady", action="store_true", help="no restart, never throttled")
    parser.add_argument("--outage", type=float, default=10.0, help="seconds; 0 for no second part")
    parser.add_argument(
        "--before",
        type=float,
        default=12.0,
        help="seconds before it; less than the window of a circuit breaker flatters its client",
    )
    parser.add_argument(
        "--outage-rate",
        type=float,
        default=50.0,
        help="requests per second; three times as many mustn't be more than a client can send",
    )
    parser.add_argument("--patience", type=float, default=20.0, help="seconds after the outage")
    parser.add_argument("--chart", type=pathlib.Path, help="the SVG to draw")
    parser.add_argument(
        "--only", nargs="+", default=names, choices=names, metavar="NAME", help="; ".join(names)
    )
    return parser.parse_args()


def turns(rescuers: list[Rescuer], table: Table, run: Callable[[Rescuer], Row]) -> dict[str, Row]:
    """Let each client have its turn; one that can't run has an error instead of results."""
    rows: dict[str, Row] = {}
    print(table.head(), flush=True)
    for rescuer in rescuers:
        absent = missing(rescuer)
        try:
            row = {"error": f"{', '.join(absent)} isn't installed"} if absent else run(rescuer)
        except RuntimeError as error:
            row = {"error": str(error)}
        rows[rescuer.name] = row
        print(table.line(rescuer.name, row), flush=True)
    return rows


def run_faults(options: argparse.Namespace, rescuers: list[Rescuer]) -> dict[str, Row]:
    """Run the first part."""
    plan = faults_plan(options)
    return turns(
        rescuers, FAULTS, lambda rescuer: rescued(run_turn(rescuer, plan, options.timeout), plan)
    )


def run_outage(options: argparse.Namespace, rescuers: list[Rescuer]) -> dict[str, Row]:
    """Run the second part."""
    plan = outage_plan(options)
    return turns(
        rescuers,
        OUTAGE,
        lambda rescuer: survived(run_turn(rescuer, plan, options.timeout, options.patience), plan),
    )


def main() -> None:
    """Run both parts; print, write and draw the results."""
    options = arguments()
    rescuers = [rescuer for rescuer in RESCUERS if rescuer.name in options.only]
    plan = faults_plan(options)
    possible = sum(map(plan.can_be_answered, range(plan.requests)))
    print(f"{plan.requests} requests, of which {possible} can be answered in three attempts")
    print("without ever risking to execute a POST without a key twice\n")
    report: dict[str, Any] = {
        "machine": machine(),
        "options": {name: value for name, value in vars(options).items() if name != "chart"},
        "possible": possible,
        "clients": {
            each.name: {"description": each.description, "is_ours": each.is_ours}
            for each in rescuers
        },
        "faults": run_faults(options, rescuers),
    }
    if options.outage:
        print()
        report["outage"] = run_outage(options, rescuers)
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nwritten to {OUTPUT}")
    if options.chart is not None:
        options.chart.write_text(draw(report), "utf-8")


if __name__ == "__main__":
    main()
