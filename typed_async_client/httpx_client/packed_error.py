"""A compact form of errors for the ledger: without traceback, frames and request bodies.

A traceback holds every frame that the error passed through, and with them the bodies and connections
of the request: a thousand failures would keep a hundred megabytes.
"""

import contextlib
import weakref
from collections.abc import Sequence
from typing import Any

from typed_async_client.facts import request_of
from typed_async_client.httpx_client.packed import without_body

__all__ = ["PackedError"]

_DEPTH = 20
"""How many causes of causes are kept."""


class PackedError:
    """An error: the original while somebody else holds it, later a reconstruction.

    The reconstruction has the same type, arguments, attributes, notes and causes, but no traceback.
    Its request, if any, has no body.

    Args:
        error: the error.
        depth: how many causes may still be kept below it.
    """

    __slots__ = ("_args", "_cause", "_class", "_original", "_request", "_state", "_suppress")

    def __init__(self, error: BaseException, depth: int = _DEPTH) -> None:
        self._original: weakref.ref[BaseException] | None = None
        with contextlib.suppress(TypeError):
            self._original = weakref.ref(error)
        self._class = type(error)
        self._args = tuple(_packed(argument, depth) for argument in error.args)
        request: Any = request_of(error) if isinstance(error, Exception) else None
        self._request = None if request is None else without_body(request)
        self._state = {
            name: _packed(value, depth)
            for name, value in vars(error).items()
            if value is None or value is not request
        }
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        self._cause = PackedError(cause, depth - 1) if cause is not None and depth else None
        self._suppress = error.__suppress_context__

    @classmethod
    def of(cls, error: BaseException) -> "PackedError | None":
        """Pack an error; return None if that fails, for an error of the caller's own making.

        Nor is one packed that Python can't refer to weakly, such as a ``ValueError``: the caller
        could not be given the same object again.
        """
        try:
            packed = cls(error)
            packed._rebuild()
        except Exception:  # noqa: BLE001 - its class may define anything
            return None
        return None if packed._original is None else packed

    def unpack(self) -> BaseException:
        """Return the original error if it still exists, else a reconstruction."""
        original = self._original() if self._original is not None else None
        return self._rebuild() if original is None else original

    def _rebuild(self) -> BaseException:
        error = self._class.__new__(self._class, *map(_unpacked, self._args))
        vars(error).update({name: _unpacked(value) for name, value in self._state.items()})
        error.args = tuple(map(_unpacked, self._args))
        if self._request is not None:
            error.request = self._request  # type: ignore[attr-defined]  # an error of httpx
        error.__cause__ = None if self._cause is None else self._cause.unpack()
        error.__suppress_context__ = self._suppress
        return error


def _packed(value: Any, depth: int) -> Any:
    """Pack an error among the arguments or attributes of another, or those in a sequence."""
    if isinstance(value, BaseException):
        return PackedError(value, depth - 1) if depth else None
    if isinstance(value, Sequence) and any(isinstance(one, BaseException) for one in value):
        return [_packed(one, depth) for one in value]
    return value


def _unpacked(value: Any) -> Any:
    if isinstance(value, PackedError):
        return value.unpack()
    return [_unpacked(one) for one in value] if type(value) is list else value
