"""The shapes of values that contain others: arrays, objects whose names aren't known, unions."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from typed_async_client.decoding.mismatch import MismatchError, mismatch
from typed_async_client.decoding.shapes import JSON_KINDS, Convert, Memo, Shape

__all__ = ["array", "fixed_array", "mapping", "union"]


def array(item: Shape, make: Callable[[list[Any]], Any] = list) -> Shape:
    """Return the shape of an array of any length.

    Args:
        item: the shape of its items.
        make: returns the value, given the list of its items.
    """
    convert_item = item.convert

    def convert(value: Any, memo: Memo) -> Any:
        if type(value) is not list:
            raise mismatch("an array", value)
        items: list[Any] = []
        try:
            for each in value:
                items.append(convert_item(each, memo))  # noqa: PERF401 - its length is the index
        except MismatchError as error:
            error.within(f"[{len(items)}]")
            raise
        return items if make is list else _made(make, items)

    return Shape("an array", frozenset({list}), convert)


def _made(make: Callable[[list[Any]], Any], items: list[Any]) -> Any:
    try:
        return make(items)
    except TypeError:
        raise MismatchError("an item of a set is an object or an array") from None


def fixed_array(items: Sequence[Shape]) -> Shape:
    """Return the shape of an array whose items have a shape each."""
    expected = f"an array of {len(items)}"

    def convert(value: Any, memo: Memo) -> Any:
        if type(value) is not list:
            raise mismatch(expected, value)
        if len(value) != len(items):
            raise MismatchError(f"expected {expected}, got {len(value)}")
        converted: list[Any] = []
        try:
            for shape, each in zip(items, value, strict=True):
                converted.append(shape.convert(each, memo))
        except MismatchError as error:
            error.within(f"[{len(converted)}]")
            raise
        return tuple(converted)

    return Shape(expected, frozenset({list}), convert)


def mapping(key: Convert | None, item: Shape) -> Shape:
    """Return the shape of an object with any names.

    Args:
        key: converts its names; None for strings, which stay as they are.
        item: the shape of its values.
    """
    convert_item = item.convert

    def convert(value: Any, memo: Memo) -> Any:
        if type(value) is not dict:
            raise mismatch("an object", value)
        converted: dict[Any, Any] = {}
        try:
            for name, each in value.items():
                converted[name if key is None else key(name, memo)] = convert_item(each, memo)
        except MismatchError as error:
            error.within("[...]")  # a name may be a secret, as a value may be
            raise
        return converted

    return Shape("an object", frozenset({dict}), convert)


_FITS_NONE: Final = object()


def union(shapes: Sequence[Shape]) -> Shape:
    """Return the shape of what fits one of several; the first that fits counts.

    A union within a union would try a value again for each alternative of the outer one, which takes
    exponential time for nested values. So what was made of a value is remembered while its text is
    decoded.
    """
    by_kind = {kind: _candidates(shapes, kind) for kind in JSON_KINDS}
    expected = " or ".join(dict.fromkeys(shape.expected for shape in shapes))

    def convert(value: Any, memo: Memo) -> Any:
        candidates = by_kind[type(value)]
        if len(candidates) == 1:
            return candidates[0].convert(value, memo)
        if not candidates:
            raise mismatch(expected, value)
        key = id(by_kind), id(value)  # the text's values live as long as the memo
        found = memo.get(key, memo)
        if found is memo:
            found = memo[key] = _first_fitting(candidates, value, memo)
        if found is _FITS_NONE:
            names = " or ".join(shape.expected for shape in candidates)
            raise MismatchError(f"doesn't fit {names}")
        return found

    kinds = frozenset(kind for kind, candidates in by_kind.items() if candidates)
    return Shape(expected, kinds, convert)


def _candidates(shapes: Sequence[Shape], kind: type) -> list[Shape]:
    fitting = [shape for shape in shapes if kind in shape.kinds]
    if kind is int:  # a float takes an integer only if nothing else does
        fitting.sort(key=lambda shape: float in shape.kinds)
    return fitting


def _first_fitting(candidates: Sequence[Shape], value: Any, memo: Memo) -> Any:
    for shape in candidates:
        try:
            return shape.convert(value, memo)
        except MismatchError:
            continue
    return _FITS_NONE
