"""The entry point: parsing, usage errors, and the missing extra."""

import runpy
import subprocess
import sys
from importlib.metadata import entry_points, version

import pytest
from cli_kit import environment, run_command

from typed_async_client.cli import main


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, timeout=60, env=environment(), check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["get"], "requires an argument. See typed-async-client get --help"),
        (["get", "example.org"], "must start with http:// or https://"),
        (["get", "ftp://example.org"], "must start with http:// or https://"),
        (["get", "http://h/", "-H", "no colon"], "header 1 has no colon: write it as -H"),
        (["get", "http://h/", "-H", "A b: x"], "header 1 has a space in its name"),
        (["get", "http://h/", "--retry", "many"], "int. See typed-async-client get --help"),
        (["get", "http://h/", "--retry=-1"], "--retry must be 0 or more"),
        (["get", "http://h/", "--timeout", "0"], "--timeout must be a number of seconds above 0"),
        (
            ["get", "http://h/", "--bogus"],
            "--bogus. Did you mean --verbose? See typed-async-client get",
        ),
        (["bogus"], "Available commands: get, demo. See typed-async-client --help"),
        (["demo", "--requests", "0"], "--requests must be 1 or more, got 0"),
        (["demo", "--seed", "x"], "int. See typed-async-client demo --help"),
    ],
)
def test_an_invalid_command_line_exits_with_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is one line on stderr, with the name of the command, and nothing on stdout."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("typed-async-client: ")
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", "http://h/", "-H", "Authorization:", "Bearer", "hush"],
        ["get", "http://h/", "-uann:hush"],
        ["get", "http://h/", "--user=ann:hush"],
        ["get", "http://h/", "--user", "ann:hush"],
        ["get", "http://h/", "-H", "Authorization Bearer hush"],
        ["http://ann:hush@h/"],
        ["get", "http://ann:hush@h:x/"],
        ["get", "http://ann:hu/hush@h/"],
    ],
)
def test_a_usage_error_does_not_quote_secrets(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """What is printed may be kept in the logs of a build server."""
    assert main(arguments) == 2
    assert "hush" not in capsys.readouterr().err


async def test_a_usage_error_exits_with_2() -> None:
    """The return value of ``main`` is the exit code of the process."""
    completed = await run_command("get", "ftp://127.0.0.1/", options=("-W", "error"))
    assert (completed.code, completed.out) == (2, b"")
    assert completed.err == "typed-async-client: the URL must start with http:// or https://\n"


def test_the_version_is_that_of_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``python -m`` runs the same command."""
    monkeypatch.setattr(sys, "argv", ["typed-async-client", "--version"])
    with pytest.raises(SystemExit) as exited:
        runpy.run_module("typed_async_client.cli", run_name="__main__")
    assert exited.value.code == 0
    assert capsys.readouterr().out == version("typed-async-client") + "\n"


@pytest.mark.parametrize("arguments", [["--help"], ["get", "-h"], ["demo", "--help"], []])
def test_help_goes_to_stdout(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It was requested, so it isn't an error."""
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Usage: typed-async-client")
    assert err == ""


def test_the_help_distinguishes_retries_from_attempts(capsys: pytest.CaptureFixture[str]) -> None:
    """2 retries mean 3 attempts."""
    assert main(["get", "--help"]) == 0
    assert "retries after a connect failure; 2 means 3 attempts." in capsys.readouterr().out


def test_the_installed_script_runs_main() -> None:
    """The console script points to this package."""
    (script,) = entry_points(group="console_scripts", name="typed-async-client")
    assert script.load() is main


@pytest.mark.parametrize("library", ["cyclopts", "rich"])
def test_a_missing_extra_is_reported_in_one_line(library: str) -> None:
    """The line has the command to run; the exit code is 1, without a traceback."""
    completed = _python(
        f"import sys; sys.modules[{library!r}] = None\n"
        "from typed_async_client.cli import main; sys.exit(main(['demo', '--requests', '1']))"
    )
    assert completed.returncode == 1
    assert completed.stdout == ""
    assert completed.stderr == (
        f"typed-async-client: the command needs the package '{library}': "
        "pip install 'typed-async-client[cli]'\n"
    )


def test_a_missing_extra_is_detected_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is detected in this process too."""
    monkeypatch.delitem(sys.modules, "typed_async_client.cli.app", raising=False)
    monkeypatch.setitem(sys.modules, "cyclopts", None)
    assert main(["get", "http://h/"]) == 1
    assert "pip install 'typed-async-client[cli]'" in capsys.readouterr().err


def test_a_broken_installation_is_not_mistaken_for_a_missing_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Installing the extra wouldn't fix it."""
    monkeypatch.setitem(sys.modules, "typed_async_client.cli.app", None)
    with pytest.raises(ModuleNotFoundError):
        main(["get", "http://h/"])


def test_the_package_imports_no_optional_library_by_itself() -> None:
    """The package works without its extras; only the report imports rich."""
    completed = _python(
        "import sys, typed_async_client.cli, typed_async_client.cli.get\n"
        "sys.exit(bool({'cyclopts', 'typed_async_client.cli.report'} & sys.modules.keys()))"
    )
    assert (completed.returncode, completed.stderr) == (0, "")
