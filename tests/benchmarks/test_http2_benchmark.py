"""The comparison over HTTP/2 runs, and says whether its aims hold."""

import os
import re
import shutil
from pathlib import Path

import pytest
from benchmark_kit import BENCHMARKS, run_benchmark

PATH = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"


@pytest.mark.skipif(shutil.which("nginx", path=PATH) is None, reason="nginx isn't installed")
@pytest.mark.parametrize("through", ["nginx", "nghttpx"])
def test_a_short_comparison_has_a_row_for_each_client(through: str, tmp_path: Path) -> None:
    """Ours and httpx, in each of the tables: with one stream and with two, and large bodies."""
    options = ["--only=httpx", "--rounds=1", "--requests=10", "--size=1", "--over=plain"]
    options += ["--streams", "1", "2"]
    if through == "nghttpx":
        if shutil.which(through, path=PATH) is None:
            pytest.skip("nghttpx isn't installed")
        options.append("--nghttpx")
    printed = run_benchmark(str(BENCHMARKS / "http2.py"), *options, cwd=tmp_path)
    assert through in printed
    for row in ("typed_async_client", "httpx"):
        assert len(re.findall(rf"^  {row} +\d", printed, re.MULTILINE)) == 4
    assert "failed" not in printed
    assert re.search(r"^download: [0-9.]+ x httpx; the aim of at least 1.5 ", printed, re.MULTILINE)
