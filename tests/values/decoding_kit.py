"""Decodes bodies as the client does, for tests of decoders."""

from collections.abc import Sequence
from typing import Any

import httpx

from typed_async_client import DecodeError, ResponseDecoder
from typed_async_client.decoding.choice import decoding_for

REQUEST = httpx.Request("GET", "https://api.test/orders?token=secret")

__all__ = ["answered", "decode", "failure"]


def answered(content: bytes, content_type: str = "", status: int = 200) -> httpx.Response:
    """Create a response with that body."""
    headers = {"content-type": content_type} if content_type else {}
    return httpx.Response(status, content=content, headers=headers, request=REQUEST)


def decode(
    model: Any, content: bytes, content_type: str = "", own: Sequence[ResponseDecoder] = ()
) -> Any:
    """Return what a body is decoded as, or raise."""
    value, error = decoding_for(model, own)(answered(content, content_type))
    if error is not None:
        raise error
    return value


def failure(model: Any, content: bytes, own: Sequence[ResponseDecoder] = ()) -> str:
    """Return why a body can't be decoded, without what names the request and the type."""
    value, error = decoding_for(model, own)(answered(content))
    assert value is None
    assert type(error) is DecodeError
    return str(error).split(": ", 3)[3]
