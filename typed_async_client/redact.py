"""Removes user names, passwords, and signed or secret values of URLs from what is printed.

Pure: text in, text out. It works on any text, so error messages that quote a URL are redacted too.
"""

import re
from urllib.parse import unquote_plus

__all__ = ["one_line", "redact", "redacted_repr"]

_USERINFO = re.compile(r"://[^/?#\s]+@")
_PARAMETER = re.compile(r"([?&;#])([^=?&;#\s]+)=[^&;#\s]*")
_SECRET_NAME = re.compile(
    r"sig$|signature|token|secret|passw|credential|(api|access|private|shared)[-_]?key|^key$"
    r"|auth|session|jwt|hmac|^code$",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """Replace user names, passwords and secret query values with ``REDACTED``.

    Example:
        >>> redact("GET https://ann:pw@example.org/a?page=2&X-Amz-Signature=8f2")
        'GET https://REDACTED:REDACTED@example.org/a?page=2&X-Amz-Signature=REDACTED'
    """
    return _PARAMETER.sub(_redact_parameter, _USERINFO.sub("://REDACTED:REDACTED@", text))


def one_line(text: str) -> str:
    """Return the text redacted and on one line.

    An error message may contain bytes from the server, so control characters are replaced.
    """
    return "".join(c if c.isprintable() else "?" for c in " ".join(redact(text).split()))


def redacted_repr(value: object) -> str:
    """Return the ``repr`` of a value, redacted and on one line; of an error, with its message."""
    return one_line(repr(value))


def _redact_parameter(parameter: re.Match[str]) -> str:
    separator, name = parameter.groups()
    if _SECRET_NAME.search(unquote_plus(name)):
        return f"{separator}{name}=REDACTED"
    return parameter.group()
