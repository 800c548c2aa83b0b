"""Checks of the options of policies, made when they are created."""

import math

__all__ = ["require_bool", "require_count", "require_number"]


def require_count(name: str, value: object, *, at_least: int = 0) -> None:
    """Raise ``ValueError`` unless ``value`` is an integer that isn't too small.

    Args:
        name: the option, for the message.
        value: what the caller passed.
        at_least: the smallest integer allowed.
    """
    if type(value) is not int or value < at_least:
        raise ValueError(f"{name} must be an integer >= {at_least}, got {value!r}")


def require_number(
    name: str,
    value: object,
    *,
    at_least: float = 0.0,
    above: float | None = None,
    at_most: float = math.inf,
) -> None:
    """Raise ``ValueError`` unless ``value`` is a finite number within the limits.

    Args:
        name: the option, for the message.
        value: what the caller passed.
        at_least: the smallest number allowed; ignored if ``above`` is given.
        above: a number that must be exceeded; None for none.
        at_most: the largest number allowed.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        is_enough = value >= at_least if above is None else value > above
        if is_enough and value <= at_most and _is_finite(value):
            return
    lower = f">= {at_least:g}" if above is None else f"> {above:g}"
    upper = "" if at_most == math.inf else f" and <= {at_most:g}"
    raise ValueError(f"{name} must be a finite number {lower}{upper}, got {value!r}")


def require_bool(name: str, value: object) -> None:
    """Raise ``ValueError`` unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")  # noqa: TRY004 - as for any other option


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer too large for a float
        return False
