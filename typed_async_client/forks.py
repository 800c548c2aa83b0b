"""Lets an error of ours be caught as the error of httpx2, too, where a request of that library failed.

httpx2 is a fork of httpx, and shares no class with it. A class of ours names its counterpart there in
``_fork_name``. The same holds for a stream that httpx2 is to read.
"""

import functools
import importlib
from typing import Any, Final

from typed_async_client.libraries import is_from

__all__ = ["class_for"]

_NAME: Final = "_fork_name"


def class_for(kind: type, source: Any) -> type[Any]:
    """Return the class of a new object: a subclass of httpx2's class if ``source`` is of httpx2.

    Args:
        kind: the class of ours.
        source: the request, the response or the client that the object is about.
    """
    is_fork = kind.__module__.startswith(_PACKAGE) and is_from(source, "httpx2")
    return _fork_class(kind) if is_fork else kind


_PACKAGE: Final = f"{__name__.partition('.')[0]}."


@functools.cache
def _fork_class(kind: type) -> type[Any]:
    """Return the subclass of httpx2's class, created on first use as httpx2 is optional."""
    base = getattr(importlib.import_module("httpx2"), getattr(kind, _NAME))
    methods = {"__doc__": kind.__doc__, "__reduce__": functools.partialmethod(_reduce, kind)}
    return type(kind.__name__, (kind, base), methods)


def _reduce(error: Exception, kind: type[Any]) -> tuple[Any, ...]:
    """Let pickle recreate an instance of a class that no module defines."""
    return _rebuild, (kind, *error.args), vars(error)


def _rebuild(kind: type, *args: Any) -> Any:
    return _fork_class(kind)(*args)
