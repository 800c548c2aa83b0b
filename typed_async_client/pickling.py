"""Lets pickle and copy restore the errors of httpx and httpx2 that they fail to restore."""

import copyreg
from typing import Any

__all__ = ["let_pickle_restore"]

_NOT_RESTORED = (
    "HTTPStatusError",
    "RequestNotRead",
    "ResponseNotRead",
    "StreamClosed",
    "StreamConsumed",
)
"""Their constructors take other arguments than the message, which is all that ``BaseException``
remembers."""


def let_pickle_restore(library: Any) -> None:
    """Let pickle and copy restore the errors of a library that they fail to restore.

    Most of these are raised to the caller without passing through this package, so that it can't
    replace them. What was registered for a class by somebody else stays. Restoring an error doesn't
    need this package.

    Args:
        library: the module ``httpx`` or ``httpx2``.
    """
    for name in _NOT_RESTORED:
        kind = getattr(library, name, None)
        if kind is not None and kind not in copyreg.dispatch_table:
            copyreg.pickle(kind, _reduce_plainly)


def _reduce_plainly(error: Exception) -> tuple[Any, ...]:
    """Let pickle create an error without its constructor."""
    return copyreg.__newobj__, (type(error), *error.args), vars(error)  # type: ignore[attr-defined]  # documented for pickle protocol 2
