"""Turns the body of a request into what each of its attempts sends, when the request is submitted.

``json=`` and ``data=`` become bytes: nothing needs to be copied then, as a deep copy of a large JSON value
takes several times as long as encoding it, and holds up the event loop. What is read while it is sent
becomes a ``StreamedBody``.
"""

import os
import warnings
from collections.abc import Mapping
from types import AsyncGeneratorType, GeneratorType
from typing import Any

import httpx

from typed_async_client.errors import RequestBodyConsumedError
from typed_async_client.forks import class_for
from typed_async_client.libraries import is_from
from typed_async_client.sources.streamed import StreamedBody, as_body

__all__ = ["encode_body"]


def encode_body(options: dict[str, Any], client: Any) -> None:
    """Replace ``json`` or ``data`` among the options of a request with ``content``, in place.

    As in httpx, ``data`` that isn't a form is content; else ``content`` comes before ``files``, then
    ``data``, then ``json``, and a ``Content-Type`` of the request or of the client is kept. A form
    with files is left to httpx, because it is streamed; it gets a boundary here, since httpx would
    choose another one for each attempt, and a server that compares the bodies of requests with the
    same key would refuse them.

    Args:
        options: the options of the request.
        client: the httpx client that will send it.

    Raises:
        RequestBodyConsumedError: ``content`` is a generator that has ended.
        TypeError: a value isn't serializable as JSON, or ``content`` can't be sent.
        ValueError: a JSON number is infinite or not a number (RFC 8259 section 6), ``content`` is a
            closed file, or a file that has another size than the ``Content-Length`` that was given.
    """
    data, json = options.get("data"), options.get("json")
    if data is not None and not isinstance(data, Mapping | str | bytes):
        warnings.warn(_NOT_A_FORM, DeprecationWarning, stacklevel=2)
        options["content"] = options.pop("data")
    if options.get("content") is not None:
        _choose_content(options, client)
        return
    if options.get("files"):
        _choose_boundary(options, client)
        return
    if isinstance(data, str | bytes) or not (data or json is not None):
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


def _choose_content(options: dict[str, Any], client: Any) -> None:
    """Replace content that is read while it is sent; declare its length, if that is known."""
    _check_not_ended(options["content"])
    content = options["content"] = as_body(options["content"])
    if not isinstance(content, StreamedBody):
        return
    content.error_class = class_for(RequestBodyConsumedError, client)
    if content.length is not None:
        _declare_length(options, content.length, getattr(client, "headers", None))


def _declare_length(options: dict[str, Any], length: int, of_client: Any) -> None:
    headers = httpx.Headers(options.get("headers"))
    common = of_client if isinstance(of_client, Mapping) else {}
    given = headers.get("Content-Length", common.get("Content-Length"))
    if given is not None and given.strip() != str(length):
        raise ValueError(
            f"Content-Length is {given}, but the file has {length} bytes from its position on: leave "
            "the header out"
        )
    is_chunked = "Transfer-Encoding" in headers or "Transfer-Encoding" in common
    if given is None and not is_chunked:
        headers["Content-Length"] = str(length)
        options["headers"] = headers


def _choose_boundary(options: dict[str, Any], client: Any) -> None:
    headers = httpx.Headers(options.get("headers"))
    has_type = "Content-Type" in headers or "Content-Type" in getattr(client, "headers", ())
    if is_from(client, "httpx", "httpx2") and not has_type:
        boundary = os.urandom(16).hex()
        headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
        options["headers"] = headers


_NOT_A_FORM = "data that isn't a mapping is sent as content: pass content=..."


def _check_not_ended(content: Any) -> None:
    has_ended = (isinstance(content, AsyncGeneratorType) and content.ag_frame is None) or (
        isinstance(content, GeneratorType) and content.gi_frame is None
    )
    if has_ended:
        raise RequestBodyConsumedError(
            "content is a generator that has ended, and would send an empty body: call its "
            "function again"
        )
