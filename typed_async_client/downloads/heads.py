"""Reads what a download needs of a response's head, and builds the headers that ask for the rest."""

from typing import Any, Final

import httpx

from typed_async_client.downloads.decisions import Head, Held
from typed_async_client.facts import raw_headers
from typed_async_client.httpx_types import HeaderTypes

__all__ = ["check_headers", "head_of", "headers_of", "range_headers", "takes_coded"]

_OURS: Final = ("range", "if-range")

_CODINGS: Final = b"accept-encoding"


def check_headers(headers: HeaderTypes | None) -> list[tuple[bytes, bytes]]:
    """Return the headers of a download, without those that it adds.

    Raises:
        ValueError: they hold one that it sets itself.
    """
    raw = raw_headers(headers)
    for name, _ in raw:
        text = name.decode("latin-1")
        if text.lower() in _OURS:
            raise ValueError(
                f"a download sets the header {text} itself: to fetch a part of a file, use "
                "client.stream()"
            )
    return raw


def takes_coded(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the caller has asked for content codings, and gets the file as it is sent."""
    return any(name.lower() == _CODINGS for name, _ in headers)


def range_headers(headers: list[tuple[bytes, bytes]], held: Held) -> list[tuple[bytes, bytes]]:
    """Return the headers of a request for what is missing on the disk.

    Compressed files have other lengths and positions from one response to the next, so none is asked
    for, unless the caller does.

    Args:
        headers: those of the caller.
        held: what is on the disk.
    """
    added = [] if takes_coded(headers) else [(b"Accept-Encoding", b"identity")]
    if held.size and held.validator is not None:
        added.append((b"Range", b"bytes=%d-" % held.size))
        added.append((b"If-Range", held.validator.value.encode("latin-1")))
    return [*headers, *added]


def head_of(response: Any) -> Head:
    """Read the head of a response of httpx or httpx2."""
    found: dict[str, str] = {}
    for name, value in response.headers.raw:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return Head(
        status=response.status_code,
        etag=found.get("etag"),
        last_modified=found.get("last-modified"),
        date=found.get("date"),
        content_range=found.get("content-range"),
        content_length=found.get("content-length"),
        content_encoding=found.get("content-encoding"),
        content_type=found.get("content-type"),
    )


def headers_of(response: Any) -> httpx.Headers:
    """Return a copy of the headers of a response of httpx or httpx2."""
    return httpx.Headers([*response.headers.raw])
