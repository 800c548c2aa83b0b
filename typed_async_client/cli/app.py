"""The commands and their options, as cyclopts reads them off the functions below.

The only file that imports cyclopts. It hands over to ``get.py`` and ``demo.py`` and decides
nothing but what a wrong command line is told.
"""

import re
from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter
from cyclopts.exceptions import UnusedCliTokensError

from typed_async_client.cli.exits import Exit
from typed_async_client.cli.get import run_get, say
from typed_async_client.cli.order import UsageError, check_order
from typed_async_client.cli.redact import one_line

__all__ = ["run"]

_app = App(
    name="typed-async-client",
    help="Make HTTP requests that are retried with care and end exactly once.",
    suppress_keyboard_interrupt=False,  # main() gives the exit code
)

_JOINED = re.compile(r"(?<!\S)(-\w)\S+")
"""A short option with its value joined on: ``-uann:secret``."""

_TOO_MANY_WORDS = "there are more arguments than the command takes: quote a header as -H 'K: V'"


def run(words: Sequence[str]) -> int:
    """Run the command that ``words`` tell; give the exit code.

    Raises:
        KeyboardInterrupt: SIGINT came; what ran was cancelled and closed.
    """
    try:
        code = _app(
            list(words), exit_on_error=False, print_error=False, result_action="return_value"
        )
    except UnusedCliTokensError:
        say(_TOO_MANY_WORDS)  # without quoting them: they may be the half of a secret header
        return Exit.USAGE
    except CycloptsError as error:
        say(_told(error))
        return Exit.USAGE
    except UsageError as error:
        say(str(error))
        return Exit.USAGE
    return int(code or Exit.SUCCESS)  # None after --help and --version


def _told(error: CycloptsError) -> str:
    """Say what is wrong with the command line, and which help page tells more."""
    trouble = _JOINED.sub(r"\1", one_line(str(error)).rstrip("."))
    page = " ".join(("typed-async-client", *(error.command_chain or ()), "--help"))
    return f"{trouble} See {page}" if trouble.endswith("?") else f"{trouble}: see {page}"


@_app.command
def get(
    url: str,
    /,
    *,
    header: Annotated[
        tuple[str, ...], Parameter(name=("--header", "-H"), negative=(), show_default=False)
    ] = (),
    retry: int = 2,
    timeout: float = 10.0,
    verbose: Annotated[bool, Parameter(name=("--verbose", "-v"), negative=())] = False,
    follow: Annotated[bool, Parameter(name=("--follow", "-L"), negative=())] = False,
    check_status: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Make one GET request and write the body to stdout.

    Exit codes: 0 success, 1 unexpected error, 2 usage, 6 too many redirects, 7 connect, DNS or
    TLS failure, 28 timeout, 130 interrupted; with --check-status also 3, 4 and 5 for a status of
    3xx, 4xx and 5xx.

    Args:
        url: the address, http or https.
        header: a header to send, as 'Name: value'; may be given many times.
        retry: retries after a connect failure; 2 means 3 attempts.
        timeout: seconds that connecting, and each wait for the server, may take.
        verbose: tell each event on stderr.
        follow: follow redirects.
        check_status: exit with 3, 4 or 5 for a status of 3xx, 4xx or 5xx.
    """
    order = check_order(url, header, retries=retry, timeout=timeout, follow=follow)
    return run_get(order, verbose=verbose, check_status=check_status)


@_app.command
def demo(*, seed: int | None = None, requests: int = 300) -> int:
    """Run requests against a server on this machine that fails in every way, and count the ends.

    Exit codes: 0 when every request ended exactly once, else 1.

    Args:
        seed: makes the counts repeatable; without it one is drawn and printed.
        requests: how many requests to make.
    """
    from typed_async_client.cli.demo import run_demo  # noqa: PLC0415 - get need not load it

    if requests < 1:
        raise UsageError(f"--requests must be 1 or more, got {requests}")
    return Exit.SUCCESS if run_demo(requests, seed) else Exit.UNEXPECTED
