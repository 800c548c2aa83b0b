"""Runs the programs in ``benchmarks``, as a user would."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

BENCHMARKS: Final = Path(__file__).parents[2] / "benchmarks"


def run_benchmark(*command: str, cwd: Path) -> str:
    """Run Python with that command line; return what it prints, which is no complaint.

    Args:
        *command: the script and its options, or ``-c`` and a program.
        cwd: where it writes its results.
    """
    path = os.pathsep.join(map(str, (BENCHMARKS, BENCHMARKS.parent)))
    completed = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        check=False,
        cwd=cwd,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": path},
        timeout=120,
    )
    assert (completed.returncode, completed.stderr) == (0, "")
    return completed.stdout
