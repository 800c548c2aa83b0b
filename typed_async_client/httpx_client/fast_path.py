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
from typing import Any, NamedTuple

import httpx

from typed_async_client.httpx_client.cookie_jar import BoundedCookieJar
from typed_async_client.httpx_client.cookies import RequestCookies, may_have_cookies_for
from typed_async_client.httpx_client.redirects import RedirectingClient
from typed_async_client.httpx_types import CookieTypes, as_url
from typed_async_client.policies.checks import require_bool
from typed_async_client.policies.redirect import RedirectPolicy
from typed_async_client.pool.body_cap import MAX_RESPONSE_BYTES
from typed_async_client.pool.bounding import bound_body
from typed_async_client.pool.response import WholeResponse
from typed_async_client.private import GLOBALS_OF_CLIENT, BoundAsyncStream, set_content
from typed_async_client.redact import redact

__all__ = ["FastPathClient"]

_CACHE_SIZE = 1024
"""Entries in each cache: one of parsed URLs, and one of headers per client."""

_MAX_CACHED_LENGTH = 2048
"""Characters of the longest URL that is cached; httpx accepts up to 64 KiB."""

_COOKIE_HEADERS = (b"set-cookie", b"set-cookie2")

_EMPTY_BODY = httpx.ByteStream(b"")

_log = logging.getLogger("httpx")


class _ParsedUrl(NamedTuple):
    url: httpx.URL
    origin: str
    is_absolute: bool


def _parsed(url: str) -> _ParsedUrl:
    return _cached(url) if len(url) <= _MAX_CACHED_LENGTH else _parse(url)


def _parse(url: str) -> _ParsedUrl:
    parsed = as_url(url)
    origin = f"{parsed.scheme}://{parsed.netloc.decode()}"
    return _ParsedUrl(parsed, origin, parsed.is_absolute_url)


_cached = functools.lru_cache(_CACHE_SIZE)(_parse)


def _headers_of(method: str, origin: str, given: tuple[tuple[bytes, bytes], ...]) -> httpx.Headers:
    """Return the headers of a request without a body; they are shared, and mustn't be changed."""
    return httpx.Request(method, origin, headers=list(given)).headers


class FastPathClient(RedirectingClient, httpx.AsyncClient):
    """A drop-in replacement for ``httpx.AsyncClient``.

    Args:
        redirects: what a redirect to another origin carries.
        cookie_jar: whether cookies of responses are kept; those that the caller gives always are.
        max_encodings: how many content codings of a response are decoded, at most.
        **options: those of ``httpx.AsyncClient``.
    """

    def __init__(
        self,
        *,
        redirects: RedirectPolicy | None = None,
        cookie_jar: bool = True,
        max_encodings: int = 1,
        **options: Any,
    ) -> None:
        require_bool("cookie_jar", cookie_jar)
        if isinstance(base_url := options.get("base_url"), str):
            options["base_url"] = _parse(base_url).url
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
        parsed: _ParsedUrl | None = None
        if type(url) is str and (not options or _only_extends(options)):
            parsed = self._bare_url(url)
        if parsed is None:
            return await super().request(method, url, **options)
        return await self.send(self._bare_request(method, parsed, **options))

    def build_request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Request:
        """Build a request as httpx does."""
        parsed = _parsed(url).url if isinstance(url, str) else url
        return super().build_request(method, parsed, **options)

    def _bare_url(self, url: str) -> _ParsedUrl | None:
        """Return the parsed URL if nothing is added to the request; None if something may be."""
        if self.params or not (
            _is_unpatched(httpx.AsyncClient.request)
            and _is_unpatched(httpx.AsyncClient.build_request)
        ):
            return None
        parsed = _parsed(url)
        if self.cookies and may_have_cookies_for(self.cookies.jar, parsed.url):
            return None
        return parsed if parsed.is_absolute else None

    def _bare_request(
        self, method: str, parsed: _ParsedUrl, extensions: Mapping[str, Any] | None = None
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
