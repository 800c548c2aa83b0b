"""Keeps what was made for a type, for the types that were used last."""

import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar

__all__ = ["per_model"]

T = TypeVar("T")

_SIZE: Final = 256
"""Types that are kept per function; a program has fewer."""


def per_model(compute: Callable[[Any], T]) -> Callable[[Any], T]:
    """Return a function of a type that remembers its results, but no failures.

    ``A | B`` and ``B | A`` are equal, and yet not decoded in the same way, so the spelling counts.
    """

    @functools.lru_cache(maxsize=_SIZE)
    def remembered(model: Any, spelling: str) -> T:  # noqa: ARG001 - part of the key
        return compute(model)

    def result_for(model: Any) -> T:
        if isinstance(model, type):
            return remembered(model, "")
        try:
            hash(model)
        except TypeError:  # an object in its annotations can't be hashed
            return compute(model)
        return remembered(model, repr(model))

    return result_for
