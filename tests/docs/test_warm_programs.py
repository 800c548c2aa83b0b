"""A program that is forked behaves as one that its own interpreter runs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from warm_programs import Ended, Program, WarmInterpreter

_OPTIONS: Final = ("-W", "error", "-X", "dev")

_PROGRAMS: Final = {
    "names": "print([name for name in vars() if not name.startswith('__')], __doc__, __package__)",
    "modules": """
import typed_async_client, sys
print([name for name in ("typed_async_client.testing", "aiohttp", "fastapi") if name in sys.modules])
""",
    "surroundings": """
import os, sys
print(sys.argv, sys.path[0], os.getcwd(), os.environ.get("SEEN"), os.environ.get("HOME"))
print(__name__, __file__, sys.stdin.read(), file=sys.stderr)
""",
    "another module": "import neighbor; print(neighbor.WORDS)",
    "a name that isn't imported": """
try:
    asyncio
except NameError as error:
    print(error)
""",
    "an exit code": "import sys; print('at last'); sys.exit(3)",
    "a message": "import sys; sys.exit('no')",
    "a leak": "import socket; leaked = socket.socket(); del leaked",
    "a leak at the end": """
import atexit, socket
leaked = socket.socket()
atexit.register(lambda: print("ending"))
""",
    "a signal": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.fixture(name="interpreter", scope="module")
def start_interpreter() -> Iterator[WarmInterpreter]:
    """Start the process that runs the programs."""
    with WarmInterpreter(*_OPTIONS) as interpreter:
        yield interpreter


def _write(source: str, folder: Path) -> Program:
    program = folder / "program.py"
    program.write_text(source, "utf-8")
    (folder / "neighbor.py").write_text("WORDS = 'from the same folder'", "utf-8")
    kept = {name: value for name, value in os.environ.items() if name != "HOME"}
    return Program(program, kept | {"PYTHONIOENCODING": "utf-8", "SEEN": "caf\xe9"})


@pytest.mark.parametrize("source", _PROGRAMS.values(), ids=_PROGRAMS)
def test_a_program_does_what_it_does_on_its_own(
    source: str, interpreter: WarmInterpreter, tmp_path: Path
) -> None:
    """It prints the same, complains of the same, and has the same exit code."""
    program = _write(source, tmp_path)
    alone = subprocess.run(
        [sys.executable, *_OPTIONS, str(program.file)],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        encoding="utf-8",
        env=program.environment,
        stdin=subprocess.DEVNULL,
        timeout=50,
    )
    assert interpreter.run([program]) == [Ended(alone.stdout, alone.stderr, alone.returncode)]


def test_a_traceback_ends_with_the_lines_of_the_program(
    interpreter: WarmInterpreter, tmp_path: Path
) -> None:
    """As a reader of a failed test needs them."""
    program = _write("def fail():\n    raise ValueError('why')\nfail()\n", tmp_path)
    (ended,) = interpreter.run([program])
    assert (ended.out, ended.code) == ("", 1)
    assert f'File "{program.file}", line 2, in fail' in ended.err
    assert ended.err.endswith("ValueError: why\n")


def test_programs_do_not_see_each_other(interpreter: WarmInterpreter, tmp_path: Path) -> None:
    """More than run at once: each one has its own state, and its outcome is in its place."""
    programs = []
    for number in range(6):
        folder = tmp_path / str(number)
        folder.mkdir()
        source = f"""
import os, sys, typed_async_client
print(hasattr(typed_async_client, "left"), os.environ.get("LEFT"))
typed_async_client.left = os.environ["LEFT"] = "{number}"
sys.exit({number})
"""
        programs.append(_write(source, folder))
    ended = interpreter.run(programs)
    assert ended == [Ended("False None\n", "", number) for number in range(6)]
