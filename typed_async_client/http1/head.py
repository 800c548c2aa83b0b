"""Serializes the head of an HTTP/1.1 request, after checking every character of it."""

import re

import httpcore

__all__ = ["encode_head"]

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN = re.compile(rb"[\x00\r\n]")
_TARGET = re.compile(rb"[\x21-\x7e]+")


def encode_head(request: httpcore.Request) -> bytes:
    """Serialize the request line and the headers.

    Raises:
        httpcore.LocalProtocolError: the method, the target or a header has an invalid character.
    """
    if not _TOKEN.fullmatch(request.method):
        raise httpcore.LocalProtocolError("Illegal method characters")
    if not _TARGET.fullmatch(request.url.target):
        raise httpcore.LocalProtocolError("Illegal target characters")
    _check_headers(request.headers)
    fields = b"".join([b"%b: %b\r\n" % field for field in request.headers])
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (request.method, request.url.target, fields)


def _check_headers(headers: list[tuple[bytes, bytes]]) -> None:
    """Check all names and values in one go, and one by one only to report the invalid one."""
    names = [name for name, _ in headers]
    values = b"".join([value for _, value in headers])
    if _TOKEN.fullmatch(b"".join(names)) and b"" not in names and not _FORBIDDEN.search(values):
        return
    for name, value in headers:
        if not _TOKEN.fullmatch(name):
            raise httpcore.LocalProtocolError(f"Illegal header name {name!r}")
        if _FORBIDDEN.search(value):
            raise httpcore.LocalProtocolError(f"Illegal header value of {name!r}")
