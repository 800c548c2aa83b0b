"""Translates the heads of messages between HTTP/1.1's form, which httpcore has, and HTTP/2's.

A head that RFC 9113 section 8.2 or 8.3 calls malformed is refused. That ends its stream only.
"""

import re
from typing import NamedTuple

import httpcore

__all__ = ["Fields", "Headers", "ResponseHead", "request_fields"]

Headers = list[tuple[bytes, bytes]]
"""Names and values."""

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_STATUS = re.compile(rb"[1-9][0-9][0-9]")
_LENGTH = re.compile(rb"[0-9]{1,20}")

_OF_CONNECTION = frozenset(
    [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"]
)
"""Headers that only HTTP/1.1 has, RFC 9113 section 8.2.2."""

_NOT_SENT = _OF_CONNECTION | {b"host", b"te"}

_SWITCHING_PROTOCOLS = 101


def request_fields(request: httpcore.Request) -> Headers:
    """Return the fields of a request: pseudo-header fields first, then its headers in lower case.

    Args:
        request: a request that keeps the rules of ``wire/request_rules.py``.
    """
    authority, trailers, fields = b"", False, []
    for name, value in request.headers:
        lowered = name.lower()
        if lowered not in _NOT_SENT:
            fields.append((lowered, value))
        elif lowered == b"host":
            authority = value
        elif lowered == b"te":
            trailers = trailers or b"trailers" in value.lower()
    if trailers:
        fields.append((b"te", b"trailers"))
    if request.method == b"CONNECT":  # RFC 9113 section 8.5
        return [(b":method", request.method), (b":authority", authority), *fields]
    url = request.url
    return [
        (b":method", request.method),
        (b":authority", authority),
        (b":scheme", url.scheme),
        (b":path", url.target),
        *fields,
    ]


class ResponseHead(NamedTuple):
    """The head of a response.

    Attributes:
        status: the status code.
        headers: names and values.
        length: the declared length of the body, in bytes; None if there is none.
    """

    status: int
    headers: Headers
    length: int | None


class Fields:
    """The fields of a head or of trailers, which are checked only once, however many streams have them.

    Args:
        fields: the fields, as they were received.
    """

    __slots__ = ("_fields", "_head")

    def __init__(self, fields: Headers) -> None:
        self._fields = fields
        self._head: ResponseHead | None = None

    def head(self) -> ResponseHead:
        """Return them as the head of a response.

        Raises:
            httpcore.RemoteProtocolError: it is malformed.
        """
        if self._head is None:
            status, headers = _response_head(self._fields)
            self._head = ResponseHead(status, headers, _declared_length(headers))
        return self._head

    def interim_status(self) -> int:
        """Return the status of an interim response.

        Raises:
            httpcore.RemoteProtocolError: it is malformed.
        """
        return _response_head(self._fields)[0]

    def trailers(self) -> Headers:
        """Return them as trailers.

        Raises:
            httpcore.RemoteProtocolError: they are malformed.
        """
        return _checked(self._fields)


def _response_head(fields: Headers) -> tuple[int, Headers]:
    """Return the status and the headers of a response."""
    name, value = fields[0] if fields else (b"", b"")
    if name != b":status":
        raise _malformed("it doesn't start with :status")
    if not _STATUS.fullmatch(value):
        raise _malformed("its :status isn't a status code")
    status = int(value)
    if status == _SWITCHING_PROTOCOLS:
        raise _malformed("101 Switching Protocols doesn't exist in HTTP/2")
    return status, _checked(fields[1:])


def _declared_length(headers: Headers) -> int | None:
    """Return the length that all Content-Length headers agree on."""
    values = {value for name, value in headers if name == b"content-length"}
    if not values:
        return None
    lengths = {length.strip(b" \t") for length in b",".join(values).split(b",")}
    if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
        raise _malformed("its content-length isn't one number")
    return int(lengths.pop())


def _checked(headers: Headers) -> Headers:
    names = [name for name, _ in headers]
    if names and not (_NAME.fullmatch(b"".join(names)) and b"" not in names):
        raise _malformed(_wrong_name(names))
    if not _OF_CONNECTION.isdisjoint(names):
        wrong = next(name for name in names if name in _OF_CONNECTION)
        raise _malformed(f"the header {wrong.decode()!r} is for HTTP/1.1 only")
    if not _VALUE.fullmatch(b"".join([value for _, value in headers])):
        raise _malformed("a header value has a control character")
    return headers


def _wrong_name(names: list[bytes]) -> str:
    wrong = next(name for name in names if not _NAME.fullmatch(name))
    if wrong.startswith(b":"):
        return "it has a pseudo-header field that doesn't belong there"
    return "a header name is empty, not in lower case, or has an invalid character"


def _malformed(reason: str) -> httpcore.RemoteProtocolError:
    return httpcore.RemoteProtocolError(f"the head of the response is malformed: {reason}")
