"""Reads JSON strictly: what RFC 8259 doesn't allow, or leaves to chance, is an error.

If an object has a name twice, its last value counts, as in most libraries.
"""

import json
import re
from typing import Any, Final, NoReturn

__all__ = ["read_json", "without_bom"]

_BOM: Final = b"\xef\xbb\xbf"
"""A byte order mark in UTF-8, which a reader may ignore (RFC 8259 section 8.1)."""

_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def read_json(content: bytes) -> Any:
    """Return the value of a JSON text in UTF-8.

    Raises:
        ValueError: it isn't one, contains NaN or infinity, half of a surrogate pair, or an integer
            with more digits than Python converts.
        RecursionError: it is nested too deeply.

    Example:
        >>> read_json(b'{"id": 1}')
        {'id': 1}
    """
    value = json.loads(without_bom(content).decode("utf-8"), parse_constant=_refuse_constant)
    if _SURROGATE.search(content):
        _check_surrogates(value)
    return value


def without_bom(content: bytes) -> bytes:
    """Return a text without its byte order mark."""
    return content.removeprefix(_BOM)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} isn't allowed in JSON")


def _check_surrogates(value: Any) -> None:
    """Refuse half of a surrogate pair: such a string can't be encoded, so it fails later and elsewhere."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("a string contains half of a surrogate pair") from None
