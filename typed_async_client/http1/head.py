"""Serializes the head of an HTTP/1.1 request, which ``wire/request_rules.py`` has checked."""

import httpcore

__all__ = ["encode_head"]


def encode_head(request: httpcore.Request) -> bytes:
    """Serialize the request line and the headers."""
    fields = b"".join([b"%b: %b\r\n" % field for field in request.headers])
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (request.method, request.url.target, fields)
