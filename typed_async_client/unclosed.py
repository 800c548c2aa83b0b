"""Warns about what was dropped without being closed, as the standard library does for files.

One warning names the object that the user has made, however many of its parts hold connections. A
connection that a response still uses is closed with that response.
"""

import sys
import warnings
from collections.abc import Iterable
from typing import Any, NoReturn, Self, TypeVar

__all__ = ["WarnsUnclosed", "owned"]


class _Birth:
    """Allocated together with an object, for ``tracemalloc.get_object_traceback()``.

    Before Python 3.12, that doesn't find objects that have a ``__dict__``.
    """

    __slots__ = ("__weakref__",)


class WarnsUnclosed:
    """Issues a ``ResourceWarning`` if an object is freed while it holds connections.

    The warning says where the object was made, if ``tracemalloc`` was started early enough.

    ``_has_owner`` tells whether another object has made it, and warns in its place.
    """

    _has_owner: bool = False
    _birth: "_Birth | None" = None

    if sys.version_info < (3, 12):

        def __new__(cls, *_: Any, **__: Any) -> Self:
            """Create an object next to this one that tracemalloc knows."""
            self = super().__new__(cls)
            self._birth = _Birth()
            return self

    @property
    def _parts(self) -> Iterable[object]:
        """What it consists of; only the parts passed to ``owned()`` are closed along with it."""
        return ()

    @property
    def _is_unclosed(self) -> bool:
        """Whether it holds connections that closing it would close."""
        return any(part._is_unclosed for part in self._owned_parts())

    def _abandon(self) -> None:
        """Close the connections that nothing uses any more, from any thread and without waiting.

        Whoever records the warning holds this object, and its connections wouldn't be freed.
        """
        for part in self._owned_parts():
            part._abandon()

    def _owned_parts(self) -> "list[WarnsUnclosed]":
        return [part for part in self._parts if isinstance(part, WarnsUnclosed) and part._has_owner]

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} can't be copied or pickled, since it has connections: create "
            "another one"
        )

    def __del__(self) -> None:
        if self._has_owner:
            return
        try:
            warns = self._is_unclosed
            self._abandon()
        except AttributeError as error:
            if isinstance(error.obj, WarnsUnclosed):  # its constructor has raised
                return
            raise
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
        made._has_owner = True
    return made
