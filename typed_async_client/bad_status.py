"""Turns a response with a status of 400 or above into an error, for callers who want it raised."""

import re
from typing import Any, Final

from typed_async_client.charsets import charset_of
from typed_async_client.facts import request_of
from typed_async_client.record import RequestRecord
from typed_async_client.redact import one_line
from typed_async_client.status_errors import StatusError, status_class

__all__ = ["FIRST_ERROR", "status_error"]

FIRST_ERROR: Final = 400
"""The first status that tells of a failure (RFC 9110 sections 15.5 and 15.6)."""

_SHOWN: Final = 200
"""Characters of a body in a message."""

_TEXTUAL = re.compile(r"\s*(?:text/|application/(?:[\w.+-]+\+)?(?:json|xml)\b)", re.IGNORECASE)


def status_error(response: Any, record: RequestRecord) -> StatusError:
    """Return the error for a response whose body has been read.

    Args:
        response: the response, of httpx or httpx2.
        record: the request that was asked for; a redirect may have led to another.

    Example:
        >>> request = httpx.Request("GET", "https://api.test/items")
        >>> response = httpx.Response(404, text="no such item", request=request)
        >>> status_error(response, RequestRecord("GET", "https://api.test/items"))
        NotFoundError('GET https://api.test/items: 404 Not Found: no such item')
    """
    request = request_of(response)
    asked = f"{record.method} {record.url}"
    if request is not None:
        asked = f"{request.method} {one_line(str(request.url))}"
    reason = one_line(str(response.reason_phrase))[:_SHOWN]
    parts = [asked, f"{response.status_code} {reason}".rstrip(), _beginning_of(response)]
    kind = status_class(response.status_code)
    return kind(": ".join(filter(None, parts)), request=request, response=response)


def _beginning_of(response: Any) -> str:
    """Return the first characters of a textual body, on one line; empty for any other."""
    kind, _, parameters = response.headers.get("content-type", "").partition(";")
    if not _TEXTUAL.match(kind):
        return ""
    start = response.content[: 4 * _SHOWN]  # no character takes more bytes
    text = start.decode(charset_of(parameters) or "utf-8", "replace")
    return one_line(text)[:_SHOWN].rstrip()
