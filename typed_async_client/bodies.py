"""Turns ``json=`` and ``data=`` into bytes when a request is submitted.

Each attempt then sends the same bytes, and nothing needs to be copied: a deep copy of a large JSON value
takes several times as long as encoding it, and holds up the event loop.
"""

import os
from collections.abc import Mapping
from types import AsyncGeneratorType, GeneratorType
from typing import Any

import httpx

from typed_async_client.errors import RequestBodyConsumedError
from typed_async_client.libraries import is_from

__all__ = ["encode_body"]


def encode_body(options: dict[str, Any], client: Any) -> None:
    """Replace ``json`` or ``data`` among the options of a request with ``content``, in place.

    As in httpx, ``content`` comes before ``files``, then ``data``, then ``json``, and a
    ``Content-Type`` of the request or of the client is kept. A form with files is left to httpx,
    because it is streamed; it gets a boundary here, since httpx would choose another one for each
    attempt, and a server that compares the bodies of requests with the same key would refuse them.

    Args:
        options: the options of the request.
        client: the httpx client that will send it.

    Raises:
        RequestBodyConsumedError: ``content`` is a generator that has ended.
        TypeError: a value isn't serializable as JSON.
        ValueError: a JSON number is infinite or not a number (RFC 8259 section 6).
    """
    _check_not_ended(options.get("content"))
    data, json = options.get("data"), options.get("json")
    is_form = data is None or isinstance(data, Mapping)  # else httpx takes it as content
    is_streamed = options.get("content") is not None or options.get("files")
    if options.get("content") is None and options.get("files"):
        _choose_boundary(options, client)
    if is_streamed or not is_form or not (data or json is not None):
        return
    encoded = httpx.Request("POST", "http://localhost/", data=data, json=json)
    options["content"] = encoded.content
    options.pop("data", None)
    options.pop("json", None)
    headers = httpx.Headers(options.get("headers"))
    for name in ("Content-Length", "Content-Type"):  # in the order of httpx
        if name not in headers and name not in getattr(client, "headers", ()):
            headers[name] = encoded.headers[name]
    options["headers"] = headers


def _choose_boundary(options: dict[str, Any], client: Any) -> None:
    headers = httpx.Headers(options.get("headers"))
    has_type = "Content-Type" in headers or "Content-Type" in getattr(client, "headers", ())
    if is_from(client, "httpx", "httpx2") and not has_type:
        boundary = os.urandom(16).hex()
        headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
        options["headers"] = headers


def _check_not_ended(content: Any) -> None:
    has_ended = (isinstance(content, AsyncGeneratorType) and content.ag_frame is None) or (
        isinstance(content, GeneratorType) and content.gi_frame is None
    )
    if has_ended:
        raise RequestBodyConsumedError(
            "content is a generator that has ended, and would send an empty body: call its "
            "function again"
        )
