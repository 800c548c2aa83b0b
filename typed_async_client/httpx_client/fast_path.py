"""httpx's client, without work that most requests do not need.

It parses an address once that is asked for again and again, and builds the headers of bare requests
once; it looks for cookies only in a response that sets some, and walks through the generators of an
authentication only where there is one. Nothing else differs.

Overridden methods of httpx 0.28 that are not in its documentation: ``_send_handling_auth`` and
``_send_single_request``, which uses ``_transport_for_url``, ``_default_encoding`` and
``_client.BoundAsyncStream``. They stay httpx's own where somebody has put something in their place:
recorders, tracers and tests do. Further names used: ``Request._content``.
"""

import functools
import logging
import time
from collections.abc import Coroutine
from http.cookiejar import CookieJar
from types import FunctionType
from typing import Any, NamedTuple

import httpx

from typed_async_client.httpx_types import CookieTypes
from typed_async_client.private import BoundAsyncStream, is_globals_of_httpx, set_empty_content

__all__ = ["FastPathClient"]

_REMEMBERED = 1024
"""Addresses whose parsed form is kept."""

_LONGEST = 2048
"""Characters of the longest address that is kept; httpx takes some of 64 KiB."""

_SETTING = (b"set-cookie", b"set-cookie2")

_NOTHING = httpx.ByteStream(b"")

_log = logging.getLogger("httpx")


class _Address(NamedTuple):
    url: httpx.URL
    origin: str
    is_absolute: bool


def _address_of(url: str) -> _Address:
    return _remembered(url) if len(url) <= _LONGEST else _parse(url)


def _parse(url: str) -> _Address:
    parsed = httpx.URL(url)
    origin = f"{parsed.scheme}://{parsed.netloc.decode()}"
    return _Address(parsed, origin, parsed.is_absolute_url)


_remembered = functools.lru_cache(_REMEMBERED)(_parse)


def _headers_of(method: str, origin: str, given: tuple[tuple[bytes, bytes], ...]) -> httpx.Headers:
    """Give the headers of a request without a body; nobody may change these."""
    return httpx.Request(method, origin, headers=list(given)).headers


class FastPathClient(httpx.AsyncClient):
    """A drop-in for ``httpx.AsyncClient``; it takes the same options."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._encoding = options.get("default_encoding", "utf-8")
        self._jar = _FastPathCookies(super().cookies.jar)
        # The client's own: what it remembers may hold its secrets, and goes with it.
        self._headers_of = functools.lru_cache(_REMEMBERED)(_headers_of)

    @property
    def cookies(self) -> httpx.Cookies:
        """The cookies of the client, sent with each request they belong to."""
        return self._jar

    @cookies.setter
    def cookies(self, cookies: CookieTypes) -> None:
        self._jar = _FastPathCookies(httpx.Cookies(cookies).jar)

    async def request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Response:
        """Build and send a request, as httpx does."""
        address = None if options or type(url) is not str else self._bare_address(url)
        if address is None:
            return await super().request(method, url, **options)
        return await self.send(self._bare_request(method, address))

    def build_request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Request:
        """Build a request as httpx does."""
        parsed = _address_of(url).url if type(url) is str else url
        return super().build_request(method, parsed, **options)

    def _bare_address(self, url: str) -> _Address | None:
        """Give the address of a request that nothing is added to; None where something may be."""
        if self.params or self.cookies:
            return None
        if not (_is_own(httpx.AsyncClient.request) and _is_own(httpx.AsyncClient.build_request)):
            return None
        address = _address_of(url)
        return address if address.is_absolute else None

    def _bare_request(self, method: str, address: _Address) -> httpx.Request:
        """Build a request that has nothing but its method and its address."""
        request = httpx.Request(
            method,
            address.url,
            headers=self._headers_of(method, address.origin, tuple(self.headers.raw)),
            stream=_NOTHING,
            extensions={"timeout": self.timeout.as_dict()},
        )
        set_empty_content(request)  # reading it would be slow
        return request

    def _send_handling_auth(
        self,
        request: httpx.Request,
        auth: httpx.Auth,
        follow_redirects: bool,  # noqa: FBT001 - httpx's own signature
        history: list[httpx.Response],
    ) -> Coroutine[Any, Any, httpx.Response]:
        adds_nothing = type(auth) is httpx.Auth
        if adds_nothing and _is_own(httpx.AsyncClient._send_handling_auth):  # noqa: SLF001 - told
            return self._send_handling_redirects(request, follow_redirects, history)
        return super()._send_handling_auth(request, auth, follow_redirects, history)

    async def _send_single_request(self, request: httpx.Request) -> httpx.Response:
        is_own = _is_own(httpx.AsyncClient._send_single_request)  # noqa: SLF001 - told above
        if not (is_own and isinstance(request.stream, httpx.AsyncByteStream)):
            return await super()._send_single_request(request)  # refuses what is of plain clients
        start = time.perf_counter()
        try:
            response = await self._transport_for_url(request.url).handle_async_request(request)
        except httpx.RequestError as error:
            error.request = request
            raise
        stream: Any = response.stream
        if not isinstance(stream, httpx.AsyncByteStream):
            name = type(stream).__name__
            raise TypeError(f"the transport gave a body that only a plain client reads: {name}")
        response.request = request
        response.stream = BoundAsyncStream(stream, response=response, start=start)
        self.cookies.extract_cookies(response)
        response.default_encoding = self._encoding
        if _log.isEnabledFor(logging.INFO):
            _tell(request, response)
        return response


def _is_own(method: Any) -> bool:
    """Say whether a method of httpx's client is httpx's own, and not what somebody put there."""
    return type(method) is FunctionType and is_globals_of_httpx(method.__globals__)


def _tell(request: httpx.Request, response: httpx.Response) -> None:
    """Log a response in httpx's words."""
    _log.info(
        'HTTP Request: %s %s "%s %d %s"',
        request.method,
        request.url,
        response.http_version,
        response.status_code,
        response.reason_phrase,
    )


class _FastPathCookies(httpx.Cookies):
    """Cookies that do not build what a jar reads when there is nothing to read."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Take the cookies that a response sets; a jar of the caller's sees every response."""
        is_stock = type(self.jar).extract_cookies is CookieJar.extract_cookies
        if not is_stock or any(name.lower() in _SETTING for name, _ in response.headers.raw):
            super().extract_cookies(response)
