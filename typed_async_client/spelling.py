"""Refuses unknown option names, and names the option that was probably meant. Pure."""

import difflib
from collections.abc import Collection, Iterable, Mapping

__all__ = ["check_names"]

_SIMILARITY = 0.6
"""How similar a name must be, from 0 to 1.

``tries`` and ``max_retries`` are at 0.62, ``stream`` and ``params`` at 0.5.
"""

_NOWHERE: Mapping[str, str] = {}


def check_names(
    kind: str,
    given: Iterable[str],
    known: Collection[str],
    elsewhere: Mapping[str, str] = _NOWHERE,
) -> None:
    """Check that every given name is a known one.

    Args:
        kind: what the names are, for the message: ``client option``.
        given: the names that the caller used.
        known: the names that exist.
        elsewhere: names that are known in another place, and what to do instead.

    Raises:
        TypeError: a name is unknown; the message names the most similar one, and all of them.

    Example:
        >>> check_names("request option", ["header"], ["headers", "json"])
        Traceback (most recent call last):
        ...
        TypeError: unknown request option 'header': did you mean 'headers'? Known are headers, json
    """
    unknown = sorted(name for name in given if name not in known)
    if not unknown:
        return
    plural = "s" if len(unknown) > 1 else ""
    names = ", ".join(repr(name) for name in unknown)
    meant = [_similar(name, [*elsewhere, *known]) for name in unknown]
    advice = "; ".join(dict.fromkeys(elsewhere[name] for name in meant if name in elsewhere))
    question = ", ".join(repr(name) for name in meant if name in known)
    hint = f"did you mean {question}? Known are" if question else "known are"
    hint = advice or f"{hint} {', '.join(sorted(known))}"
    raise TypeError(f"unknown {kind}{plural} {names}: {hint}")


def _similar(name: str, known: Collection[str]) -> str:
    return next(iter(difflib.get_close_matches(name.lower(), known, 1, _SIMILARITY)), "")
