"""The options of ``get``, parsed and checked, as one frozen value.

Pure: it neither sends nor prints anything. Its messages never quote a URL or the value of a header,
as these may be secret.
"""

import dataclasses
import math
import os
import re
from collections.abc import Sequence

import httpx

from typed_async_client.redact import one_line

__all__ = ["GetOptions", "UsageError", "parse_header", "parse_options", "parse_url"]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A field name of RFC 9110 section 5.1."""

_PORTS = 65_536

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class UsageError(ValueError):
    """The command line is invalid; the message says why, and how to write it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GetOptions:
    """What to request, and how.

    Attributes:
        url: an http or https URL.
        headers: names and values, encoded as they are sent.
        retries: attempts after a failed first one, >= 0.
        timeout: seconds allowed for connecting, and for each wait for the server, > 0.
        follow: whether to follow redirects.
    """

    url: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    retries: int = 2
    timeout: float = 10.0
    follow: bool = False


def parse_options(
    url: str, headers: Sequence[str], *, retries: int, timeout: float, follow: bool
) -> GetOptions:
    """Parse the arguments of the command line.

    Raises:
        UsageError: one of them is invalid.
    """
    if retries < 0:
        raise UsageError(f"--retry must be 0 or more, got {retries}")
    if not (timeout > 0 and math.isfinite(timeout)):
        raise UsageError(f"--timeout must be a number of seconds above 0, got {timeout}")
    return GetOptions(
        url=parse_url(url),
        headers=tuple(parse_header(number, text) for number, text in enumerate(headers, 1)),
        retries=retries,
        timeout=timeout,
        follow=follow,
    )


def parse_url(text: str) -> str:
    """Return the URL unchanged if a request can be sent to it.

    Raises:
        UsageError: it can't be parsed, isn't http or https, or has no host.
    """
    try:
        url = httpx.URL(text)
        scheme, host, port = url.scheme, url.host, url.port
    except (httpx.InvalidURL, ValueError) as error:
        raise UsageError(f"invalid URL: {_url_problem(text, error)}") from None
    if scheme not in {"http", "https"}:
        raise UsageError("the URL must start with http:// or https://")
    if not host:
        raise UsageError("the URL has no host: write it as http://host/path")
    if port is not None and not 0 < port < _PORTS:
        raise UsageError(f"the port of the URL must be 1 to {_PORTS - 1}, not {port}")
    return text


def parse_header(number: int, text: str) -> tuple[bytes, bytes]:
    """Parse ``Name: value``.

    Args:
        number: position of the header, starting at 1; used in the message.
        text: the header as the user wrote it.

    Raises:
        UsageError: there is no colon, the name is invalid, or the value has control characters.
            An invalid name isn't quoted: it may be part of a secret that contains a colon.
    """
    name, colon, value = text.partition(":")
    problem = _name_problem(name) if colon else "has no colon"
    if problem is not None:
        raise UsageError(f"header {number} {problem}: write it as -H 'Name: value'")
    if _CONTROL.search(value.strip()):
        raise UsageError(f"the value of header {name!r} contains control characters")
    return name.encode("ascii"), os.fsencode(value.strip())


def _name_problem(name: str) -> str | None:
    if not name:
        return "has no name before the colon"
    if any(character.isspace() for character in name):
        return "has a space in its name"
    return None if _NAME.fullmatch(name) else "has an invalid character in its name"


def _url_problem(text: str, error: Exception) -> str:
    # httpx quotes what it couldn't parse: part of the password, if that has a character like "/".
    if "@" in text:
        return "percent-encode special characters in the user name and the password"
    return one_line(str(error)).rstrip(".")
