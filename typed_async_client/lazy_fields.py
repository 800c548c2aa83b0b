"""The fields of a result that are computed when they are first read, and what they are computed from."""

from typing import TYPE_CHECKING, Any, Protocol

from typed_async_client.record import RequestRecord

__all__ = ["LazyFields", "Packed", "PackedError", "PackedResponse"]


class Packed(Protocol):
    """A response or an error in a form that takes less memory.

    Attributes:
        size: bytes of the bodies that it keeps.
    """

    size: int

    def unpack(self) -> Any:
        """Return the response or the error."""


class PackedResponse(Packed, Protocol):
    """A response in a form that takes less memory.

    Attributes:
        status_code: its status code.
    """

    status_code: int


class PackedError(Packed, Protocol):
    """An error in a form that takes less memory."""

    def without_responses(self) -> "PackedError":
        """Return an equal one that keeps no bodies."""


class LazyFields:
    """Sets fields of a result on first access: those that cost time, and rarely anybody reads.

    A new response at each access would lose the changes made to it, and change the result's hash.
    """

    __slots__ = ("_asked", "_attempts", "_packed", "_packed_error")

    if not TYPE_CHECKING:  # a type checker would accept any attribute of a result

        def __getattr__(self, name: str) -> Any:
            match name:
                case "response":
                    value = self._packed.unpack()
                case "error":
                    value = self._packed_error.unpack()
                case "history":  # the only record is kept without its tuple
                    kept = self._attempts
                    value = kept if type(kept) is tuple else (kept,)
                case "resends":
                    value = 0
                case "response_evicted":
                    value = False
                case "status_code":
                    value = getattr(self.response, "status_code", None)
                case "url" | "origin":
                    asked = self._asked
                    record = RequestRecord("", asked) if type(asked) is str else asked
                    value = getattr(record, name)
                case _:
                    raise AttributeError(
                        f"{type(self).__name__!r} object has no attribute {name!r}"
                    )
            object.__setattr__(self, name, value)
            return value
