"""The error for a JSON value that isn't what a type asks for: where, and why, but not the value."""

from collections.abc import Iterable
from typing import Any, Final

__all__ = ["MismatchError", "mismatch", "path_of"]

_SHOWN: Final = 60
"""Characters of a long path that are shown at its beginning, and at its end."""

_KINDS: Final[dict[type, str]] = {  # of the values that a JSON text is read as
    bool: "a boolean",
    dict: "an object",
    float: "a number",
    int: "an integer",
    list: "an array",
    str: "a string",
    type(None): "null",
}


class MismatchError(ValueError):
    """A value isn't what its type asks for.

    Args:
        reason: what is wrong, without the value itself, which may be a secret.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason: str = reason
        self._path: list[str] = []

    def within(self, step: str) -> None:
        """Note one step of the way to the value, from the innermost to the outermost."""
        self._path.append(step)

    @property
    def path(self) -> str:
        """Where the value is, as in ``$.items[3].price``."""
        return path_of(reversed(self._path))

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def path_of(steps: Iterable[str]) -> str:
    """Return the path to a value from its steps, without its middle if it is long.

    Example:
        >>> path_of([".items", "[3]", ".price"])
        '$.items[3].price'
    """
    path = "".join(["$", *steps])
    return path if len(path) <= 2 * _SHOWN else f"{path[:_SHOWN]}...{path[-_SHOWN:]}"


def mismatch(expected: str, value: Any) -> MismatchError:
    """Return the error for a value of another kind than expected."""
    return MismatchError(f"expected {expected}, got {_KINDS[type(value)]}")
