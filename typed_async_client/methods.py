"""What an HTTP method may be."""

import re
from typing import Final

__all__ = ["checked_method"]

_COMMON: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""What RFC 9110 allows as a method: a token (sections 9.1 and 5.6.2)."""


def checked_method(method: str) -> str:
    """Return the method in upper case, as httpx sends it.

    Raises:
        ValueError: it isn't a token, as RFC 9110 section 9.1 requires.
    """
    if method in _COMMON:
        return method
    if not isinstance(method, str) or not _TOKEN.fullmatch(method):
        raise ValueError(
            f"invalid HTTP method {method!r:.100}: a method is a word such as GET or PROPFIND, of "
            "ASCII letters, digits and !#$%&'*+-.^_`|~"
        )
    return method.upper()
