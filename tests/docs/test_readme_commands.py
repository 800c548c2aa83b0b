"""The shell commands of the READMEs and of CONTRIBUTING.md work."""

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
from local_internet import LocalInternet
from readmes import ROOT, read_page

_PAGES: Final = ("README.md", "README.fr.md", "CONTRIBUTING.md")
_SCRIPTS: Final = Path(sysconfig.get_path("scripts"))


def _commands() -> Iterator[str]:
    """Give each command of a shell block once."""
    blocks = [block for name in _PAGES for block in read_page(name).blocks]
    lines = [
        line for block in blocks if block.language == "bash" for line in block.code.split("\n")
    ]
    yield from dict.fromkeys(re.sub(r" +#.*", "", line) for line in lines if line.strip())


_COMMANDS: Final = list(_commands())


def _starting_with(*words: str) -> list[str]:
    return [command for command in _COMMANDS if tuple(command.split()[: len(words)]) == words]


def test_every_command_is_of_a_kind_that_a_test_executes() -> None:
    """A command that nothing tests cannot be added unseen."""
    tested = [
        *_starting_with("make"),
        *_starting_with("pip", "install"),
        *_starting_with("typed-async-client"),
    ]
    assert sorted(tested) == sorted(_COMMANDS)


@pytest.mark.parametrize("command", _starting_with("make"))
def test_a_make_command_names_a_target_that_make_can_plan(command: str) -> None:
    """``make --dry-run`` knows the target and all that it depends on."""
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


@pytest.mark.parametrize("command", _starting_with("pip", "install"))
def test_an_installation_names_extras_that_exist(command: str) -> None:
    """Each ``pip install`` is from the checkout, with extras that pyproject.toml declares."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    *_, what = shlex.split(command)
    found = re.fullmatch(r"\.(?:\[([\w,]+)\])?", what)
    assert found is not None
    wanted = set(found[1].split(",")) if found[1] else set()
    assert wanted <= project["optional-dependencies"].keys()


@pytest.mark.parametrize("command", _starting_with("typed-async-client"))
def test_a_command_of_the_library_runs_as_it_stands(command: str, tmp_path: Path) -> None:
    """It ends well, and has something to say."""
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
