"""Three transports that keep requests off plaintext HTTP: by redirect, by refusal, and by HSTS.

They change or refuse a request on its way to the transport that sends it. The rules of HSTS are in
``policies/hsts.py``; connections are handled by the wrapped transport.
"""

import contextlib
import re
import threading
import time
from collections.abc import Iterable

import httpx

from typed_async_client.libraries import check_request
from typed_async_client.policies.hsts import KnownHosts, parse
from typed_async_client.transports.pair import AnyTransport, WrappingTransport

__all__ = ["HSTSTransport", "HTTPSOnlyTransport", "HTTPSRedirectTransport"]


class HTTPSRedirectTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answer every http request with a redirect to https, without sending anything.

    The status is 308 (RFC 9110 section 15.4.9), so a client that follows redirects keeps the
    method and the body. Port 80 becomes the default port of https, any other port is kept (RFC 6797
    section 8.3). The ``Location`` doesn't include the URL's user and password.

    Mount it for http, on a synchronous or an asynchronous client.

    Raises:
        httpx.UnsupportedProtocol: the request isn't for http. Redirecting an https request to
            https would never end.

    Example:
        >>> redirect = {"http://": HTTPSRedirectTransport()}
        >>> client = httpx.Client(mounts=redirect, follow_redirects=True)
    """

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of a synchronous client."""
        return _redirect(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of an asynchronous client."""
        return _redirect(request)


class HTTPSOnlyTransport(WrappingTransport):
    """Refuse any request that isn't https or wss, before anything is sent.

    It works with synchronous and asynchronous clients. The targets of redirects are checked too.

    Args:
        transport: the transport to send with, of the client's kind or of both. None means
            ``httpx.HTTPTransport()`` for a synchronous client and ``AsyncPoolTransport()`` for an
            asynchronous one, both through the proxies of the environment; to ignore them, pass
            one with ``trust_env=False``. It is closed together with this one.

    Raises:
        TypeError: ``transport`` isn't an httpx transport, or only supports the other kind of
            client.
        httpx.UnsupportedProtocol: raised to the caller whose request is refused; the message
            leaves out the URL's user, password and query.

    Example:
        >>> client = AsyncResilientClient(transport=HTTPSOnlyTransport())
    """

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of a synchronous client, if it uses TLS."""
        _require_tls(request)
        return self._pair.sync_transport.handle_request(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of an asynchronous client, if it uses TLS."""
        _require_tls(request)
        return await self._pair.async_transport.handle_async_request(request)


class HSTSTransport(WrappingTransport):
    """Use https for hosts that have asked for it: HTTP Strict Transport Security, RFC 6797.

    A host that answers over https with ``Strict-Transport-Security`` is remembered for as long as
    the header says. Requests to a known host are sent over https instead of http, and over wss
    instead of ws. ``request.url`` is changed before the request is sent, so that ``response.url``
    is the URL that was used. Port 80 becomes the default port of https, any other port is kept
    (section 8.3). IP addresses are never remembered, nor are hosts whose connection didn't verify
    both certificate and host name. httpx selects cookies earlier, for the http URL, so cookies that
    are restricted to https aren't sent.

    It works with synchronous and asynchronous clients, and is thread-safe. Make it the transport
    of the whole client: if it is mounted for http only, it never sees the header. Hosts are
    remembered as long as this object lives, up to 10,000; beyond that, the host that was noted
    longest ago is dropped.

    Args:
        transport: the transport to send with, of the client's kind or of both. None means
            ``httpx.HTTPTransport()`` for a synchronous client and ``AsyncPoolTransport()`` for an
            asynchronous one, both through the proxies of the environment; to ignore them, pass
            one with ``trust_env=False``. It is closed together with this one.
        known: hosts that are known from the start and never expire, including their subdomains.

    Raises:
        TypeError: ``transport`` isn't an httpx transport, or only supports the other kind of
            client; or ``known`` is a string.
        ValueError: ``known`` contains something other than a host name, such as an IP address, a
            URL, or a pattern.

    Example:
        >>> client = httpx.Client(transport=HSTSTransport(known=["example.org"]))
        >>> str(client.get("http://www.example.org/").url)
        'https://www.example.org/'
    """

    def __init__(self, transport: AnyTransport | None = None, *, known: Iterable[str] = ()) -> None:
        super().__init__(transport)
        if isinstance(known, str):  # each of its characters would count as a host
            raise TypeError(f"known must be a collection of host names, got {known!r}")
        self._hosts = KnownHosts(always=[_checked_name(host) for host in known])
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of a synchronous client, over https if its host is known."""
        self._upgrade(request)
        response = self._pair.sync_transport.handle_request(request)
        self._note_policy(request.url, response)
        return response

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of an asynchronous client, over https if its host is known."""
        self._upgrade(request)
        response = await self._pair.async_transport.handle_async_request(request)
        self._note_policy(request.url, response)
        return response

    def _upgrade(self, request: httpx.Request) -> None:
        check_request(request)
        if request.url.scheme not in _TLS_SCHEMES:
            return
        with self._lock:
            known = self._hosts.must_upgrade(_host_of(request.url), now=time.monotonic())
        if known:
            _switch_to_tls(request)

    def _note_policy(self, url: httpx.URL, response: httpx.Response) -> None:
        headers = response.headers.get_list("Strict-Transport-Security")
        if url.scheme != "https" or not headers or not _was_verified(response):
            return
        if (policy := parse(headers[0])) is not None:  # only the first field counts, section 8.1
            with self._lock:
                self._hosts.note(_host_of(url), policy, now=time.monotonic())


_TLS_SCHEMES = {"http": "https", "ws": "wss"}
"""Each plaintext scheme, and its counterpart over TLS."""


def _redirect(request: httpx.Request) -> httpx.Response:
    check_request(request)
    if request.url.scheme != "http":
        raise httpx.UnsupportedProtocol(
            f"HTTPSRedirectTransport only redirects http, got {_without_secrets(request.url)}; "
            'mount it for "http://"',
            request=request,
        )
    location = request.url.copy_with(scheme="https", userinfo=b"", fragment=None)
    return httpx.Response(308, headers={"Location": str(location)}, request=request)


def _require_tls(request: httpx.Request) -> None:
    check_request(request)
    if request.url.scheme not in _TLS_SCHEMES.values():
        raise httpx.UnsupportedProtocol(
            f"only https and wss are allowed, refused {_without_secrets(request.url)}",
            request=request,
        )


def _switch_to_tls(request: httpx.Request) -> None:
    netloc = request.url.netloc.decode("ascii")
    request.url = request.url.copy_with(scheme=_TLS_SCHEMES[request.url.scheme])
    if request.headers.get("Host", "").lower() in {netloc, f"{netloc}:80"}:  # else set by the user
        request.headers["Host"] = request.url.netloc.decode("ascii")


def _was_verified(response: httpx.Response) -> bool:
    """Whether TLS verified the host name; assumed if the transport doesn't expose its TLS state."""
    stream = response.extensions.get("network_stream")
    tls = None if stream is None else stream.get_extra_info("ssl_object")
    context = getattr(tls, "context", None)
    return context is None or bool(context.check_hostname)


def _checked_name(host: str) -> str:
    """Return a host name given by the user, in ASCII.

    Raises:
        ValueError: it isn't a host name, even if it could be part of a URL.
    """
    with contextlib.suppress(httpx.InvalidURL, TypeError):
        name = _host_of(httpx.URL(scheme="https", host=host))
        if _NAME.fullmatch(name):
            return name
    raise ValueError(f"known must only contain host names, got {host!r}")


_LABEL = r"(?!-)[a-z0-9_-]+(?<!-)"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
"""Labels of letters, digits and hyphens, and the underscores that some names contain."""


def _host_of(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii")


def _without_secrets(url: httpx.URL) -> str:
    """Return a URL without the parts that may be secret."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))
