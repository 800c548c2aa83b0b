"""The command ``typed-async-client``: its entry point, and the word about the missing extra.

It knows neither the commands nor the library that parses them; that library is imported when the
command runs, so that the package imports without the extra.
"""

import sys
from collections.abc import Sequence

__all__ = ["main"]

_MISSING = (
    "typed-async-client: the command needs the package {name!r}: "
    "pip install 'typed-async-client[cli]'"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: the words after the command's name; None takes them from ``sys.argv``.

    Returns:
        The exit code: 0 for success, 1 when the extra ``cli`` is missing, 130 after SIGINT, else
        what the command that ran says.
    """
    words = sys.argv[1:] if arguments is None else arguments
    try:
        from typed_async_client.cli.app import run  # noqa: PLC0415 - needs the extra

        return run(words)
    except ModuleNotFoundError as missing:
        name = (missing.name or "").partition(".")[0]
        if name == "typed_async_client":
            raise  # a broken installation, which no extra would mend
        print(_MISSING.format(name=name), file=sys.stderr)  # noqa: T201 - it is a command
        return 1
    except KeyboardInterrupt:
        print("typed-async-client: interrupted", file=sys.stderr)  # noqa: T201 - it is a command
        return 130
