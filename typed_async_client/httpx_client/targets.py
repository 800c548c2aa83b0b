"""Keeps the URLs that a client is given below its base URL, and takes user names out of them.

A password that isn't in a URL is in no log, no event and no error.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx

from typed_async_client.httpx_client.fast_path import FastPathClient
from typed_async_client.libraries import is_from
from typed_async_client.redact import one_line
from typed_async_client.urls import (
    InvalidURLError,
    ParsedURL,
    as_url,
    check_server,
    describe_url,
    escape_of_path,
    parsed_url,
    path_of,
    without_userinfo,
)

__all__ = ["Target", "Targets"]

_MAX_SHOWN = 200
"""Characters shown of a path that leaves the base URL."""


class Target(NamedTuple):
    """A URL to request."""

    url: Any  #: the URL, of the type that was passed, without user name and password
    options: Mapping[str, Any]  #: the options of the request; ``auth`` may have been added
    client: Any  #: the client whose base URL and parameters apply to it; None if they don't


class Targets:
    """Checks the URLs of a client.

    Args:
        client: the client: our own, one of httpx or httpx2 that the user supplies, or an object with
            a ``request()`` like theirs. Only our own is kept below its base URL.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._is_own = isinstance(client, FastPathClient)
        base = client.base_url if self._is_own and client.base_url.host else None
        self._base: ParsedURL | None = None if base is None else describe_url(base)
        self._has_credentials = self._is_own and client.base_credentials is not None

    def accepts(self, url: Any) -> bool:
        """Whether nothing about a URL has to be checked any more, or changed.

        Raises:
            InvalidURLError: it is invalid.
        """
        if type(url) is not str or not self._is_own:
            return False
        parsed = parsed_url(url)
        if self._base is None:
            return parsed.is_absolute and not parsed.has_userinfo
        return not (parsed.is_absolute or parsed.escape or self._has_credentials)

    def adapt(self, url: Any, options: Mapping[str, Any]) -> Target:
        """Return what is requested.

        httpx's order applies to a user name in the URL: ``auth`` of the request comes first, then that
        of the client.

        Raises:
            InvalidURLError: the URL is invalid, or leaves the base URL.
            TypeError: it isn't a URL.
        """
        parsed = self._parsed(url)
        if parsed is None:
            return Target(url, options, self._client)
        is_below = self._is_below_base(parsed)
        credentials = self._client.base_credentials if self._is_own and is_below else None
        if parsed.has_userinfo:
            credentials = parsed.url.username, parsed.url.password
            bare = without_userinfo(parsed.url)
            url = bare if isinstance(url, httpx.URL) else _like(url, str(bare))
        if credentials and any(credentials) and not self._has_auth(options):
            options = {**options, "auth": credentials}
        is_elsewhere = self._is_own and self._client.is_elsewhere(parsed.url)
        return Target(url, options, None if is_elsewhere else self._client)

    def _parsed(self, url: Any) -> ParsedURL | None:
        """Parse a URL; None if only a client of an unknown library can do that."""
        try:
            if isinstance(url, str):
                return parsed_url(url)
            if isinstance(url, httpx.URL):
                check_server(url)
                return describe_url(url)
            if is_from(url, "httpx2") and not self._is_own:
                return describe_url(as_url(str(url)))
        except InvalidURLError as error:
            raise InvalidURLError(str(error), client=self._client) from None
        if is_from(self._client, "httpx", "httpx2"):
            raise TypeError(f"url must be a str or an httpx.URL, got {type(url).__name__}")
        return None

    def _is_below_base(self, parsed: ParsedURL) -> bool:
        """Whether a URL is below the base URL, if there is one.

        Raises:
            InvalidURLError: it isn't, although it should be; or it is relative, and there is none.
        """
        base = self._base
        if base is None:
            if self._is_own and not parsed.is_absolute:
                raise InvalidURLError(f"the URL {_shown(parsed)!r} {_missing(parsed.url)}")
            return False
        if not parsed.is_absolute:
            if parsed.escape:
                raise self._refusal(parsed, parsed.escape)
            return True
        problem = _escape_of_absolute(parsed, base)
        if problem and not self._client.allow_absolute_urls:
            raise self._refusal(parsed, f"{problem}; pass allow_absolute_urls=True to allow it")
        return not problem

    def _refusal(self, parsed: ParsedURL, problem: str) -> InvalidURLError:
        base = "" if self._base is None else str(self._base.url)
        return InvalidURLError(
            f"the URL {_shown(parsed)!r} leaves the base_url {one_line(base)!r:.{_MAX_SHOWN}}: {problem}"
        )

    def _has_auth(self, options: Mapping[str, Any]) -> bool:
        """Whether the request, or else the client, has another ``auth`` than that of the URL."""
        given = options.get("auth", httpx.USE_CLIENT_DEFAULT)
        if type(given).__name__ == type(httpx.USE_CLIENT_DEFAULT).__name__:  # httpx2's own, too
            given = getattr(self._client, "auth", None)
        return given is not None


def _escape_of_absolute(parsed: ParsedURL, base: ParsedURL) -> str:
    """Return why an absolute URL isn't below the base URL; empty if it is."""
    if parsed.origin != base.origin:
        return f"its origin isn't {base.origin}"
    path, root = path_of(parsed.url), path_of(base.url)
    if f"{path}/" == root:
        return ""
    if not path.startswith(root):
        return "its path doesn't start with that of the base URL"
    return escape_of_path(path[len(root) :])


def _missing(url: httpx.URL) -> str:
    """Return what a URL lacks that isn't absolute, in the words that follow it in a message."""
    if url.scheme in {"http", "https"}:
        return "has no host"
    if path_of(url).startswith("%20"):
        return "begins with a blank: strip it"
    return "must start with http:// or https://, because the client has no base_url"


def _like(url: Any, text: str) -> Any:
    """Return a URL of the type of another: a string, or a URL of httpx2."""
    return text if isinstance(url, str) else type(url)(text)


def _shown(parsed: ParsedURL) -> str:
    """Return the part of a URL to show: of an absolute one, its origin, of another, no query."""
    if parsed.is_absolute:
        return parsed.origin
    url = parsed.url
    scheme = f"{url.scheme}:" if url.scheme else ""
    host = f"//{url.netloc.decode()}" if url.netloc else ""
    _, at, rest = path_of(url).rpartition("@")  # anything before it may be a password
    return scheme + host + one_line(f"REDACTED@{rest}" if at else rest)[:_MAX_SHOWN]
