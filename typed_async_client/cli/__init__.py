"""The entry point of the command ``typed-async-client``, and the error if its extra is missing.

The commands, and the library that parses them, are imported when the command runs, so that the
package can be imported without the extra.
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
        arguments: the arguments after the program's name; None reads them from ``sys.argv``.

    Returns:
        The exit code: 0 for success, 1 if the extra ``cli`` is missing, 130 after SIGINT, otherwise
        the exit code of the subcommand.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        from typed_async_client.cli.app import run  # noqa: PLC0415 - needs the extra

        return run(arguments)
    except ModuleNotFoundError as missing:
        name = (missing.name or "").partition(".")[0]
        if name == "typed_async_client":
            raise  # a broken installation, which no extra would fix
        print(_MISSING.format(name=name), file=sys.stderr)  # noqa: T201 - a command prints
        return 1
    except KeyboardInterrupt:
        print("typed-async-client: interrupted", file=sys.stderr)  # noqa: T201 - a command prints
        return 130
