"""A cookie jar of bounded size.

``http.cookiejar`` keeps every cookie forever, and an empty ``dict`` for each host that it has seen.
Here the least recently used cookies make room for new ones.
"""

import math
import re
import time
import urllib.request
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import AbstractContextManager
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from typing import Any, Final, TypeAlias

__all__ = [
    "RECEIVED_OVER",
    "BoundedCookieJar",
    "CookieKey",
    "is_sendable",
    "key_of",
    "pair_of",
]

MAX_COOKIES: Final = 3000
"""Cookies of all origins together, the minimum that RFC 6265 section 6.1 asks of a client."""

MAX_PER_ORIGIN: Final = 50
"""Cookies of one domain, from the same section."""

MAX_COOKIE_SIZE: Final = 4096
"""Bytes of a name and its value, and of all attributes together; RFC 6265 section 6.1."""

RECEIVED_OVER: Final = "typed_async_client.received_over"
"""The attribute of a cookie that says which scheme the response that set it was received over."""

_SENDABLE: Final = re.compile(r"[\t\x20-\x7e]*")
"""What httpx can encode, and what servers accept in a header: RFC 9110 section 5.5."""

CookieKey: TypeAlias = tuple[str, str, str]
"""Domain, path and name: what identifies a cookie."""


class BoundedCookieJar(CookieJar):
    """Keeps at most 50 cookies of an origin and 3,000 in all.

    If there are too many, expired ones are dropped first, then those set or sent longest ago. A
    server can't set a cookie longer than RFC 6265 requires clients to accept. Cookies without a
    domain can only be set by the user; they aren't counted and are never dropped.
    """

    _cookies: dict[str, dict[str, dict[str, Cookie]]]
    _cookies_lock: AbstractContextManager[Any]

    def __init__(self) -> None:
        super().__init__(_SizePolicy())
        self._by_use: OrderedDict[CookieKey, Cookie] = OrderedDict()
        self._by_origin: dict[str, OrderedDict[CookieKey, Cookie]] = {}
        self._next_expiry = math.inf

    @classmethod
    def holding(cls, cookies: Iterable[Cookie]) -> "BoundedCookieJar":
        """Create a jar with these cookies."""
        jar = cls()
        for cookie in cookies:
            jar.set_cookie(cookie)
        return jar

    def __bool__(self) -> bool:
        return bool(self._cookies)

    def set_cookie(self, cookie: Cookie) -> None:
        """Keep a cookie, in place of one with the same domain, path and name."""
        with self._cookies_lock:
            super().set_cookie(cookie)
            if cookie.domain:
                of_origin = self._by_origin.setdefault(_origin_of(cookie.domain), OrderedDict())
                for kept in (self._by_use, of_origin):
                    kept[key_of(cookie)] = cookie
                    kept.move_to_end(key_of(cookie))
                if cookie.expires is not None:
                    self._next_expiry = min(self._next_expiry, cookie.expires)
                self._shrink(of_origin, MAX_PER_ORIGIN)
                self._shrink(self._by_use, MAX_COOKIES)

    def touch(self, cookies: Iterable[Cookie]) -> None:
        """Note that these cookies were used together; all others are dropped before them.

        Among themselves they are dropped in the order in which they were set.
        """
        used = {key_of(cookie) for cookie in cookies}
        for origin in {_origin_of(domain) for domain, _, _ in used}:
            of_origin = self._by_origin.get(origin, OrderedDict())
            for key in [key for key in of_origin if key in used]:
                self._by_use.move_to_end(key)
                of_origin.move_to_end(key)

    def clear(
        self, domain: str | None = None, path: str | None = None, name: str | None = None
    ) -> None:
        """Drop all cookies, or those of a domain, a path in it, or a name in that.

        Raises:
            KeyError: there is none.
        """
        with self._cookies_lock:
            super().clear(domain, path, name)
            if domain is None:
                self._by_use.clear()
                self._by_origin.clear()
                return
            for key in self._keys_within(domain, path, name):
                self._forget(key)
            self._drop_empty(domain, path)

    def _keys_within(self, domain: str, path: str | None, name: str | None) -> list[CookieKey]:
        return [
            key
            for key in self._by_origin.get(_origin_of(domain), ())
            if key[0] == domain and path in {None, key[1]} and name in {None, key[2]}
        ]

    def _forget(self, key: CookieKey) -> None:
        origin = _origin_of(key[0])
        del self._by_use[key], self._by_origin[origin][key]
        if not self._by_origin[origin]:
            del self._by_origin[origin]

    def _drop_empty(self, domain: str, path: str | None) -> None:
        """Drop the empty dicts that ``CookieJar`` leaves behind for each host it has seen."""
        paths = self._cookies.get(domain, {})
        if path is not None and not paths.get(path, True):
            del paths[path]
        if not paths:
            self._cookies.pop(domain, None)

    def _shrink(self, kept: OrderedDict[CookieKey, Cookie], limit: int) -> None:
        if len(kept) > limit and self._next_expiry <= time.time():
            for key in [key for key, cookie in kept.items() if cookie.is_expired()]:
                self.clear(*key)
            if kept is self._by_use:  # so that it isn't searched again before one expires
                expiries = (cookie.expires for cookie in kept.values())
                self._next_expiry = min((at for at in expiries if at is not None), default=math.inf)
        while len(kept) > limit:
            self.clear(*next(iter(kept)))


def key_of(cookie: Cookie) -> CookieKey:
    """Return what identifies a cookie in a jar."""
    return cookie.domain, cookie.path, cookie.name


def pair_of(cookie: Cookie) -> str:
    """Return a cookie as it stands in a ``Cookie`` header."""
    return cookie.name if cookie.value is None else f"{cookie.name}={cookie.value}"


def is_sendable(cookie: Cookie) -> bool:
    """Whether a header can carry a cookie: it has no control characters and no non-ASCII ones."""
    return _SENDABLE.fullmatch(pair_of(cookie)) is not None


def _origin_of(domain: str) -> str:
    return domain.lstrip(".")


class _SizePolicy(DefaultCookiePolicy):
    """Accepts what ``http.cookiejar`` does, up to a size, and notes the scheme it came over."""

    def set_ok(self, cookie: Cookie, request: urllib.request.Request) -> bool:
        """Whether to keep a cookie that a response sets."""
        cookie.set_nonstandard_attr(RECEIVED_OVER, request.type)
        return _is_small(cookie) and super().set_ok(cookie, request)


def _is_small(cookie: Cookie) -> bool:
    others = {**vars(cookie), **vars(cookie).get("_rest", {}), "name": "", "value": ""}
    size = sum(_size(name) + _size(value) for name, value in others.items() if value)
    return len(pair_of(cookie).encode()) <= MAX_COOKIE_SIZE + 1 and size <= MAX_COOKIE_SIZE


def _size(value: object) -> int:
    return len(value.encode()) if isinstance(value, str) else 0
