"""httpx's client, without the work that most requests don't need.

Parsed URLs and the headers of bare requests are cached, cookies are only extracted from responses
that set some and looked up by domain, and auth is skipped when unused. Nothing else differs from
httpx, except what ``redirects.py`` and ``cookies.py`` say, and how bodies are decoded and limited,
which ``pool/decoding.py`` and ``pool/bounding.py`` say.

It overrides private methods of httpx 0.28: how authentication and a single request are sent;
``private_names.py`` lists every private name that is used. If a method of ``httpx.AsyncClient`` has been
patched, as recorders, tracers and tests do, the patched one is called instead of ours.
"""

import functools
import logging
import time
from collections.abc import Coroutine, Mapping
from http.cookiejar import CookieJar
from types import FunctionType
from typing import Any

import httpx

from typed_async_client.httpx_client.cookie_jar import BoundedCookieJar
from typed_async_client.httpx_client.cookies import RequestCookies, may_have_cookies_for
from typed_async_client.httpx_client.elsewhere import request_elsewhere
from typed_async_client.httpx_client.redirects import RedirectingClient
from typed_async_client.httpx_types import CookieTypes
from typed_async_client.policies.checks import require_bool
from typed_async_client.policies.redirect import RedirectPolicy
from typed_async_client.pool.body_cap import MAX_RESPONSE_BYTES
from typed_async_client.pool.bounding import bound_body
from typed_async_client.pool.response import WholeResponse
from typed_async_client.private import GLOBALS_OF_CLIENT, BoundAsyncStream, set_content
from typed_async_client.redact import one_line, redact
from typed_async_client.urls import (
    InvalidURLError,
    ParsedURL,
    as_url,
    describe_url,
    parsed_url,
    without_userinfo,
)

__all__ = ["FastPathClient"]

_CACHE_SIZE = 1024
"""Entries in the cache of headers of a client."""

_COOKIE_HEADERS = (b"set-cookie", b"set-cookie2")

_EMPTY_BODY = httpx.ByteStream(b"")

_log = logging.getLogger("httpx")


def _headers_of(method: str, origin: str, given: tuple[tuple[bytes, bytes], ...]) -> httpx.Headers:
    """Return the headers of a request without a body; they are shared, and mustn't be changed."""
    return httpx.Request(method, origin, headers=list(given)).headers


