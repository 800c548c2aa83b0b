"""The comparison plays, writes down what it counted, and survives a contestant that fails."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

_BENCHMARKS: Final = Path(__file__).parents[2] / "benchmarks"
_PACE: Final = ("--rounds", "1", "--settle", "0.3", "--seconds", "0.7")

_WITH_TROUBLE: Final = """
import contextlib, json
from contestants import Contestant, available
from serving import serving
from turns import Pace, compare

@contextlib.asynccontextmanager
async def cannot_open(size):
    raise OSError("no\\nclient")
    yield

@contextlib.asynccontextmanager
async def reads_nothing(size):
    async def get(url):
        return b""
    yield get

players = [
    Contestant("cannot open", "", cannot_open),
    Contestant("reads nothing", "", reads_nothing),
    available()["httpx"],
]
with serving() as server:
    print(json.dumps(compare(players, server.url, 2, Pace(rounds=2, settle=0.3, seconds=0.7))))
"""


def _run(*command: str, cwd: Path) -> str:
    path = os.pathsep.join(map(str, (_BENCHMARKS, _BENCHMARKS.parent)))
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        check=False,
        cwd=cwd,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": path},
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_comparison_writes_down_what_it_prints(tmp_path: Path) -> None:
    """Here httpx, which always plays, and this client; each row says what it does."""
    ours = "typed_async_client, h11"
    script = str(_BENCHMARKS / "compare.py")
    printed = _run(script, *_PACE, "--concurrent", "1", "2", "--only", ours, cwd=tmp_path)
    report: dict[str, Any] = json.loads((tmp_path / "build" / "compare.json").read_text("utf-8"))
    assert list(report["figures"]) == ["1", "2"]
    for figures in report["figures"].values():
        assert set(figures) == {"httpx", ours}
        assert figures["httpx"]["ratio_to_httpx"] == 1.0
        assert figures[ours]["ratio_to_httpx"] > 0
    assert report["contestants"][ours]["says"] in printed
    assert {"httpx", "httpcore"} <= set(report["versions"])


def test_a_contestant_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    """Its error is told in one line; to answer without the body is to fail."""
    figures = json.loads(_run("-c", _WITH_TROUBLE, cwd=tmp_path))
    assert figures["cannot open"] == {"error": "OSError: no"}
    assert figures["reads nothing"] == {"error": "ValueError: not the answer of the server: b''"}
    assert figures["httpx"]["requests_per_second"] > 0
