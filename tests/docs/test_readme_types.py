"""The Python examples of the READMEs pass a strict type check, as users' code may have to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from readmes import LANGUAGES, ROOT, read_page


def test_the_examples_pass_mypy_strict(tmp_path: Path) -> None:
    """Each one as a module of its own; needs the extra ``lint``."""
    pytest.importorskip("mypy")
    for language, name in LANGUAGES.items():
        for block in read_page(name).blocks:
            if block.language == "python":
                module = tmp_path / f"{language}_line_{block.line}.py"
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
