"""Raises an error in place of another, such that no frame of its traceback refers back to it.

A context manager of ``contextlib`` would keep both, with everything that their frames refer to, until
the garbage collector finds them.
"""

from collections.abc import Callable
from types import TracebackType

__all__ = ["ErrorTranslation"]


class ErrorTranslation:
    """A context in which the errors of one library are raised as those of another.

    Args:
        translate: returns the error to raise, with its cause; an error that it returns unchanged is
            raised as it is.

    Example:
        >>> with ErrorTranslation(as_httpx_error):
        ...     response = await transport.handle_async_request(request)
    """

    __slots__ = ("_translate",)

    def __init__(self, translate: Callable[[Exception], Exception]) -> None:
        self._translate = translate

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not isinstance(error, Exception):
            return
        translated = self._translate(error)
        try:
            if translated is not error:
                raise translated from translated.__cause__
        finally:
            del translated, error, traceback
