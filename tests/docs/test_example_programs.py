"""The programs in ``examples/`` run as they are, and print what they should."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

PRINTED = {
    "asgi_templates": [
        "<h1>Hello Ada</h1>",
        "template: index.html",
        "name: Ada",
    ],
    "connect_tunnel": [
        "FIRST LINE",
        "SECOND LINE",
        "after closing: 0 connections in use",
    ],
    "per_domain": [
        "flaky host: 'at last' after 3 attempts",
        "other host: refused, not retried",
    ],
    "sync_client": [
        "retry at attempt 1",
        "success at attempt 2",
        "'hello' after 2 attempts",
    ],
    "websocket": [
        "HELLO",
        "while open: 1 connection in use",
        "after closing: 0 connections in use",
    ],
}


def test_every_program_is_run() -> None:
    """A new one needs a row above."""
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == sorted(PRINTED)


@pytest.mark.parametrize("name", PRINTED)
def test_programs_print_what_they_should(name: str) -> None:
    """In their own interpreter, where every warning is an error."""
    program = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.stdout.splitlines(), ran.stderr, ran.returncode) == (PRINTED[name], "", 0)
