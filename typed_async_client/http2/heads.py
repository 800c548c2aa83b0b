"""Translates the heads of messages between HTTP/1.1's form, which httpcore has, and HTTP/2's.

A head that RFC 9113 section 8.2 or 8.3 calls malformed is refused. That ends its stream only.
"""

import re
from collections.abc import Sequence

import httpcore

__all__ = ["Headers", "check_length", "request_fields", "response_head", "trailer_fields"]

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
    lowered = [(name.lower(), value) for name, value in request.headers]
    authority = next(value for name, value in lowered if name == b"host")
    fields = [(b":method", request.method), (b":authority", authority)]
    if request.method != b"CONNECT":  # RFC 9113 section 8.5
        fields += [(b":scheme", request.url.scheme), (b":path", request.url.target)]
    fields += [field for field in lowered if field[0] not in _NOT_SENT]
    if any(name == b"te" and b"trailers" in value.lower() for name, value in lowered):
        fields.append((b"te", b"trailers"))
    return fields


def response_head(fields: Sequence[tuple[bytes, bytes]]) -> tuple[int, Headers]:
    """Return the status and the headers of a response.

    Raises:
        httpcore.RemoteProtocolError: the head is malformed.
    """
    name, value = fields[0] if fields else (b"", b"")
    if name != b":status":
        raise _malformed("it doesn't start with :status")
    if not _STATUS.fullmatch(value):
        raise _malformed("its :status isn't a status code")
    status = int(value)
    if status == _SWITCHING_PROTOCOLS:
        raise _malformed("101 Switching Protocols doesn't exist in HTTP/2")
    return status, _checked(fields[1:])


def trailer_fields(fields: Sequence[tuple[bytes, bytes]]) -> Headers:
    """Return the trailers of a response.

    Raises:
        httpcore.RemoteProtocolError: they are malformed.
    """
    return _checked(fields)


def check_length(headers: Headers) -> int | None:
    """Return the declared length of a body, in bytes; None if there is none.

    Raises:
        httpcore.RemoteProtocolError: it isn't a number, or there are several that differ.
    """
    values = {value for name, value in headers if name == b"content-length"}
    if not values:
        return None
    lengths = {length.strip(b" \t") for length in b",".join(values).split(b",")}
    if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
        raise _malformed("its content-length isn't one number")
    return int(lengths.pop())


def _checked(fields: Sequence[tuple[bytes, bytes]]) -> Headers:
    headers = [(bytes(name), bytes(value)) for name, value in fields]
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
