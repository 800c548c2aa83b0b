"""httpx's client, without two pieces of work that most requests do not need.

It parses an address once that is asked for again and again, and looks for cookies only in a
response that sets some. Nothing else differs, and only public names of httpx are overridden.
"""

import functools
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from httpx import _types as types  # httpx names its argument types nowhere else

__all__ = ["LeanClient"]

_REMEMBERED = 1024
"""Addresses whose parsed form is kept."""

_SETTING = ("set-cookie", "set-cookie2")

_parse = functools.lru_cache(_REMEMBERED)(httpx.URL)


class LeanClient(httpx.AsyncClient):
    """A drop-in for ``httpx.AsyncClient``; it takes the same options."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._jar = _LeanCookies(super().cookies.jar)

    @property
    def cookies(self) -> httpx.Cookies:
        """The cookies of the client, sent with each request they belong to."""
        return self._jar

    @cookies.setter
    def cookies(self, cookies: "types.CookieTypes") -> None:
        self._jar = _LeanCookies(httpx.Cookies(cookies).jar)

    def build_request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Request:
        """Build a request as httpx does."""
        parsed = _parse(url) if type(url) is str else url
        return super().build_request(method, parsed, **options)


class _LeanCookies(httpx.Cookies):
    """Cookies that do not build what a jar reads when there is nothing to read."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Take the cookies that a response sets; a jar of the caller's sees every response."""
        is_stock = type(self.jar).extract_cookies is CookieJar.extract_cookies
        if not is_stock or any(name in response.headers for name in _SETTING):
            super().extract_cookies(response)
