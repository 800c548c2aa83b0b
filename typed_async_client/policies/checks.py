"""Checks of the values of options, made when a client, a policy or a context is created."""

import enum
import math
from collections.abc import Collection, Iterable
from typing import Any, Final, TypeVar

__all__ = [
    "checked_exceptions",
    "checked_members",
    "checked_statuses",
    "require_bool",
    "require_count",
    "require_number",
    "require_one_of",
    "wrong_option",
]

MemberT = TypeVar("MemberT", bound=enum.Enum)

_STATUSES: Final = range(200, 1000)
"""The statuses of final responses, registered or not."""


def wrong_option(name: str, expected: str, value: object) -> ValueError:
    """Return the error that refuses the value of an option, whatever is wrong with it."""
    return ValueError(f"{name} must be {expected}, got {value!r}")


def require_count(name: str, value: object, *, at_least: int = 0, or_none: bool = False) -> None:
    """Raise ``ValueError`` unless ``value`` is an integer that isn't too small.

    Args:
        name: the option, for the message.
        value: what the caller passed.
        at_least: the smallest integer allowed.
        or_none: whether None is allowed as well.
    """
    if (value is None and or_none) or (type(value) is int and value >= at_least):
        return
    raise wrong_option(name, f"an integer >= {at_least}{' or None' if or_none else ''}", value)


def require_number(
    name: str,
    value: object,
    *,
    at_least: float = 0.0,
    above: float | None = None,
    at_most: float = math.inf,
    finite: bool = True,
) -> None:
    """Raise ``ValueError`` unless ``value`` is a number within the limits.

    Args:
        name: the option, for the message.
        value: what the caller passed.
        at_least: the smallest number allowed; ignored if ``above`` is given.
        above: a number that must be exceeded; None for none.
        at_most: the largest number allowed.
        finite: whether infinity is refused, which stands for no limit elsewhere.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        is_enough = value >= at_least if above is None else value > above
        if is_enough and value <= at_most and _is_float(value, finite=finite):
            return
    lower = f">= {at_least:g}" if above is None else f"> {above:g}"
    upper = "" if at_most == math.inf else f" and <= {at_most:g}"
    raise wrong_option(name, f"a {'finite ' if finite else ''}number {lower}{upper}", value)


def require_bool(name: str, value: object) -> None:
    """Raise ``ValueError`` unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise wrong_option(name, "True or False", value)


def require_one_of(name: str, value: object, choices: Collection[str]) -> None:
    """Raise ``ValueError`` unless ``value`` is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise wrong_option(name, f"one of {', '.join(choices)}", value)


def checked_statuses(name: str, values: object) -> frozenset[int]:
    """Return statuses as a set.

    Raises:
        ValueError: they aren't a collection, or one of them isn't the status of a response.
    """
    statuses = _items(name, values, "statuses, such as {502, 503}")
    for status in statuses:
        if type(status) is not int or status not in _STATUSES:
            raise wrong_option(name, "integers from 200 to 999", status)
    return frozenset(statuses)


def checked_members(name: str, values: object, kind: type[MemberT]) -> frozenset[MemberT]:
    """Return members of an enumeration as a set.

    Raises:
        ValueError: they aren't a collection, or contain something else.
    """
    members = _items(name, values, f"members of {kind.__name__}")
    for member in members:
        if not isinstance(member, kind):
            raise wrong_option(name, f"members of {kind.__name__}", member)
    return frozenset(members)


def checked_exceptions(name: str, value: object) -> tuple[type[Exception], ...]:
    """Return one class of exceptions, or several, as a tuple.

    Raises:
        ValueError: it isn't, or includes one that isn't an ``Exception``, such as a cancellation.
    """
    classes = [value] if isinstance(value, type) else _items(name, value, "exception classes")
    for each in classes:
        if not isinstance(each, type) or not issubclass(each, Exception):
            raise wrong_option(name, "subclasses of Exception", each)
    return tuple(classes)


def _items(name: str, values: object, what: str) -> list[Any]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise wrong_option(name, f"a collection of {what}", values)
    return list(values)


def _is_float(value: float, *, finite: bool) -> bool:
    try:
        return math.isfinite(value) or not finite
    except OverflowError:  # an integer too large for a float
        return False
