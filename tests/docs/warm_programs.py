"""Runs many small programs, each in its own process, without importing the package every time.

This file is also the program of the process that imports it: ``python warm_programs.py``. It reads
a batch of programs per line, forks once for each, and answers with their exit codes. A program
starts in an empty ``__main__`` with its own folder, environment and output, and its process ends as
any interpreter does. It finds nothing imported beyond what ``import typed_async_client`` imports.
"""

import builtins
import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Self

__all__ = ["Ended", "Program", "WarmInterpreter"]

_AT_ONCE: Final = 4
"""Programs that run side by side; most of their time they wait."""

_SECONDS: Final = 50
"""How long a program may take; after that SIGALRM ends it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Program:
    """A file to run, in the folder it is in, and its environment."""

    file: Path
    environment: dict[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """What a program printed, and its exit code: negative if a signal ended it."""

    out: str
    err: str
    code: int


class WarmInterpreter:
    """A process that has imported the package, and forks to run a program. Use it in ``with``.

    Args:
        options: of the interpreter, such as ``-W error``; they hold for all its programs.
    """

    def __init__(self, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *options, __file__],
            encoding="utf-8",
            env=os.environ | {"PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def run(self, programs: Iterable[Program]) -> list[Ended]:
        """Run programs side by side until they have all ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        batch = [(str(program.file), program.environment) for program in programs]
        self._process.stdin.write(json.dumps(batch) + "\n")
        self._process.stdin.flush()
        codes = json.loads(self._process.stdout.readline())
        return [
            Ended(
                out=_output(file, "out").read_text("utf-8"),
                err=_output(file, "err").read_text("utf-8"),
                code=code,
            )
            for (file, _), code in zip(batch, codes, strict=True)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # it ends at the end of its input


def _output(file: str, stream: str) -> Path:
    return Path(f"{file}.{stream}")


def _serve() -> str:
    """Run batches until there are no more; in a forked process, return the program to run."""
    for line in sys.stdin:
        batch: list[tuple[str, dict[str, str]]] = json.loads(line)
        numbers: dict[int, int] = {}  # of the programs that run, by process
        codes = [0] * len(batch)
        for number, (file, environment) in enumerate(batch):
            if len(numbers) == _AT_ONCE:
                _wait_for_one(numbers, codes)
            if (process := os.fork()) == 0:
                _become(file, environment)
                return file
            numbers[process] = number
        while numbers:
            _wait_for_one(numbers, codes)
        print(json.dumps(codes), flush=True)  # noqa: T201 - it is read by the process that started us
    raise SystemExit


def _wait_for_one(numbers: dict[int, int], codes: list[int]) -> None:
    process, status = os.wait()
    codes[numbers.pop(process)] = os.waitstatus_to_exitcode(status)


def _become(file: str, environment: dict[str, str]) -> None:
    """Give this process what the interpreter would have given it for a program."""
    os.chdir(Path(file).parent)
    os.environ.clear()
    os.environ.update(environment)
    files = (Path(os.devnull), _output(file, "out"), _output(file, "err"))
    for descriptor, (path, mode) in enumerate(zip(files, ("rb", "wb", "wb"), strict=True)):
        with path.open(mode) as opened:
            os.dup2(opened.fileno(), descriptor)
    sys.argv = [file]
    sys.path[0] = str(Path(file).parent)
    signal.alarm(_SECONDS)


def _run(file: str, namespace: dict[str, Any]) -> None:
    """Run a program in the namespace of ``__main__``, which no longer has anything of this file."""
    code = compile(Path(file).read_bytes(), file, "exec")
    empty: dict[str, Any] = dict.fromkeys(("__doc__", "__package__", "__spec__"))
    empty |= {"__name__": "__main__", "__file__": file, "__builtins__": builtins}
    namespace.clear()
    namespace.update(empty)
    exec(code, namespace)


if __name__ == "__main__":
    import typed_async_client  # noqa: F401 - for the forked processes

    _run(_serve(), globals())
