"""The choice of the cookies that a request is sent with.

``http.cookiejar`` walks through a whole jar for each request, and httpx makes it do so on copies of
the jar. Here only those of the domains that a host belongs to are looked at. Which of these match is
decided by ``http.cookiejar``, as in httpx.
"""

import urllib.request
from collections.abc import Iterable, Iterator
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from typing import Final
from urllib.parse import urlsplit

import httpx

from typed_async_client.httpx_client.cookie_jar import (
    RECEIVED_OVER,
    BoundedCookieJar,
    CookieKey,
    is_sendable,
    key_of,
    pair_of,
)
from typed_async_client.policies.redirect import OriginChange
from typed_async_client.private import cookies_of_domain

__all__ = ["RequestCookies", "may_have_cookies_for"]

MAX_HEADER_SIZE: Final = 8190
"""Bytes of a ``Cookie`` header with its name: most servers refuse a longer line."""


class _MatchPolicy(DefaultCookiePolicy):
    """Judges cookies of several jars, so it can't use the time at which one jar was searched."""

    def return_ok_expires(self, cookie: Cookie, request: urllib.request.Request) -> bool:
        """Whether a cookie hasn't expired."""
        del request
        return not cookie.is_expired()


_MAX_NAME_LENGTH: Final = 254
"""Characters of the longest domain that is looked up, with its dot: a server chooses the host that
a redirect leads to, and it may have thousands of labels."""

_MATCH_POLICY: Final = _MatchPolicy()


class RequestCookies(CookieJar):
    """The cookies to build one request with, looked up in jars when httpx asks for the header.

    It is a jar to httpx, which doesn't copy it.

    Args:
        jars: the jars; of cookies with the same domain, path and name, that of the last jar is
            sent.
        change: what the redirects before the request did to its origin.
        own: cookies that the request was given itself: they are sent, whatever the change.
    """

    def __init__(
        self,
        *jars: CookieJar,
        change: OriginChange = OriginChange.NONE,
        own: CookieJar | None = None,
    ) -> None:
        super().__init__()
        self._jars = jars if own is None else (*jars, own)
        self._change = change
        self._own = frozenset() if own is None else frozenset(map(id, own))

    def __bool__(self) -> bool:
        return True  # httpx ignores an empty jar

    def add_cookie_header(self, request: urllib.request.Request) -> None:
        """Add the ``Cookie`` header, unless the request has one."""
        if request.has_header("Cookie"):
            return
        hosts = _hosts_of(urlsplit(request.get_full_url()).netloc)
        matching = [
            cookie
            for cookie in self._candidates(hosts)
            # A server may have set one that can't be sent; only users set those without a domain.
            if _matches(cookie, request) and (not cookie.domain or is_sendable(cookie))
        ]
        if self._change is not OriginChange.NONE:
            matching = [
                cookie
                for cookie in matching
                if id(cookie) in self._own or _follows(cookie, self._change, hosts, request.type)
            ]
        if sent := _fitting(matching):
            self._touch(sent)
            request.add_unredirected_header("Cookie", "; ".join(map(pair_of, sent)))

    def _candidates(self, hosts: tuple[str, str]) -> list[Cookie]:
        found: dict[CookieKey, Cookie] = {}
        for jar in self._jars:
            for cookie in _cookies_for(jar, hosts):
                found[key_of(cookie)] = cookie
        return sorted(found.values(), key=lambda cookie: -len(cookie.path))

    def _touch(self, cookies: list[Cookie]) -> None:
        for jar in self._jars:
            if isinstance(jar, BoundedCookieJar):
                jar.touch(cookies)


def may_have_cookies_for(jar: CookieJar, url: httpx.URL) -> bool:
    """Whether a jar may have cookies for a URL; their paths and expiry aren't checked."""
    if url.userinfo:  # http.cookiejar takes it for a part of the host
        return True
    return next(_cookies_for(jar, _hosts_of(url.netloc.decode("ascii"))), None) is not None


def _cookies_for(jar: CookieJar, hosts: tuple[str, str]) -> Iterator[Cookie]:
    """Yield the cookies of the domains that a host belongs to."""
    domains = _domains_of(hosts)
    if type(jar).__iter__ is not CookieJar.__iter__:  # it may store them in its own way
        yield from (cookie for cookie in jar if cookie.domain in domains)
        return
    for domain in domains:
        yield from cookies_of_domain(jar, domain)


def _hosts_of(netloc: str) -> tuple[str, str]:
    """Return a host, and the name that ``http.cookiejar`` files its cookies under."""
    host, colon, port = netloc.lower().rpartition(":")
    if not colon or not port.isdecimal():
        host = netloc.lower()
    return host, host if "." in host else f"{host}.local"


def _domains_of(hosts: Iterable[str]) -> dict[str, None]:
    """Return every domain whose cookies may match one of the hosts, with and without a dot."""
    domains = {"": None}
    for host in hosts:
        rest = f".{host}"
        while rest:
            domains |= {rest[1:]: None, rest: None}
            dot = rest.find(".", max(1, len(rest) - _MAX_NAME_LENGTH))
            rest = rest[dot:] if dot > 0 else ""
    return domains


def _matches(cookie: Cookie, request: urllib.request.Request) -> bool:
    policy = _MATCH_POLICY
    return policy.path_return_ok(cookie.path, request) and policy.return_ok(cookie, request)


def _follows(
    cookie: Cookie, change: OriginChange, hosts: tuple[str, str], scheme: str | None
) -> bool:
    """Whether a cookie is sent after a redirect to another origin.

    One without a domain was meant for the first origin, and one that a response set without a
    domain for the host that sent it. After a redirect from https to http, only those are sent over
    http that were received over http.
    """
    if not cookie.domain or not (cookie.domain_specified or cookie.domain in hosts):
        return False
    if change is not OriginChange.INSECURE or scheme in {"https", "wss"}:
        return True
    return cookie.get_nonstandard_attr(RECEIVED_OVER) in {"http", "ws"}


def _fitting(cookies: list[Cookie]) -> list[Cookie]:
    """Return the cookies that fit into a header, in the same order.

    Those without a domain are what the user asked for, and always sent. Of the others, the most
    specific and newest ones go first.
    """
    room = MAX_HEADER_SIZE - len("Cookie: ")
    sizes = [len(pair_of(cookie).encode("utf-8", "replace")) + len("; ") for cookie in cookies]
    if sum(sizes) - len("; ") <= room:
        return cookies
    room += len("; ")
    kept: set[int] = set()
    for index in sorted(range(len(cookies)), key=lambda i: _rank(cookies[i], i)):
        if not cookies[index].domain or sizes[index] <= room:
            kept.add(index)
            room -= sizes[index]
    return [cookie for index, cookie in enumerate(cookies) if index in kept]


def _rank(cookie: Cookie, index: int) -> tuple[bool, int, int]:
    return bool(cookie.domain), -len(cookie.path), -index
