"""Shapes: what a JSON value must look like, and how it becomes a Python value. Scalars are here.

They are exact: ``"1"`` and ``true`` are no integers. Only an integer is accepted for a float.
"""

import dataclasses
import datetime as dt
import decimal
import math
import re
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from typed_async_client.decoding.mismatch import MismatchError, mismatch

__all__ = ["ANYTHING", "JSON_KINDS", "SCALARS", "Convert", "Memo", "Shape", "one_of"]

JSON_KINDS: Final[frozenset[type]] = frozenset({bool, dict, float, int, list, str, type(None)})
"""The types of the values that a JSON text is read as."""

Memo: TypeAlias = dict[tuple[int, int], Any]
"""What the unions in a type have made of a value so far; see ``containers.py``."""

Convert: TypeAlias = Callable[[Any, Memo], Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """What a value must look like.

    Attributes:
        expected: how to name it in a message, with its article.
        kinds: the types of the JSON values that it may have.
        convert: returns the value as Python has it, or raises ``MismatchError``.
    """

    expected: str
    kinds: frozenset[type]
    convert: Convert


def _exact(kind: type, expected: str) -> Shape:
    def convert(value: Any, memo: Memo) -> Any:  # noqa: ARG001 - all have it
        if type(value) is kind:
            return value
        raise mismatch(expected, value)

    return Shape(expected, frozenset({kind}), convert)


def _to_float(value: Any, memo: Memo) -> float:  # noqa: ARG001 - all have it
    if type(value) is float:
        if math.isfinite(value):
            return value
        raise MismatchError("the number is too large")
    if type(value) is not int:
        raise mismatch("a number", value)
    try:
        return float(value)
    except OverflowError:
        raise MismatchError("the number is too large") from None


_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def _to_decimal(value: Any, memo: Memo) -> decimal.Decimal:  # noqa: ARG001 - all have it
    if type(value) is int or (type(value) is str and _NUMBER.fullmatch(value)):
        return decimal.Decimal(value)
    if type(value) is float and math.isfinite(value):
        return decimal.Decimal(
            repr(value)
        )  # as few digits as identify it: 0.1, not 0.1000000000000000055
    raise mismatch("a decimal number", value)


def _parsed(expected: str, parse: Callable[[str], Any]) -> Shape:
    """Return the shape of a string in a format.

    Args:
        expected: what it is, with its article.
        parse: returns its value, or raises ``ValueError``.
    """

    def convert(value: Any, memo: Memo) -> Any:  # noqa: ARG001 - all have it
        if type(value) is not str:
            raise mismatch(expected, value)
        try:
            return parse(value)
        except ValueError:
            raise MismatchError(f"the string isn't {expected}") from None

    return Shape(expected, frozenset({str}), convert)


ANYTHING: Final = Shape("anything", JSON_KINDS, lambda value, _: value)

SCALARS: Final[dict[Any, Shape]] = {
    Any: ANYTHING,
    object: ANYTHING,
    None: _exact(type(None), "null"),
    type(None): _exact(type(None), "null"),
    bool: _exact(bool, "a boolean"),
    int: _exact(int, "an integer"),
    float: Shape("a number", frozenset({float, int}), _to_float),
    str: _exact(str, "a string"),
    dt.datetime: _parsed("a date and time (ISO 8601)", dt.datetime.fromisoformat),
    dt.date: _parsed("a date (ISO 8601)", dt.date.fromisoformat),
    dt.time: _parsed("a time (ISO 8601)", dt.time.fromisoformat),
    decimal.Decimal: Shape("a decimal number", frozenset({int, float, str}), _to_decimal),
    uuid.UUID: _parsed("a UUID", uuid.UUID),
}
"""The types that stand for themselves."""


def one_of(expected: str, choices: Iterable[tuple[Any, Any]]) -> Shape | None:
    """Return the shape of a few values, as those of an enumeration; None if JSON has none of them.

    Args:
        expected: how to name it, with its article.
        choices: each value in JSON, with the one in Python.
    """
    known = {
        (type(value), value): meant for value, meant in choices if type(value) in _CHOICE_KINDS
    }

    def convert(value: Any, memo: Memo) -> Any:  # noqa: ARG001 - all have it
        if type(value) in _CHOICE_KINDS and (type(value), value) in known:
            return known[type(value), value]
        raise MismatchError(f"expected {expected}")

    kinds = frozenset(kind for kind, _ in known)
    return Shape(expected, kinds, convert) if known else None


_CHOICE_KINDS: Final = JSON_KINDS - {dict, list}
