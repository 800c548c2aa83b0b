"""Warns about what was dropped without being closed, as the standard library does for files.

Only what the user has made is named, once, however many objects below it hold connections. What a
response still uses is closed when that response is.
"""

import warnings
from collections.abc import Iterable
from typing import TypeVar

__all__ = ["WarnsUnclosed", "owned", "owned_among"]


class WarnsUnclosed:
    """Issues a ``ResourceWarning`` if an object is freed while it holds connections.

    The warning says where the object was made, if ``tracemalloc`` was started early enough.

    Attributes:
        has_owner: whether another object has made it, and warns in its place.
    """

    has_owner: bool = False

    @property
    def is_unclosed(self) -> bool:
        """Whether it holds connections that closing it would close."""
        raise NotImplementedError

    def abandon(self) -> None:
        """Close the connections that nothing uses any more, from any thread and without waiting.

        Whoever records the warning holds this object, and its connections wouldn't be freed.
        """
        raise NotImplementedError

    def __del__(self) -> None:
        try:
            warns = not self.has_owner and self.is_unclosed
        except AttributeError:  # its constructor has raised
            return
        if warns:
            self.abandon()
            warnings.warn(
                f"unclosed {self!r}: use it in 'async with', or close it",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )


_T = TypeVar("_T")


def owned(made: _T) -> _T:
    """Return an object that another one has made, which warns in its place."""
    if isinstance(made, WarnsUnclosed):
        made.has_owner = True
    return made


def owned_among(parts: Iterable[object]) -> list[WarnsUnclosed]:
    """Return those parts of an object that were made by it, and passed to ``owned()``."""
    return [part for part in parts if isinstance(part, WarnsUnclosed) and part.has_owner]
