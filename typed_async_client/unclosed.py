"""Warns about what was dropped without being closed, as the standard library does for files.

Only what the user has made is named, once, however many objects below it hold connections. What a
response still uses is closed when that response is.
"""

import sys
import warnings
from collections.abc import Iterable
from typing import Any, Self, TypeVar

__all__ = ["WarnsUnclosed", "owned"]


class _Birth:
    """Allocated together with an object, for ``tracemalloc.get_object_traceback()``.

    Before Python 3.12, that doesn't find objects that have a ``__dict__``.
    """

    __slots__ = ("__weakref__",)


class WarnsUnclosed:
    """Issues a ``ResourceWarning`` if an object is freed while it holds connections.

    The warning says where the object was made, if ``tracemalloc`` was started early enough.

    Attributes:
        has_owner: whether another object has made it, and warns in its place.
    """

    has_owner: bool = False
    _birth: "_Birth | None" = None

    if sys.version_info < (3, 12):

        def __new__(cls, *_: Any, **__: Any) -> Self:
            """Create an object next to this one that tracemalloc knows."""
            self = super().__new__(cls)
            self._birth = _Birth()
            return self

    @property
    def parts(self) -> Iterable[object]:
        """What it consists of; only the parts passed to ``owned()`` are closed along with it."""
        return ()

    @property
    def is_unclosed(self) -> bool:
        """Whether it holds connections that closing it would close."""
        return any(part.is_unclosed for part in _owned_among(self.parts))

    def abandon(self) -> None:
        """Close the connections that nothing uses any more, from any thread and without waiting.

        Whoever records the warning holds this object, and its connections wouldn't be freed.
        """
        for part in _owned_among(self.parts):
            part.abandon()

    def __del__(self) -> None:
        if self.has_owner:
            return
        try:
            warns = self.is_unclosed
            self.abandon()
        except AttributeError:  # its constructor has raised
            return
        if warns:
            warnings.warn(
                f"unclosed {self!r}: use it in 'async with', or close it",
                ResourceWarning,
                stacklevel=2,
                source=self._birth or self,
            )


_T = TypeVar("_T")


def owned(made: _T) -> _T:
    """Return an object that another one has made, which warns in its place."""
    if isinstance(made, WarnsUnclosed):
        made.has_owner = True
    return made


def _owned_among(parts: Iterable[object]) -> list[WarnsUnclosed]:
    return [part for part in parts if isinstance(part, WarnsUnclosed) and part.has_owner]
