"""Parses URLs, and refuses those that can't be requested; no error quotes a password.

What is true of a URL is found out when it is parsed, once for each of the strings that are cached.
"""

import functools
import re
from typing import Any, Final, NamedTuple, Self

import httpx

from typed_async_client.forks import class_for
from typed_async_client.httpx_types import ProxyTypes
from typed_async_client.policies.base_path import leaves_base

__all__ = [
    "INVALID_USERINFO",
    "InvalidURLError",
    "ParsedURL",
    "as_proxy",
    "as_url",
    "check_server",
    "describe_url",
    "escape_of_path",
    "origin_name",
    "parsed_url",
    "path_of",
    "without_userinfo",
]

INVALID_USERINFO: Final = (
    "invalid URL: percent-encode the special characters of the user name and the password"
)
"""Instead of httpx's message for an invalid URL with an ``@``, which may quote a password."""

_CACHE_SIZE: Final = 1024
"""URLs in the cache."""

_MAX_CACHED_LENGTH: Final = 2048
"""Characters of the longest URL that is cached; httpx accepts up to 64 KiB."""

_LAST_PORT: Final = 65_535

_SCHEMES: Final = frozenset({"http", "https", "ws", "wss"})
"""The schemes whose hosts are names or addresses; a transport may have others for schemes of its own."""

_MAX_SHOWN: Final = 200
"""Characters shown of a host."""

_AUTHORITY: Final = re.compile(r"[^/?#]*//[^/?#]*(.*)", re.DOTALL)
"""A URL up to what httpx takes for the end of its host and port, and the rest of it."""

_WRONG_PART: Final = re.compile(r"Invalid (?:port|IDNA hostname|IPv[46] address)(?=: )")
"""The start of httpx's messages that quote the host or the port."""

_USERINFO: Final = re.compile(r"[^/?#]*//[^/?#]*@")
"""The start of a URL with a user name: it isn't cached, because the cache outlives the client."""


class InvalidURLError(httpx.InvalidURL, ValueError):
    """The URL can't be requested: it is malformed, or leaves the ``base_url`` of the client.

    It is raised before anything is sent, and is caught by ``except ValueError`` as well as by ``except
    httpx.InvalidURL``; with an httpx2 client, by ``except httpx2.InvalidURL`` too.

    Args:
        message: what is wrong with the URL.
        client: the client of httpx or httpx2 that the URL was meant for; None for httpx.
    """

    _fork_name = "InvalidURL"

    def __new__(cls, message: str = "", *, client: Any = None) -> Self:
        """Create the error, which is httpx2's too if the client is of httpx2."""
        created: Self = super().__new__(class_for(cls, client), message)
        return created

    def __init__(self, message: str, *, client: Any = None) -> None:  # noqa: ARG002 - see __new__
        super().__init__(message)


class ParsedURL(NamedTuple):
    """A URL, and what a client needs to know about it."""

    url: httpx.URL  #: the URL
    origin: str  #: scheme, host, and port if it isn't the default
    is_absolute: bool  #: whether it has a scheme and a host
    has_userinfo: bool  #: whether it has a user name or a password
    escape: str  #: why it, being relative, leaves any base URL; empty if it doesn't, or is absolute


def as_url(url: str) -> httpx.URL:
    """Parse a URL.

    Raises:
        InvalidURLError: it, its host or its port is invalid; no piece of a password is quoted.
    """
    try:
        parsed = httpx.URL(url)
        problem = _problem_of(parsed, url)
    except httpx.InvalidURL as error:
        problem = _without_password(str(error), url)
    except UnicodeError:
        problem = "invalid URL: it has a lone surrogate, which can't be encoded"
    if problem:
        raise InvalidURLError(problem) from None
    return parsed


def check_server(url: httpx.URL) -> None:
    """Refuse a URL whose host or port can't be connected to.

    Raises:
        InvalidURLError: its host has a blank or isn't valid IDNA, or its port is 0 or beyond 65,535.
    """
    if problem := _problem_of(url, str(url)):
        raise InvalidURLError(problem)


