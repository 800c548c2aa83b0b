"""The comparison runs, writes its results, and tolerates clients that fail."""

import json
from pathlib import Path
from typing import Any, Final

from benchmark_kit import BENCHMARKS, run_benchmark

_SCHEDULE: Final = ("--rounds", "1", "--settle", "0.3", "--seconds", "0.7")

_WITH_FAILURES: Final = """
import contextlib, json
from clients import Client, available
from serving import serving
from turns import Schedule, compare

@contextlib.asynccontextmanager
async def cannot_open(size):
    raise OSError("no\\nclient")
    yield

@contextlib.asynccontextmanager
async def returns_nothing(size):
    async def get(url):
        return b""
    yield get

clients = [
    Client("cannot open", "", cannot_open),
    Client("returns nothing", "", returns_nothing),
    available()["httpx"],
]
with serving() as server:
    print(json.dumps(compare(clients, server.url, 2, Schedule(rounds=2, settle=0.3, seconds=0.7))))
"""


def test_the_comparison_writes_what_it_prints(tmp_path: Path) -> None:
    """Here for httpx, which is always included, and for this client; rows have descriptions."""
    ours = "typed_async_client, h11"
    script = str(BENCHMARKS / "compare.py")
    printed = run_benchmark(
        script, *_SCHEDULE, "--concurrent", "1", "2", "--only", ours, cwd=tmp_path
    )
    report: dict[str, Any] = json.loads((tmp_path / "build" / "compare.json").read_text("utf-8"))
    assert list(report["results"]) == ["1", "2"]
    for results in report["results"].values():
        assert set(results) == {"httpx", ours}
        assert results["httpx"]["ratio_to_httpx"] == 1.0
        assert results[ours]["ratio_to_httpx"] > 0
    assert report["clients"][ours]["description"] in printed
    assert {"httpx", "httpcore"} <= set(report["versions"])


def test_a_client_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    """Its error is reported in one line; returning no body counts as a failure."""
    results = json.loads(run_benchmark("-c", _WITH_FAILURES, cwd=tmp_path))
    assert results["cannot open"] == {"error": "OSError: no"}
    assert results["returns nothing"] == {"error": "ValueError: unexpected body: b''"}
    assert results["httpx"]["requests_per_second"] > 0
