"""Takes types apart: what they are made of, whichever of Python's spellings they have."""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = [
    "UnsupportedError",
    "bare",
    "fields_of",
    "is_record",
    "is_union",
    "name_of",
    "parts_of",
    "permits_none",
]

_SHOWN: Final = 200
"""Characters of the name of a type in a message."""

_MOST_PARTS: Final = 1000
"""Parts of a type that are looked at: a generic class may contain itself with ever larger arguments."""

_QUALIFIERS: Final = frozenset({"Annotated", "Required", "NotRequired", "ReadOnly", "Final"})
"""Say something about a type or a field that makes no difference to its value."""


class UnsupportedError(TypeError):
    """A decoder doesn't know a type.

    Args:
        reason: which type, and what is wrong with it.

    Attributes:
        where: the field that has it, as in ``Order.price``; empty if it isn't in a class.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.where: str = ""

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.where, *self.args)))


def name_of(model: Any) -> str:
    """Return how to name a type in a message."""
    if isinstance(model, type) and not typing.get_args(model):
        return model.__name__[:_SHOWN]
    return repr(model).replace("typing.", "")[:_SHOWN]


def bare(hint: Any) -> Any:
    """Return the type that a hint stands for: without annotations, aliases and new names."""
    while True:
        if getattr(typing.get_origin(hint), "__name__", None) in _QUALIFIERS:
            hint = typing.get_args(hint)[0]
        elif isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":
            hint = hint.__value__
        else:
            return hint


def is_union(hint: Any) -> bool:
    """Whether a hint is a union, in either spelling."""
    return typing.get_origin(hint) in {typing.Union, types.UnionType}


def permits_none(model: Any) -> bool:
    """Whether None is a value of a type, so that it stands for an empty body.

    Example:
        >>> permits_none(int | None), permits_none(int)
        (True, False)
    """
    hint = bare(model)
    if is_union(hint):
        return any(map(permits_none, typing.get_args(hint)))
    return any(hint is each for each in (None, type(None), Any, object))


def _bound(hint: Any, arguments: Mapping[Any, Any]) -> Any:
    """Return a hint with the type variables of a generic class replaced by its arguments."""
    if isinstance(hint, typing.TypeVar):
        return arguments.get(hint, hint)
    variables = getattr(hint, "__parameters__", ())
    if isinstance(hint, type) or not all(variable in arguments for variable in variables):
        return hint
    return hint[tuple(arguments[each] for each in variables)] if variables else hint


def is_record(kind: Any) -> bool:
    """Whether a class describes an object with known names: a dataclass or a ``TypedDict``."""
    return isinstance(kind, type) and (dataclasses.is_dataclass(kind) or typing.is_typeddict(kind))


def fields_of(kind: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
    """Return the hints of the fields of such a class by name.

    Args:
        kind: the class.
        arguments: the types that stand for its type variables.

    Raises:
        UnsupportedError: a hint names a type that Python doesn't find.
    """
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except Exception as error:  # whatever evaluating the hints raises
        raise UnsupportedError(f"the types of {kind.__name__} can't be read: {error}") from error
    values = dict(zip(getattr(kind, "__parameters__", ()), arguments, strict=False))
    if dataclasses.is_dataclass(kind):
        names = {field.name for field in dataclasses.fields(kind) if field.init}
        names |= {name for name, hint in hints.items() if isinstance(hint, dataclasses.InitVar)}
        hints = {name: hint for name, hint in hints.items() if name in names}
    return {name: _bound(hint, values) for name, hint in hints.items()}


def parts_of(model: Any) -> Iterator[Any]:
    """Yield what a type is made of: classes, and the objects in its annotations.

    Types that can't be taken apart are left out: who decodes them finds that out.
    """
    seen: set[Any] = set()
    waiting: list[Any] = [model]
    while waiting and len(seen) < _MOST_PARTS:
        hint = waiting.pop()
        key = hint if _is_hint(hint) else id(hint)
        if key in seen:
            continue
        seen.add(key)
        yield hint
        waiting += getattr(hint, "__metadata__", ())
        waiting += typing.get_args(hint)
        origin, stripped = typing.get_origin(hint), bare(hint)
        waiting += [each for each in (origin, stripped) if each is not None]
        kind = hint if origin is None else origin
        if is_record(kind):
            try:
                waiting += fields_of(kind, typing.get_args(hint)).values()
            except UnsupportedError:
                continue


def _is_hint(value: Any) -> bool:
    """Whether a value can be looked up in a set: not each object in an annotation can."""
    try:
        hash(value)
    except Exception:  # noqa: BLE001 - its class may raise any
        return False
    return isinstance(value, type) or typing.get_origin(value) is not None