def parsed_url(url: str) -> ParsedURL:
    """Parse a URL, or look it up in the cache.

    Raises:
        InvalidURLError: it is invalid.
    """
    if len(url) > _MAX_CACHED_LENGTH or ("@" in url and _USERINFO.match(url)):
        return _parse(url)
    return _cached(url)


def _parse(url: str) -> ParsedURL:
    return describe_url(as_url(url))


_cached = functools.lru_cache(_CACHE_SIZE)(_parse)


def without_userinfo(url: httpx.URL) -> httpx.URL:
    """Return a URL without its user name and password.

    Raises:
        InvalidURLError: they are too long to be parsed again.
    """
    try:
        return url.copy_with(userinfo=b"") if url.userinfo else url
    except httpx.InvalidURL:
        raise InvalidURLError("invalid URL: its user name and password are too long") from None


def describe_url(url: httpx.URL) -> ParsedURL:
    """Return what a client needs to know about a URL that has been parsed."""
    is_absolute = url.is_absolute_url
    escape = "" if is_absolute else _escape_of(url)
    return ParsedURL(url, origin_name(url), is_absolute, bool(url.userinfo), escape)


def _escape_of(url: httpx.URL) -> str:
    """Return why a relative URL leaves any base URL that it is joined to; empty if it doesn't."""
    if url.scheme:
        return f"it has a scheme, {url.scheme!r}"
    if url.netloc or url.userinfo:
        return "it names a host"
    return escape_of_path(path_of(url))


def origin_name(url: Any) -> str:
    """Return scheme, host, and port if it isn't the default, of a URL of httpx or httpx2."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def path_of(url: httpx.URL) -> str:
    """Return the path of a URL as it is sent, without the query."""
    return url.raw_path.partition(b"?")[0].decode("ascii")


def escape_of_path(path: str) -> str:
    """Return why a path leaves any path that it is appended to; empty if it doesn't."""
    if "\\" in path:
        return "it has a backslash"
    return "its dot segments lead out of it" if leaves_base(path) else ""


def _problem_of(parsed: httpx.URL, url: str) -> str:
    """Return what is wrong with the host or the port of a URL; empty if nothing."""
    problem = _host_problem(parsed)
    port = parsed.port
    if not problem and port is not None and not 0 < port <= _LAST_PORT:
        problem = f"invalid port in the URL: {port} isn't from 1 to {_LAST_PORT}"
    return INVALID_USERINFO if problem and _cuts_userinfo(url) else problem


def _host_problem(url: httpx.URL) -> str:
    """Return why no server can have the host of a URL; empty if one may."""
    host = url.raw_host
    is_address = b":" in host  # where %20 is the number of an interface
    if b"%20" in host and url.scheme in _SCHEMES and not is_address:
        return "invalid host in the URL: it has a blank"
    try:
        url.host  # noqa: B018 - decodes it
    except UnicodeError:  # which idna.IDNAError is
        return f"invalid host in the URL: {host.decode('ascii')!r:.{_MAX_SHOWN}} isn't valid IDNA"
    return ""


def _without_password(message: str, url: str) -> str:
    """Return a message of httpx about a URL; what it quotes may be a piece of a password."""
    if "@" not in url:
        return message
    wrong = _WRONG_PART.match(message)
    if wrong is None or _cuts_userinfo(url):
        return INVALID_USERINFO
    return f"{wrong[0]} in the URL, after its user name and password"


def _cuts_userinfo(url: str) -> bool:
    """Whether the start of a password with ``/``, ``?`` or ``#`` may have been taken for a port."""
    parts = _AUTHORITY.match(url)
    return "@" in (url if parts is None else parts[1])


def as_proxy(proxy: ProxyTypes) -> httpx.Proxy:
    """Return a proxy, in whichever form it was passed.

    Raises:
        InvalidURLError: its URL is invalid.
        ValueError: its URL has an unknown scheme.
    """
    if isinstance(proxy, httpx.Proxy):
        return proxy
    try:
        url = as_url(proxy) if isinstance(proxy, str) else proxy
    except httpx.InvalidURL as error:
        raise InvalidURLError(f"proxy: {error}") from None
    try:
        return httpx.Proxy(url)
    except ValueError:
        raise ValueError(
            f"the scheme of a proxy must be http, https, socks5 or socks5h, got {url.scheme!r}"
        ) from None
