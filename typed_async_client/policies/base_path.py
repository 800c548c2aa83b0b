"""Whether a path stays below the one that it is appended to, however a server reads it.

Pure: text in, a decision out. RFC 3986 section 5.2.4 removes dot segments from the path as it was
written. Servers and proxies also decode ``%2e``, ``%2f`` and ``%5c`` first, some of them twice; take a
backslash for a slash; merge several slashes; or drop what follows a ``;`` in a segment. A path that leaves
in any of these readings is taken to leave.
"""

import re
from typing import Final

__all__ = ["leaves_base"]

_DOT: Final = re.compile(r"%(?:25)*2e", re.IGNORECASE)
_SLASH: Final = re.compile(r"%(?:25)*(?:2f|5c)|\\", re.IGNORECASE)
_PARAMETER: Final = re.compile(r"(?:;|%(?:25)*3b).*", re.IGNORECASE | re.DOTALL)
_TWO_DOTS: Final = re.compile(r"(?:\.|%(?:25)*2e){2}", re.IGNORECASE)


def leaves_base(path: str) -> bool:
    """Whether the dot segments of a path lead out of the path that it is appended to.

    Args:
        path: the path, as it is written in a URL, without the query.

    Example:
        >>> leaves_base("reports/../orders"), leaves_base("reports/%2e%2e/../orders")
        (False, True)
    """
    if not _TWO_DOTS.search(path):
        return False
    depth = 0
    for segment in path.split("/"):
        pieces = _pieces_of(segment)
        ups = pieces.count("..")
        depth -= ups
        if depth < 0:
            return True
        # An encoded slash may count as one, so what is beside dots in a segment doesn't make up for them.
        if not ups and any(piece not in {"", "."} for piece in pieces):
            depth += 1
    return False


def _pieces_of(segment: str) -> list[str]:
    """Return the segments that a server may see in what is one segment as it is written."""
    decoded = _SLASH.sub("/", _DOT.sub(".", segment))
    return [_PARAMETER.sub("", piece) for piece in decoded.split("/")]
