"""The shell commands of the pages and of CONTRIBUTING.md work."""

import ast
import itertools
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import trustme
from docs_pages import ROOT, TWINS, read_page
from local_internet import LocalInternet

_PAGES: Final = (*TWINS, *TWINS.values(), "CONTRIBUTING.md")
_SCRIPTS: Final = Path(sysconfig.get_path("scripts"))


def _commands() -> Iterator[str]:
    """Yield each command of a shell block once."""
    blocks = [block for name in _PAGES for block in read_page(name).blocks]
    lines = [
        line for block in blocks if block.language == "bash" for line in block.code.split("\n")
    ]
    yield from dict.fromkeys(re.sub(r" +#.*", "", line) for line in lines if line.strip())


_COMMANDS: Final = list(_commands())


def _starting_with(*words: str) -> list[str]:
    return [command for command in _COMMANDS if tuple(command.split()[: len(words)]) == words]


_KINDS: Final = {
    "make": _starting_with("make"),
    "install": _starting_with("pip", "install"),
    "own": _starting_with("typed-async-client"),
    "script": _starting_with("python"),
}


def test_commands_are_of_a_kind_that_a_test_executes() -> None:
    """Nobody can add a command that no test looks at, and each kind has some."""
    assert all(_KINDS.values())
    assert sorted(itertools.chain(*_KINDS.values())) == sorted(_COMMANDS)


@pytest.mark.parametrize("command", _KINDS["make"])
def test_make_commands_name_targets_that_make_can_plan(command: str) -> None:
    """``make --dry-run`` knows the target and everything it depends on."""
    make = shutil.which("make")
    assert make is not None
    _, *targets = shlex.split(command)
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    planned = subprocess.run(
        [make, "--dry-run", *targets],
        capture_output=True,
        check=False,
        cwd=ROOT,
        encoding="utf-8",
        env=own,
        timeout=25,
    )
    assert (planned.returncode, planned.stderr) == (0, "")
    assert planned.stdout


@pytest.mark.parametrize("command", _KINDS["install"])
def test_installations_name_extras_that_exist(command: str) -> None:
    """Each ``pip install`` is from the checkout, with extras that pyproject.toml declares."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    *_, what = shlex.split(command)
    found = re.fullmatch(r"\.(?:\[([\w,]+)\])?", what)
    assert found is not None
    wanted = set(found[1].split(",")) if found[1] else set()
    assert wanted <= project["optional-dependencies"].keys()


@pytest.mark.parametrize("command", _KINDS["script"])
def test_scripts_exist(command: str) -> None:
    """They measure for minutes, so they are only parsed here."""
    _, script = shlex.split(command)
    assert ast.parse((ROOT / script).read_text("utf-8")).body


@pytest.mark.parametrize("command", _KINDS["own"])
def test_commands_of_the_library_run_as_they_are(command: str, tmp_path: Path) -> None:
    """They succeed, and print something."""
    name, *arguments = shlex.split(command)
    authority = trustme.CA()
    authority_file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(authority_file))
    with LocalInternet(authority) as internet:
        done = subprocess.run(
            [str(_SCRIPTS / name), *arguments],
            capture_output=True,
            check=False,
            cwd=tmp_path,
            encoding="utf-8",
            env=internet.environment(authority_file) | {"PYTHONIOENCODING": "utf-8"},
            timeout=25,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "Traceback" not in done.stderr
