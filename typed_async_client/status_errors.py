"""Turns a response with a status of 400 or above into an error, for callers who want it raised."""

import re
from typing import Any, Final

from typed_async_client.errors import StatusError
from typed_async_client.redact import one_line

__all__ = ["FIRST_ERROR", "status_error"]

FIRST_ERROR: Final = 400
"""The first status that tells of a failure (RFC 9110 sections 15.5 and 15.6)."""

_SHOWN: Final = 200
"""Characters of a body in a message."""

_TEXTUAL = re.compile(r"\s*(?:text/|application/(?:[\w.+-]+\+)?(?:json|xml)\b)", re.IGNORECASE)


def status_error(response: Any) -> StatusError:
    """Return the error for a response whose body has been read.

    Args:
        response: the response, of httpx or httpx2.

    Example:
        >>> request = httpx.Request("GET", "https://api.test/items")
        >>> status_error(httpx.Response(404, text="no such item", request=request))
        StatusError('GET https://api.test/items: 404 Not Found: no such item')
    """
    request = response.request
    status = f"{response.status_code} {response.reason_phrase}".rstrip()
    parts = [f"{request.method} {one_line(str(request.url))}", status, _beginning_of(response)]
    return StatusError(": ".join(filter(None, parts)), request=request, response=response)


def _beginning_of(response: Any) -> str:
    """Return the first characters of a textual body, on one line; empty for any other."""
    if not _TEXTUAL.match(response.headers.get("content-type", "")):
        return ""
    start = response.content[: 4 * _SHOWN]  # no character takes more bytes
    try:
        text = start.decode(response.charset_encoding or "utf-8", "replace")
    except LookupError:
        text = start.decode("utf-8", "replace")
    return one_line(text)[:_SHOWN].rstrip()
