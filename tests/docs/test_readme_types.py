"""The Python examples of all pages pass a strict type check, as users' code may have to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from docs_pages import ROOT, TWINS, WITH_EXAMPLES, read_page


def test_the_examples_pass_mypy_strict(tmp_path: Path) -> None:
    """Each one as its own module; needs the extra ``lint``."""
    pytest.importorskip("mypy")
    for name in sorted(WITH_EXAMPLES):
        for page in (name, TWINS[name]):
            blocks = [block for block in read_page(page).blocks if block.language == "python"]
            assert blocks, page
            for block in blocks:
                stem = "".join(letter if letter.isalnum() else "_" for letter in page)
                module = tmp_path / f"{stem}_line_{block.line}.py"
                module.write_text(block.code, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(tmp_path)],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        encoding="utf-8",
        env=os.environ | {"MYPYPATH": str(ROOT)},
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
