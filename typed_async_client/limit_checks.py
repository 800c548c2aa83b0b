"""Checks limits of httpx that httpx doesn't check itself, and fails with only when a request is sent. Pure."""

import math
from typing import Any

__all__ = ["check_limits", "check_timeout"]

_PHASES = ("connect", "read", "write", "pool")


def check_timeout(timeout: Any) -> None:
    """Check a timeout in one of the forms of httpx: seconds, a tuple of them, ``httpx.Timeout``.

    Raises:
        TypeError: it isn't a number of seconds.
        ValueError: it is negative, or not a number at all.
    """
    values = timeout if isinstance(timeout, tuple) else [timeout]
    if all(hasattr(timeout, phase) for phase in _PHASES):
        values = [getattr(timeout, phase) for phase in _PHASES]
    for value in values:
        if isinstance(value, str | bytes | bool):
            raise TypeError(f"timeout must be a number of seconds or None, got {value!r}")
        if isinstance(value, int | float) and (value < 0 or math.isnan(value)):
            raise ValueError(f"timeout must be >= 0 seconds, got {value!r}")


def check_limits(limits: Any) -> None:
    """Check the limits of a pool: an ``httpx.Limits``, or an object of another library like it.

    Raises:
        TypeError: it isn't one, or a number in it isn't an integer.
        ValueError: a number is too small.
    """
    for name, least in (("max_connections", 1), ("max_keepalive_connections", 0)):
        if not hasattr(limits, name):
            raise TypeError(f"limits must be an httpx.Limits, got {limits!r}")
        value = getattr(limits, name)
        if value is not None and type(value) is not int:
            raise TypeError(f"{name} must be an integer or None, got {value!r}")
        if value is not None and value < least:
            raise ValueError(f"{name} must be >= {least} or None, got {value!r}")
