"""The entry point: parsing, usage errors, the missing extra."""

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
    ("words", "said"),
    [
        (["get"], "requires an argument: see typed-async-client get --help"),
        (["get", "example.org"], "must begin with http:// or https://"),
        (["get", "ftp://example.org"], "must begin with http:// or https://"),
        (["get", "http://h/", "-H", "no colon"], "header 1 has no colon: write it as -H"),
        (["get", "http://h/", "-H", "A b: x"], "header 1 has a space in its name"),
        (["get", "http://h/", "--retry", "many"], "int: see typed-async-client get --help"),
        (["get", "http://h/", "--retry=-1"], "--retry must be 0 or more"),
        (["get", "http://h/", "--timeout", "0"], "--timeout must be a number of seconds above 0"),
        (
            ["get", "http://h/", "--bogus"],
            "--bogus. Did you mean --verbose? See typed-async-client get",
        ),
        (["bogus"], "Available commands: get, demo: see typed-async-client --help"),
        (["demo", "--requests", "0"], "--requests must be 1 or more, got 0"),
        (["demo", "--seed", "x"], "int: see typed-async-client demo --help"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on stderr in the name of the command, nothing on stdout."""
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("typed-async-client: ")
    assert err.count("\n") == 1
    assert said in err


@pytest.mark.parametrize(
    "words",
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
def test_a_usage_error_quotes_no_secret(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Logs of a build server keep what is printed."""
    assert main(words) == 2
    assert "hush" not in capsys.readouterr().err


async def test_a_usage_error_ends_a_process_with_2() -> None:
    """The code of ``main`` is the code of the process."""
    ended = await run_command("get", "ftp://127.0.0.1/", options=("-W", "error"))
    assert (ended.code, ended.out) == (2, b"")
    assert ended.err == "typed-async-client: the URL must begin with http:// or https://\n"


def test_the_version_is_the_packages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By ``python -m``, which is the same command."""
    monkeypatch.setattr(sys, "argv", ["typed-async-client", "--version"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("typed_async_client.cli", run_name="__main__")
    assert end.value.code == 0
    assert capsys.readouterr().out == version("typed-async-client") + "\n"


@pytest.mark.parametrize("words", [["--help"], ["get", "-h"], ["demo", "--help"], []])
def test_help_goes_to_stdout(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It is what was asked for, so it is no error."""
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Usage: typed-async-client")
    assert err == ""


def test_the_help_tells_retries_from_attempts(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever asks for 2 retries gets 3 attempts."""
    assert main(["get", "--help"]) == 0
    assert "retries after a connect failure; 2 means 3 attempts." in capsys.readouterr().out


def test_the_installed_script_is_main() -> None:
    """The name users type leads to this package."""
    (script,) = entry_points(group="console_scripts", name="typed-async-client")
    assert script.load() is main


@pytest.mark.parametrize("library", ["cyclopts", "rich"])
def test_a_missing_extra_is_named_in_one_line(library: str) -> None:
    """With what to type, and exit code 1; no traceback."""
    ended = _python(
        f"import sys; sys.modules[{library!r}] = None\n"
        "from typed_async_client.cli import main; sys.exit(main(['demo', '--requests', '1']))"
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == (
        f"typed-async-client: the command needs the package '{library}': "
        "pip install 'typed-async-client[cli]'\n"
    )


def test_the_missing_extra_is_found_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process too."""
    monkeypatch.delitem(sys.modules, "typed_async_client.cli.app", raising=False)
    monkeypatch.setitem(sys.modules, "cyclopts", None)
    assert main(["get", "http://h/"]) == 1
    assert "pip install 'typed-async-client[cli]'" in capsys.readouterr().err


def test_a_broken_installation_is_not_taken_for_a_missing_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Installing the extra would not mend it."""
    monkeypatch.setitem(sys.modules, "typed_async_client.cli.app", None)
    with pytest.raises(ModuleNotFoundError):
        main(["get", "http://h/"])


def test_the_room_imports_no_optional_library_by_itself() -> None:
    """So that the package is whole without its extras; rich is imported by the report alone."""
    ended = _python(
        "import sys, typed_async_client.cli, typed_async_client.cli.get\n"
        "sys.exit(bool({'cyclopts', 'typed_async_client.cli.report'} & sys.modules.keys()))"
    )
    assert (ended.returncode, ended.stderr) == (0, "")