class FastPathClient(RedirectingClient, httpx.AsyncClient):
    """A drop-in replacement for ``httpx.AsyncClient``.

    Args:
        redirects: what redirects carry to another origin.
        allow_absolute_urls: whether requests may go to URLs that aren't below the base URL. Those to
            another origin leave behind what was meant for the base URL. None treats all URLs alike, as
            httpx does.
        cookie_jar: whether cookies of responses are kept; those that the caller gives always are.
        max_encodings: how many content codings of a response are decoded, at most.
        **options: the options of ``httpx.AsyncClient``.

    Attributes:
        allow_absolute_urls: the same.
        base_credentials: the user name and the password of the base URL, which isn't kept with them;
            None without.
    """

    def __init__(
        self,
        *,
        redirects: RedirectPolicy | None = None,
        allow_absolute_urls: bool | None = None,
        cookie_jar: bool = True,
        max_encodings: int = 1,
        **options: Any,
    ) -> None:
        require_bool("cookie_jar", cookie_jar)
        self.allow_absolute_urls: bool | None = allow_absolute_urls
        self.base_credentials: tuple[str, str] | None = None
        self._base_origin = ""
        if base_url := str(options.get("base_url") or ""):
            options["base_url"] = self._without_credentials(as_url(base_url))
        self._keeps_cookies = cookie_jar
        super().__init__(redirects=redirects, **options)
        self._max_encodings = max_encodings
        self._encoding = options.get("default_encoding", "utf-8")
        self._jar = _client_cookies(options.get("cookies"), keeps_new=cookie_jar)
        # Not shared by clients: the headers may contain secrets, and are freed with the client.
        self._headers_of = functools.lru_cache(_CACHE_SIZE)(_headers_of)

    @property
    def cookies(self) -> httpx.Cookies:
        """The cookies of the client, sent with each request that they match."""
        return self._jar

    @cookies.setter
    def cookies(self, cookies: CookieTypes) -> None:
        self._jar = _client_cookies(cookies, keeps_new=self._keeps_cookies)

    async def request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Response:
        """Build and send a request, as httpx does."""
        parsed: ParsedURL | None = None
        if type(url) is str and (not options or _only_extends(options)):
            parsed = self._bare_url(url)
        if parsed is None:
            return await super().request(method, url, **options)
        return await self.send(self._bare_request(method, parsed, **options))

    def build_request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Request:
        """Build a request as httpx does."""
        parsed = parsed_url(url).url if isinstance(url, str) else url
        if self._base_origin and self.is_elsewhere(parsed):
            return request_elsewhere(self, self._policy, method, parsed, options)
        return super().build_request(method, parsed, **options)

    def is_elsewhere(self, url: httpx.URL) -> bool:
        """Whether an absolute URL has another origin than the base URL, if there is one."""
        if not self._base_origin or url.is_relative_url:
            return False
        return describe_url(url).origin != self._base_origin

    def _without_credentials(self, base_url: httpx.URL) -> httpx.URL:
        """Take the user name and the password out of the base URL, for requests below it."""
        if self.allow_absolute_urls is not None:
            if not base_url.is_absolute_url:
                shown = one_line(str(base_url)).rpartition("@")[2]
                raise InvalidURLError(
                    f"base_url must start with http:// or https:// and have a host, got {shown!r:.200}"
                )
            self._base_origin = describe_url(base_url).origin
        if base_url.userinfo:
            self.base_credentials = base_url.username, base_url.password
        return without_userinfo(base_url)

    def _bare_url(self, url: str) -> ParsedURL | None:
        """Return the parsed URL if nothing is added to the request; None if something may be."""
        if (
            self.params
            or self._base_origin
            or not (
                _is_unpatched(httpx.AsyncClient.request)
                and _is_unpatched(httpx.AsyncClient.build_request)
            )
        ):
            return None
        parsed = parsed_url(url)
        if self.cookies and may_have_cookies_for(self.cookies.jar, parsed.url):
            return None
        return parsed if parsed.is_absolute else None

    def _bare_request(
        self, method: str, parsed: ParsedURL, extensions: Mapping[str, Any] | None = None
    ) -> httpx.Request:
        """Build a request that consists of a method, a URL, and extensions only.

        httpx's constructor would copy the URL, which never changes, and look for a body.
        """
        request = object.__new__(httpx.Request)
        request.method = method.upper()
        request.url = parsed.url
        given = self._headers_of(method, parsed.origin, tuple(self.headers.raw))
        request.headers = httpx.Headers(given)
        timeout = {"timeout": self.timeout.as_dict()}
        request.extensions = {**extensions, **timeout} if extensions else timeout
        request.stream = _EMPTY_BODY
        set_content(request, b"")
        return request

    def _merge_cookies(self, cookies: CookieTypes | None = None) -> CookieTypes | None:
        """Return what finds the cookies of a request, without copying the jar as httpx does."""
        jars = [self.cookies.jar] if self.cookies else []
        if cookies:
            jars.append(httpx.Cookies(cookies).jar)
        return RequestCookies(*jars) if jars else None

    def _send_handling_auth(
        self,
        request: httpx.Request,
        auth: httpx.Auth,
        follow_redirects: bool,  # noqa: FBT001 - httpx's own signature
        history: list[httpx.Response],
    ) -> Coroutine[Any, Any, httpx.Response]:
        adds_nothing = type(auth) is httpx.Auth
        if adds_nothing and _is_unpatched(httpx.AsyncClient._send_handling_auth):  # noqa: SLF001 - listed in private_names.py
            return self._send_handling_redirects(request, follow_redirects, history)
        return super()._send_handling_auth(request, auth, follow_redirects, history)

    async def _send_single_request(self, request: httpx.Request) -> httpx.Response:
        is_unpatched = _is_unpatched(httpx.AsyncClient._send_single_request)  # noqa: SLF001 - listed in private_names.py
        if not (is_unpatched and isinstance(request.stream, httpx.AsyncByteStream)):
            return await super()._send_single_request(request)  # raises for a synchronous body
        start = time.perf_counter()
        try:
            response = await self._transport_for_url(request.url).handle_async_request(request)
        except httpx.RequestError as error:
            error.request = request
            raise
        stream: Any = response.stream
        if not isinstance(stream, httpx.AsyncByteStream):
            name = type(stream).__name__
            raise TypeError(
                f"the transport returned a body that only a synchronous client can read: {name}"
            )
        response.request = request
        limit = request.extensions.get(MAX_RESPONSE_BYTES)
        if limit is None and type(response) is WholeResponse:  # it is decoded in steps anyway
            response.max_encodings = self._max_encodings
        else:
            bound_body(response, request, limit, self._max_encodings)
            stream = response.stream
        response.stream = BoundAsyncStream(stream, response=response, start=start)
        self.cookies.extract_cookies(response)
        response.default_encoding = self._encoding
        if _log.isEnabledFor(logging.INFO):
            _log_response(request, response)
        return response


def _only_extends(options: Mapping[str, Any]) -> bool:
    """Whether a request has no other option than extensions, without a timeout among them."""
    return options.keys() == {"extensions"} and "timeout" not in (options["extensions"] or ())


def _is_unpatched(method: Any) -> bool:
    """Whether a method of httpx's client is the original, and hasn't been patched."""
    return type(method) is FunctionType and method.__globals__ is GLOBALS_OF_CLIENT


def _log_response(request: httpx.Request, response: httpx.Response) -> None:
    """Log a response with the same message as httpx, without the secrets of its URL."""
    _log.info(
        'HTTP Request: %s %s "%s %d %s"',
        request.method,
        redact(str(request.url)),
        response.http_version,
        response.status_code,
        response.reason_phrase,
    )


class _FastPathCookies(httpx.Cookies):
    """Cookies that skip the extraction if a response doesn't set any."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Store the cookies that a response sets; a custom jar still sees every response."""
        is_stock = type(self.jar).extract_cookies is CookieJar.extract_cookies
        if not is_stock or _sets_cookies(response):
            super().extract_cookies(response)

    def __bool__(self) -> bool:
        # Otherwise a list of all domains would be created to find the first cookie.
        return bool(self.jar) if isinstance(self.jar, BoundedCookieJar) else super().__bool__()


def _sets_cookies(response: httpx.Response) -> bool:
    for name, _ in response.headers.raw:  # noqa: SIM110 - any() is slower, for every request
        if name.lower() in _COOKIE_HEADERS:
            return True
    return False


class _GivenCookies(_FastPathCookies):
    """Cookies of the caller, to which responses add none."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Ignore the cookies that a response sets."""


def _client_cookies(given: CookieTypes | None, *, keeps_new: bool) -> _FastPathCookies:
    """Return the cookies of a client: in the caller's own jar, or else in one that is bounded."""
    kind = _FastPathCookies if keeps_new else _GivenCookies
    cookies = httpx.Cookies(given)
    if cookies.jar is given:
        return kind(given)
    return kind(BoundedCookieJar.holding(cookies.jar))
