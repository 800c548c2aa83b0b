"""httpx's client, with redirects that carry no secret to another origin.

httpx only drops ``Authorization`` and a ``Cookie`` header given by hand. What else mustn't follow is
decided in ``policies/redirect.py``, for each hop. Once a request has left its first origin, that is
noted in its extensions: nothing that was left behind comes back at a later hop, nor when
``response.next_request`` is passed to ``send()``.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

import httpx

from typed_async_client.errors import InsecureRedirectError
from typed_async_client.httpx_client.cookies import RequestCookies
from typed_async_client.policies.classify import is_idempotent
from typed_async_client.policies.redirect import Origin, OriginChange, RedirectPolicy
from typed_async_client.sent import current_log
from typed_async_client.urls import InvalidURLError, without_userinfo

__all__ = ["RedirectingClient", "extensions_across", "headers_across", "raise_if_refused"]

_CHANGE: Final = "typed_async_client.origin_change"
"""The extension of a request that says how redirects have changed its origin."""

_OF_ONE_URL: Final = frozenset({"sni_hostname", "target"})
"""Extensions that replace a part of the URL, and are wrong, or secret, for another origin."""

_INVALID_LOCATION: Final = (
    "the Location header of the redirect is an invalid URL, which isn't shown because it has a user "
    "name or password"
)

_FRAMING: Final = frozenset({"content-length", "transfer-encoding"})


class RedirectingClient(httpx.AsyncClient):
    """An ``httpx.AsyncClient`` whose redirects to another origin carry what its policy allows.

    Args:
        redirects: the policy.
        **options: the options of ``httpx.AsyncClient``.
    """

    def __init__(self, *, redirects: RedirectPolicy | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._policy = redirects or RedirectPolicy()

    def _build_redirect_request(
        self, request: httpx.Request, response: httpx.Response
    ) -> httpx.Request:
        if not is_idempotent(request.method, request.headers.raw):
            # The caller's Idempotency-Key stays at the first origin: no other one would notice.
            current_log().unrepeatable = True
        method = self._redirect_method(request, response)
        url = self._target_of(request, response)
        stream = None if method != request.method and method == "GET" else request.stream
        hop = self._policy.change(_origin_of(request.url), _origin_of(url))
        extensions: Mapping[str, Any] = request.extensions
        if hop is OriginChange.NONE:
            headers = _within_origin(request, url, has_body=stream is not None)
        else:
            stream = None if stream is None or _is_empty(stream) else stream
            has_body = stream is not None
            carried = headers_across(self._policy, request.headers, hop, has_body=has_body)
            headers = httpx.Headers([(b"Host", url.netloc), *carried.raw])
            if hop is OriginChange.INSECURE and (what := self._withheld(request, stream)):
                stream = _RefusedBody(_explain(what, request.url, url))
            extensions = extensions_across(request.extensions, hop)
        return httpx.Request(
            method,
            url,
            headers=headers,
            cookies=self._cookies_after(extensions),
            stream=stream,
            extensions=dict(extensions),
        )

    def _target_of(self, request: httpx.Request, response: httpx.Response) -> httpx.URL:
        try:
            # A user name in it would be in every log, and httpx doesn't send it.
            return without_userinfo(self._located(request, response))
        except (httpx.RemoteProtocolError, InvalidURLError):
            if "@" not in response.headers["Location"]:
                raise
            # httpx quotes what it couldn't parse, which may be a piece of a password.
            raise httpx.RemoteProtocolError(_INVALID_LOCATION, request=request) from None

    def _located(self, request: httpx.Request, response: httpx.Response) -> httpx.URL:
        """Return the URL that a response redirects to; httpx lets the errors of idna pass."""
        try:
            url = self._redirect_url(request, response)
            url.host  # noqa: B018 - decodes it
        except UnicodeError:
            raise httpx.RemoteProtocolError(
                "Invalid URL in location header: its host isn't valid IDNA.", request=request
            ) from None
        return url

    def _build_request_auth(
        self, request: httpx.Request, auth: Any = httpx.USE_CLIENT_DEFAULT
    ) -> httpx.Auth:
        if _CHANGE in request.extensions and auth is httpx.USE_CLIENT_DEFAULT:
            return httpx.Auth()  # that of the client was meant for the first origin
        return super()._build_request_auth(request, auth)

    def _withheld(self, request: httpx.Request, body: object) -> str:
        """Return what the user wants to be sent, but mustn't be sent without TLS; empty if nothing."""
        named = [name for name in request.headers if name in self._policy.headers]
        return "the body" if body is not None else ", ".join(named)

    def _cookies_after(self, extensions: Mapping[str, Any]) -> RequestCookies | None:
        if not self.cookies:
            return None
        change = OriginChange(extensions.get(_CHANGE, OriginChange.NONE))
        return RequestCookies(self.cookies.jar, change=change)


