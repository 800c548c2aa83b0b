"""Turns a type into its shape: dataclasses, ``TypedDict`` classes and the types of JSON values."""

import collections.abc
import dataclasses
import enum
import typing
from collections.abc import Callable
from typing import Any, Final

from typed_async_client.decoding.containers import array, fixed_array, mapping, union
from typed_async_client.decoding.hints import (
    UnsupportedError,
    bare,
    fields_of,
    is_record,
    is_union,
    name_of,
)
from typed_async_client.decoding.records import Field, record
from typed_async_client.decoding.shapes import ANYTHING, JSON_KINDS, SCALARS, Memo, Shape, one_of

__all__ = ["compile_shape"]

_ARRAYS: Final[dict[Any, Callable[[list[Any]], Any]]] = {
    list: list,
    collections.abc.Collection: list,
    collections.abc.Iterable: list,
    collections.abc.MutableSequence: list,
    collections.abc.Sequence: list,
    frozenset: frozenset,
    set: set,
}
_MOST_GENERIC: Final = 200
"""Generic classes in a type, each with other arguments: one may contain itself with ever larger ones."""

_MAPPINGS: Final = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


def compile_shape(model: Any) -> Shape:
    """Return the shape of a type.

    Raises:
        UnsupportedError: it is, or contains, a type that isn't known here.
    """
    compiler = _Compiler()
    shape = compiler.shape_of(model)
    compiler.complete()
    return shape


class _Compiler:
    """Compiles one type; what contains itself is compiled once."""

    def __init__(self) -> None:
        self._begun: dict[Any, Shape] = {}
        self._generic = 0
        self._incomplete: list[Callable[[], None]] = []

    def complete(self) -> None:
        """Compile the fields of the classes, one after the other: they may refer to each other.

        Raises:
            UnsupportedError: there is no end, or a field has a type that isn't known.
        """
        while self._incomplete:
            if self._generic > _MOST_GENERIC:
                raise UnsupportedError("it contains itself, each time with others")
            self._incomplete.pop()()

    def shape_of(self, hint: Any) -> Shape:
        """Return the shape of a type, or of a part of it."""
        if type(hint).__name__ == "TypeAliasType":
            return self._alias(hint)
        hint = bare(hint)
        known = _scalar(hint)
        if known is not None:
            return known
        origin, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
        if is_union(hint):
            return union([self.shape_of(each) for each in arguments])
        if origin is typing.Literal:
            return self._choice(hint, [(getattr(each, "value", each), each) for each in arguments])
        if isinstance(origin, type):
            found = self._of_class(origin, arguments, hint)
            if found is not None:
                return found
        raise UnsupportedError(f"{name_of(hint)} isn't a type of JSON values")

    def _of_class(self, kind: type, arguments: tuple[Any, ...], hint: Any) -> Shape | None:
        """Return the shape of a class, with its arguments; None if it isn't known."""
        if is_record(kind):
            return self._record(kind, arguments, hint)
        if issubclass(kind, enum.Enum):
            return self._choice(kind, [(each.value, each) for each in kind])
        if kind in _ARRAYS:
            return array(self.shape_of(arguments[0]) if arguments else ANYTHING, _ARRAYS[kind])
        if kind in _MAPPINGS:
            return self._mapping(*arguments) if arguments else mapping(None, ANYTHING)
        if kind is tuple:
            return self._tuple(arguments)
        return None

    def _choice(self, hint: Any, choices: list[tuple[Any, Any]]) -> Shape:
        allowed = ", ".join(repr(value) for value, _ in choices)
        found = one_of(f"one of {allowed:.100}", choices)
        if found is None:
            raise UnsupportedError(f"{name_of(hint)} has no values of JSON")
        return found

    def _mapping(self, key: Any, item: Any) -> Shape:
        names = self.shape_of(key)
        if str not in names.kinds:
            raise UnsupportedError(f"the names of an object are strings, not {name_of(key)}")
        is_text = names is SCALARS[str]
        return mapping(None if is_text else names.convert, self.shape_of(item))

    def _tuple(self, arguments: tuple[Any, ...]) -> Shape:
        if not arguments:
            return array(ANYTHING, tuple)
        if arguments[-1] is Ellipsis:
            return array(self.shape_of(arguments[0]), tuple)
        return fixed_array([self.shape_of(each) for each in arguments])

    def _record(self, kind: Any, arguments: tuple[Any, ...], hint: Any) -> Shape:
        if hint in self._begun:
            return self._begun[hint]
        shape, complete = record(kind.__name__, kind, lambda: self._fields(kind, arguments))
        self._begun[hint] = shape
        self._generic += bool(arguments)
        self._incomplete.append(complete)
        return shape

    def _fields(self, kind: Any, arguments: tuple[Any, ...]) -> dict[str, Field]:
        required = _required_names(kind)
        fields: dict[str, Field] = {}
        for name, hint in fields_of(kind, arguments).items():
            try:
                shape = self.shape_of(hint)
            except UnsupportedError as error:
                error.where = f"{kind.__name__}.{name}"
                raise
            fields[name] = Field(shape, name in required)
        return fields

    def _alias(self, alias: Any) -> Shape:
        """Return the shape of a ``type`` statement, which may refer to itself."""
        if alias in self._begun:
            return self._begun[alias]
        meant: list[Shape] = []

        def convert(value: Any, memo: Memo) -> Any:
            return meant[0].convert(value, memo)

        self._begun[alias] = Shape(alias.__name__, JSON_KINDS, convert)
        meant.append(self.shape_of(alias.__value__))
        return meant[0]


def _scalar(hint: Any) -> Shape | None:
    try:
        return SCALARS.get(hint)
    except TypeError:  # it can't be hashed, so it is none
        return None


def _required_names(kind: Any) -> frozenset[str]:
    if not dataclasses.is_dataclass(kind):
        names: frozenset[str] = kind.__required_keys__
        return names
    return frozenset(
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    )
