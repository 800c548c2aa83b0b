"""The commands and their options, which cyclopts derives from the functions below.

This is the only file that imports cyclopts. It reports usage errors, and leaves the rest to
``get.py`` and ``demo.py``.
"""

import logging
import re
from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter
from cyclopts.exceptions import UnusedCliTokensError

from typed_async_client.cli.exits import Exit
from typed_async_client.cli.get import print_error, run_get
from typed_async_client.cli.options import UsageError, parse_options
from typed_async_client.redact import one_line

__all__ = ["run"]

_app = App(
    name="typed-async-client",
    help="Make HTTP requests, and retry failed connections.",
    suppress_keyboard_interrupt=False,  # main() returns the exit code
)

_SHORT_WITH_VALUE = re.compile(r"(?<!\S)(-\w)\S+")
"""A short option followed directly by its value: ``-uann:secret``."""

_TOO_MANY_ARGUMENTS = "too many arguments: quote headers, as in -H 'Name: value'"


def run(arguments: Sequence[str]) -> int:
    """Run the command given by ``arguments``, and return the exit code.

    Raises:
        KeyboardInterrupt: SIGINT was received; requests were cancelled and the client closed.
    """
    # The commands report failures themselves; without a handler, Python prints every warning.
    logging.getLogger("typed_async_client").addHandler(logging.NullHandler())
    try:
        code = _app(
            list(arguments), exit_on_error=False, print_error=False, result_action="return_value"
        )
    except UnusedCliTokensError:
        print_error(_TOO_MANY_ARGUMENTS)  # not quoted: they may be part of a secret header
        return Exit.USAGE
    except CycloptsError as error:
        print_error(_usage_message(error))
        return Exit.USAGE
    except UsageError as error:
        print_error(str(error))
        return Exit.USAGE
    return int(code or Exit.SUCCESS)  # None after --help and --version


def _usage_message(error: CycloptsError) -> str:
    """Return what is wrong with the command line, and which help page to read."""
    problem = _SHORT_WITH_VALUE.sub(r"\1", one_line(str(error)).rstrip("."))
    page = " ".join(("typed-async-client", *(error.command_chain or ()), "--help"))
    return f"{problem} See {page}" if problem.endswith("?") else f"{problem}. See {page}"


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
    verbose: Annotated[
        bool, Parameter(name=("--verbose", "-v"), negative=(), show_default=False)
    ] = False,
    follow: Annotated[
        bool, Parameter(name=("--follow", "-L"), negative=(), show_default=False)
    ] = False,
    check_status: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
) -> int:
    """Make a GET request and write the response body to stdout.

    Exit codes: 0 success, 1 unexpected error, 2 usage error, 6 too many redirects, 7 connect, DNS
    or TLS failure, 28 timeout, 130 interrupted. With --check-status also 3, 4 and 5 for a 3xx, 4xx
    and 5xx status.

    Args:
        url: an http or https URL.
        header: a header to send, as 'Name: value'; can be repeated.
        retry: retries after a connect failure; 2 means 3 attempts.
        timeout: seconds allowed for connecting, and for each wait for the server.
        verbose: log events to stderr.
        follow: follow redirects.
        check_status: exit with 3, 4 or 5 for a 3xx, 4xx or 5xx status.
    """
    options = parse_options(url, header, retries=retry, timeout=timeout, follow=follow)
    return run_get(options, verbose=verbose, check_status=check_status)


@_app.command
def demo(*, seed: int | None = None, requests: int = 300) -> int:
    """Send requests to a local server that fails in many ways, and summarize the results.

    Exit codes: 0 if every request ended exactly once, otherwise 1.

    Args:
        seed: makes the run repeatable; chosen at random and printed if omitted.
        requests: number of requests to make.
    """
    from typed_async_client.cli.demo import run_demo  # noqa: PLC0415 - get does not need it

    if requests < 1:
        raise UsageError(f"--requests must be 1 or more, got {requests}")
    return Exit.SUCCESS if run_demo(requests, seed) else Exit.UNEXPECTED
