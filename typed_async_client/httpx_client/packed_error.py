"""A compact form of errors for the ledger: without traceback, frames and request bodies.

A traceback holds every frame that the error passed through, and with them the bodies and connections
of the request: a thousand failures would keep a hundred megabytes.
"""

import contextlib
import copy
import weakref
from typing import Any

from typed_async_client.facts import request_of
from typed_async_client.httpx_client.packed import (
    PackedResponse,
    StrippedResponse,
    without_body,
)

__all__ = ["PackedError"]

_Packed = dict[int, "PackedError | None"]
"""The errors packed so far, by the id of the original; None for one whose causes are being packed."""


class PackedError:
    """An error: the original while somebody else holds it, later a reconstruction.

    The reconstruction has the same type, arguments, attributes, notes and causes, but no traceback.
    Its request, if any, has no body. Each error is packed once, however many others refer to it:
    httpcore's errors have the error below them as their cause and as their argument.

    Args:
        error: the error.
        packed: the errors packed so far; a cause that leads back to one being packed is left out.
        with_cause: whether its cause is packed too.

    Attributes:
        size: bytes of the bodies of responses that it and its causes refer to.
    """

    __slots__ = (
        "_args",
        "_cause",
        "_class",
        "_original",
        "_request",
        "_state",
        "_suppress",
        "size",
    )

    def __init__(self, error: BaseException, packed: _Packed, *, with_cause: bool = True) -> None:
        packed[id(error)] = None
        self._original: weakref.ref[BaseException] | None = None
        with contextlib.suppress(TypeError):
            self._original = weakref.ref(error)
        self._class = type(error)
        self._args = tuple(_pack(argument, packed) for argument in error.args)
        request: Any = request_of(error) if isinstance(error, Exception) else None
        self._request = None if request is None else without_body(request)
        self._state = {
            name: _pack(value, packed)
            for name, value in vars(error).items()
            if value is None or value is not request
        }
        self._cause = _pack(_cause_of(error), packed) if with_cause else None
        self._suppress = error.__suppress_context__
        self.size: int = _size_of([*self._state.values(), *self._args, self._cause])
        packed[id(error)] = self

    @classmethod
    def of(cls, error: BaseException) -> "PackedError | None":
        """Pack an error; return None if that fails, for an error of the caller's own making.

        Nor is one packed that Python can't refer to weakly, such as a ``ValueError``: the caller
        could not be given the same object again. A cause that can't be packed is left out, such as
        the error of a decoder in another language.
        """
        return cls._if_possible(error, with_cause=True) or cls._if_possible(error, with_cause=False)

    @classmethod
    def _if_possible(cls, error: BaseException, *, with_cause: bool) -> "PackedError | None":
        try:
            packed = cls(error, {}, with_cause=with_cause)
            packed._rebuild({})
        except Exception:  # noqa: BLE001 - its class may define anything
            return None
        return None if packed._original is None else packed

    def unpack(self) -> BaseException:
        """Return the original error if it still exists, else a reconstruction."""
        return self._unpack({})

    def without_responses(self) -> "PackedError":
        """Return an equal one that keeps no bodies: a response that the error refers to is None."""
        bare = copy.copy(self)
        bare._drop_responses()  # noqa: SLF001 - the same class, of another object
        return bare

    def _drop_responses(self) -> None:
        self._args = tuple(_without_responses([*self._args]))
        self._cause = _without_responses(self._cause)
        self._state = {name: _without_responses(value) for name, value in self._state.items()}
        self.size = 0

    def _unpack(self, rebuilt: dict[int, BaseException]) -> BaseException:
        original = self._original() if self._original is not None else None
        return self._rebuild(rebuilt) if original is None else original

    def _rebuild(self, rebuilt: dict[int, BaseException]) -> BaseException:
        if id(self) in rebuilt:
            return rebuilt[id(self)]
        args = [_unpack(argument, rebuilt) for argument in self._args]
        error = rebuilt[id(self)] = self._class.__new__(self._class, *args)
        error.args = tuple(args)
        vars(error).update({name: _unpack(value, rebuilt) for name, value in self._state.items()})
        if self._request is not None:
            error.request = self._request  # type: ignore[attr-defined]  # an error of httpx
        error.__cause__ = _unpack(self._cause, rebuilt)
        error.__suppress_context__ = self._suppress
        return error


def _cause_of(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


_PACKED_RESPONSES = (PackedResponse, StrippedResponse)


def _pack(value: Any, packed: _Packed) -> Any:
    """Pack an error or a response among the arguments or attributes of another error, or in a list."""
    if isinstance(value, BaseException):
        return packed[id(value)] if id(value) in packed else PackedError(value, packed)
    if type(value) in {list, tuple}:
        items = [_pack(one, packed) for one in value]
        return items if any(isinstance(one, _PACKED) for one in items) else value
    return value if (packed_response := PackedResponse.of(value)) is None else packed_response


_PACKED = (PackedError, *_PACKED_RESPONSES)


def _size_of(value: Any) -> int:
    """Return the bytes of the bodies that a packed value keeps."""
    if type(value) is list:
        return sum(map(_size_of, value))
    return value.size if isinstance(value, _PACKED) else 0


def _without_responses(value: Any) -> Any:
    """Return a packed value that keeps no bodies: a response in it is None."""
    if isinstance(value, PackedError):
        return value.without_responses()
    if type(value) is list:
        return [_without_responses(one) for one in value]
    return None if isinstance(value, _PACKED_RESPONSES) else value


def _unpack(value: Any, rebuilt: dict[int, BaseException]) -> Any:
    if isinstance(value, PackedError):
        return value._unpack(rebuilt)  # noqa: SLF001 - the same class, of another object
    if isinstance(value, _PACKED_RESPONSES):
        return value.unpack()
    return [_unpack(one, rebuilt) for one in value] if type(value) is list else value