def raise_if_refused(request: httpx.Request) -> None:
    """Raise the error of a request that a redirect asks for, but that mustn't be sent.

    Raises:
        InsecureRedirectError: its body or a header of it would be sent unencrypted.
    """
    if isinstance(request.stream, _RefusedBody):
        raise InsecureRedirectError(request.stream.reason, request=request)


class _RefusedBody(httpx.AsyncByteStream, httpx.SyncByteStream):
    """The body of a request that mustn't be sent; reading it raises, in any client."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __iter__(self) -> Iterator[bytes]:
        raise InsecureRedirectError(self.reason)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        raise InsecureRedirectError(self.reason)
        yield b""  # makes it a generator


def _explain(what: str, source: httpx.URL, target: httpx.URL) -> str:
    return (
        f"the redirect from https://{_netloc(source)} to {target.scheme}://{_netloc(target)} asks "
        f"to send {what} unencrypted; pass allow_insecure_redirects=True to the client to allow it"
    )


def _netloc(url: httpx.URL) -> str:
    """Return host and port, without user name and password."""
    return url.netloc.decode("ascii")


def _origin_of(url: httpx.URL) -> Origin:
    return Origin(url.scheme, url.raw_host.decode("ascii").lower(), url.port)


def _is_empty(stream: object) -> bool:
    return isinstance(stream, httpx.ByteStream) and not any(stream)


def _within_origin(request: httpx.Request, url: httpx.URL, *, has_body: bool) -> httpx.Headers:
    """Return the headers of a redirect that stays at its origin, as httpx does."""
    dropped = {"cookie"} if has_body else {"cookie", *_FRAMING}
    headers = httpx.Headers(request.headers)
    for name in dropped & headers.keys():
        del headers[name]
    if url.scheme != request.url.scheme:
        headers["Host"] = _netloc(url)
    return headers


def headers_across(
    policy: RedirectPolicy, headers: httpx.Headers, hop: OriginChange, *, has_body: bool
) -> httpx.Headers:
    """Return those headers of a request that go to another origin.

    Args:
        policy: says which.
        headers: those of the request before a redirect.
        hop: what the redirect does to the origin.
        has_body: whether the body goes there, too.
    """
    return httpx.Headers(
        [
            (name, value)
            for name, value in headers.raw
            if policy.carries_header(
                name.decode("latin-1").lower(), value.decode("latin-1"), hop, has_body=has_body
            )
        ]
    )


def extensions_across(extensions: Mapping[str, Any], hop: OriginChange) -> dict[str, Any]:
    """Return the extensions of a request that goes to another origin.

    Insecure is the worst that can happen to a request, and is remembered at later hops.

    Args:
        extensions: those of the request before a redirect.
        hop: what the redirect does to the origin.
    """
    kept = {name: value for name, value in extensions.items() if name not in _OF_ONE_URL}
    before = extensions.get(_CHANGE)
    return {**kept, _CHANGE: before if before == OriginChange.INSECURE else str(hop)}
