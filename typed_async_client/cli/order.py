"""What ``get`` is asked for: the words of the command line, checked, as one frozen value.

Pure: it sends nothing and prints nothing. Its messages never quote a URL or the value of a
header, which may be secrets.
"""

import dataclasses
import math
import os
import re
from collections.abc import Sequence

import httpx

from typed_async_client.cli.redact import one_line

__all__ = ["Order", "UsageError", "check_order", "read_header", "read_url"]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A field name of RFC 9110 section 5.1."""

_PORTS = 65_536

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class UsageError(ValueError):
    """The command line is wrong; the message says what, and how to write it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One request to make.

    Attributes:
        url: where to; http or https.
        headers: names and values as they are sent.
        retries: attempts after a failed first one, >= 0.
        timeout: seconds that connecting, and each wait for the server, may take, > 0.
        follow: whether redirects are followed.
    """

    url: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    retries: int = 2
    timeout: float = 10.0
    follow: bool = False


def check_order(
    url: str, headers: Sequence[str], *, retries: int, timeout: float, follow: bool
) -> Order:
    """Read the words of the command line.

    Raises:
        UsageError: one of them is wrong.
    """
    if retries < 0:
        raise UsageError(f"--retry must be 0 or more, got {retries}")
    if not (timeout > 0 and math.isfinite(timeout)):
        raise UsageError(f"--timeout must be a number of seconds above 0, got {timeout}")
    return Order(
        url=read_url(url),
        headers=tuple(read_header(number, text) for number, text in enumerate(headers, 1)),
        retries=retries,
        timeout=timeout,
        follow=follow,
    )


def read_url(text: str) -> str:
    """Give the URL, when a request can be sent to it.

    Raises:
        UsageError: it cannot be read, has another scheme than http and https, or no host.
    """
    try:
        url = httpx.URL(text)
        scheme, host, port = url.scheme, url.host, url.port
    except (httpx.InvalidURL, ValueError) as error:
        raise UsageError(f"the URL cannot be read: {_url_trouble(text, error)}") from None
    if scheme not in {"http", "https"}:
        raise UsageError("the URL must begin with http:// or https://")
    if not host:
        raise UsageError("the URL has no host: write it as http://host/path")
    if port is not None and not 0 < port < _PORTS:
        raise UsageError(f"the port of the URL must be 1 to {_PORTS - 1}, not {port}")
    return text


def read_header(number: int, text: str) -> tuple[bytes, bytes]:
    """Read ``K: V``.

    Args:
        number: which header it is, 1 for the first; the message names it.
        text: the header as the user wrote it.

    Raises:
        UsageError: there is no colon, the name is no name, or the value has control characters.
            The message does not quote the name: it may be a secret, with a colon of its own.
    """
    name, colon, value = text.partition(":")
    trouble = _name_trouble(name) if colon else "has no colon"
    if trouble is not None:
        raise UsageError(f"header {number} {trouble}: write it as -H 'Name: value'")
    if _CONTROL.search(value.strip()):
        raise UsageError(f"the value of header {name!r} has control characters: leave them out")
    return name.encode("ascii"), os.fsencode(value.strip())


def _name_trouble(name: str) -> str | None:
    if not name:
        return "has no name before its colon"
    if any(character.isspace() for character in name):
        return "has a space in its name"
    return None if _NAME.fullmatch(name) else "has an invalid character in its name"


def _url_trouble(text: str, error: Exception) -> str:
    # httpx quotes what it could not read, and that is a piece of the password when the password
    # has a character such as "/" in it.
    if "@" in text:
        return "percent-encode the special characters of the user name and the password"
    return one_line(str(error)).rstrip(".")
