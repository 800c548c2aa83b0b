"""Simulates what the policies do in bad times, on a virtual clock.

Run it with ``make simulate``. It prints the figures of docs/simulations.md and draws its charts, the
same each time: the random numbers have a seed, and no time is measured.
"""

import argparse
import pathlib

from simulation.charts import draw_lines
from simulation.reports import REPORTS


def main() -> None:
    """Run the simulations one after the other."""
    parser = argparse.ArgumentParser(description="Simulate the policies on a virtual clock.")
    parser.add_argument("--charts", type=pathlib.Path, default="docs", help="folder of the charts")
    parser.add_argument("--only", nargs="+", default=list(REPORTS), choices=REPORTS, metavar="NAME")
    options = parser.parse_args()
    for name in options.only:
        report = REPORTS[name]()
        chart = options.charts / f"simulation-{name}.svg"
        chart.write_text(draw_lines(report.chart), "utf-8")
        print(f"{report.chart.title} ({chart})\n\n{report.table()}\n")


if __name__ == "__main__":
    main()
