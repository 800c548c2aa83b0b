"""The shapes of objects whose names are known: dataclasses and ``TypedDict`` classes."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from typed_async_client.decoding.mismatch import MismatchError, mismatch
from typed_async_client.decoding.shapes import Memo, Shape
from typed_async_client.redact import error_line

__all__ = ["Field", "record"]

_SHOWN = 100
"""Characters of the message of an error that a class has raised."""


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One name of an object.

    Attributes:
        shape: the shape of its value.
        required: whether an object without it is refused.
    """

    shape: Shape
    required: bool


def record(
    name: str, make: Callable[..., Any], read_fields: Callable[[], Mapping[str, Field]]
) -> tuple[Shape, Callable[[], None]]:
    """Return the shape of an object with known names, and what completes it.

    Its fields may have the shape itself, so they are read once it exists. Other names are ignored.

    Args:
        name: the name of the class.
        make: the class; it is given the values by name.
        read_fields: returns the fields by name.
    """
    expected = f"an object ({name})"
    fields: list[tuple[str, bool, Shape]] = []

    def convert(value: Any, memo: Memo) -> Any:
        if type(value) is not dict:
            raise mismatch(expected, value)
        arguments: dict[str, Any] = {}
        for field, required, shape in fields:
            if field in value:
                try:
                    arguments[field] = shape.convert(value[field], memo)
                except MismatchError as error:
                    error.within(f".{field}")
                    raise
            elif required:
                raise _missing(field)
        return _made(name, make, arguments)

    def complete() -> None:
        fields.extend((field, each.required, each.shape) for field, each in read_fields().items())

    return Shape(expected, frozenset({dict}), convert), complete


def _missing(field: str) -> MismatchError:
    error = MismatchError("missing")
    error.within(f".{field}")
    return error


def _made(name: str, make: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Create an object of a class, whose own checks may refuse the values."""
    try:
        return make(**arguments)
    except RecursionError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error_line(error)[:_SHOWN]}".removesuffix(": ")
        raise MismatchError(f"{name} has raised {reason}") from error
