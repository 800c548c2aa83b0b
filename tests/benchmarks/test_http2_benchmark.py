"""The comparison over HTTP/2 runs, and says whether its aims hold."""

import os
import re
import shutil
from pathlib import Path

import pytest
from benchmark_kit import BENCHMARKS, run_benchmark


def _has(program: str) -> bool:
    return shutil.which(program, path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin") is not None


@pytest.mark.bulk
@pytest.mark.skipif(not _has("nginx"), reason="nginx isn't installed")
def test_a_short_comparison_has_a_row_for_each_client(tmp_path: Path) -> None:
    """Ours and httpx, in each of the tables: with one stream and with two, and large bodies."""
    options = ["--only=httpx", "--rounds=1", "--requests=10", "--size=1", "--over=plain"]
    options += ["--nghttpx"] if _has("nghttpx") else []
    script = str(BENCHMARKS / "http2.py")
    printed = run_benchmark(script, *options, "--streams", "1", "2", cwd=tmp_path)
    for row in ("typed_async_client", "httpx"):
        assert len(re.findall(rf"^  {row} +\d", printed, re.MULTILINE)) == 4
    assert "failed" not in printed
    aim = r"^download: [0-9.]+ x httpx, .*; the aim of at least 1.5 "
    assert re.search(aim, printed, re.MULTILINE)
