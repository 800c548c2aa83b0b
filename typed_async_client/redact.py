"""Removes user names, passwords, and signed or secret values of URLs from what is printed.

Pure: text in, text out. It works on any text, so error messages that quote a URL are redacted too.
"""

import re
from urllib.parse import unquote_plus

__all__ = ["error_line", "one_line", "redact", "redacted_repr"]

_ENCODED = "%(?:25)*"
"""Starts an encoded character: a URL may be a parameter of another, and that of a third one."""

_USERINFO = re.compile(r"(?<![^\s:'\"(<=])//[^/?#\s]+@")
_ENCODED_USERINFO = re.compile(
    rf"({_ENCODED}3A(?:{_ENCODED}2F){{2}})(?:(?!{_ENCODED}[23]F)[^/?#&\s])+{_ENCODED}40",
    re.IGNORECASE,
)
_NAME = re.compile(
    rf"(?:[?&;#]|{_ENCODED}(?:3F|3B|26|23))"
    rf"((?:(?!{_ENCODED}(?:3[BDF]|2[36]))[^=?&;#\s])+)"
    rf"(?:=|{_ENCODED}3D)",
    re.IGNORECASE,
)
_END_OF_VALUE = re.compile(r"[&#]|:?\s|$")
"""A colon before a blank belongs to the sentence that quotes the URL."""
_SECRET_NAME = re.compile(
    r"sig$|^sign$|signature|token|secret|passw|^pass$|passphrase|pwd|^otp$|^creds?$|credential"
    r"|(api|access|private|shared|app|client|master|account|licen[cs]e|subscription|encryption)"
    r"[-_]?key|^key$|auth|session|(^|[-_.])sid$|sess_?id|jwt|hmac|bearer|assertion|^saml|verifier"
    r"|[cx]srf|^sas$|^code$",
    re.IGNORECASE,
)
_UNPARSED = re.compile(r"(Invalid (?:port|IDNA hostname|IPv[46] address): )(?:'[^']*'|\"[^\"]*\")")
"""What httpx quotes of an invalid URL, which may be a piece of a password."""


def redact(text: str) -> str:
    """Replace user names, passwords and secret query values with ``REDACTED``.

    Example:
        >>> redact("GET https://ann:pw@example.org/a?page=2&X-Amz-Signature=8f2")
        'GET https://REDACTED:REDACTED@example.org/a?page=2&X-Amz-Signature=REDACTED'
    """
    text = _USERINFO.sub("//REDACTED:REDACTED@", text)
    text = _ENCODED_USERINFO.sub(r"\1REDACTED%40", text)
    return _without_secret_values(text)


def one_line(text: str) -> str:
    """Return the text redacted and on one line.

    An error message may contain bytes from the server, so control characters are replaced.
    """
    return "".join(c if c.isprintable() else "?" for c in " ".join(redact(text).split()))


def error_line(error: BaseException | None) -> str:
    """Return the message of an error, redacted and on one line."""
    return _UNPARSED.sub(r"\1REDACTED", one_line(str(error)))


def redacted_repr(value: object) -> str:
    """Return the ``repr`` of a value, redacted and on one line; of an error, with its message."""
    return _UNPARSED.sub(r"\1REDACTED", one_line(repr(value)))


def _without_secret_values(text: str) -> str:
    parts: list[str] = []
    start = 0
    for named in _NAME.finditer(text):
        if named.start() >= start and _SECRET_NAME.search(unquote_plus(named[1])):
            parts += text[start : named.end()], "REDACTED"
            start = _end_of_value(text, named.end())
    return "".join([*parts, text[start:]])


def _end_of_value(text: str, start: int) -> int:
    ending = _END_OF_VALUE.search(text, start)
    return len(text) if ending is None else ending.start()
