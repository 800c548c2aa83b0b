"""Three ways to keep requests off plain http: redirect them, refuse them, or learn from the host.

It owns what becomes of a request on its way to the transport that sends it. The rules of HSTS are
in ``policies/hsts.py``; of connections nothing is known here.
"""

import contextlib
import re
import threading
import time
from collections.abc import Iterable

import httpx

from typed_async_client.policies.hsts import KnownHosts, parse
from typed_async_client.transports.pair import AnyTransport, WrappingTransport

__all__ = ["HSTSTransport", "HTTPSOnlyTransport", "HTTPSRedirectTransport"]


class HTTPSRedirectTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answer every http request with a redirect to https, and send nothing.

    The answer is 308 (RFC 9110 section 15.4.9), so that a client that follows redirects keeps
    method and body. Port 80 becomes the default one of https, any other port stays (RFC 6797
    section 8.3). User and password of the URL are not in the ``Location``.

    Mount it for http, on a plain client or an asynchronous one.

    Raises:
        httpx.UnsupportedProtocol: the request is not for http; redirecting one that is for https
            already would never end.

    Example:
        >>> redirect = {"http://": HTTPSRedirectTransport()}
        >>> client = httpx.Client(mounts=redirect, follow_redirects=True)
    """

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer the request of a plain client."""
        return _redirect(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer the request of an asynchronous client."""
        return _redirect(request)


class HTTPSOnlyTransport(WrappingTransport):
    """Refuse whatever is neither https nor wss, before anything of it is sent.

    For plain clients and asynchronous ones. Requests that a redirect leads to come this way too.

    Args:
        transport: what sends the requests: of the kind of the client, or of both. None is
            ``httpx.HTTPTransport()`` for a plain client, and ``AsyncPoolTransport()`` for an
            asynchronous one, neither with a proxy of the environment. It is closed with this one.

    Raises:
        TypeError: the transport is none, or serves the other kind of client alone.
        httpx.UnsupportedProtocol: raised to the requester whose request is refused; the message
            has neither user and password of the URL nor its query.

    Example:
        >>> client = AsyncResilientClient(transport=HTTPSOnlyTransport())
    """

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request of a plain client, if it goes over TLS."""
        _refuse_unless_over_tls(request)
        return self._pair.plain.handle_request(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request of an asynchronous client, if it goes over TLS."""
        _refuse_unless_over_tls(request)
        return await self._pair.asynchronous.handle_async_request(request)


class HSTSTransport(WrappingTransport):
    """Ask those hosts over https that have asked for it: HTTP Strict Transport Security, RFC 6797.

    A host that answers over https with ``Strict-Transport-Security`` is known for as long as it
    says. A http request to a known host is sent over https, and a ws request over wss:
    ``request.url`` is changed before it is sent, so that ``response.url`` tells what was done.
    Port 80 becomes the default one of https, any other port stays (section 8.3). An address is
    never known; nor is a host learned from a connection on which certificate and name were not
    both checked. Cookies are chosen before, for the http URL: those for https alone are not among
    them.

    For plain clients and asynchronous ones; safe for every thread of a plain client. Make it the
    transport of the whole client: one that is mounted for http learns nothing. What was learned
    lives as long as this object: up to 10,000 hosts, of which the one noted longest ago makes
    room.

    Args:
        transport: what sends the requests: of the kind of the client, or of both. None is
            ``httpx.HTTPTransport()`` for a plain client, and ``AsyncPoolTransport()`` for an
            asynchronous one, neither with a proxy of the environment. It is closed with this one.
        known: hosts known from the start and for ever, with all hosts below them.

    Raises:
        TypeError: the transport is none, or serves the other kind of client alone.
        ValueError: something in ``known`` that is no name of a host, such as an address, a URL,
            or a pattern.

    Example:
        >>> client = httpx.Client(transport=HSTSTransport(known=["example.org"]))
        >>> str(client.get("http://www.example.org/").url)
        'https://www.example.org/'
    """

    def __init__(self, transport: AnyTransport | None = None, *, known: Iterable[str] = ()) -> None:
        super().__init__(transport)
        if isinstance(known, str):  # each of its letters would be a host
            raise TypeError(f"known is a collection of hosts, got {known!r}")
        self._hosts = KnownHosts(always=[_name_of(host) for host in known])
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request of a plain client, over https if its host is known."""
        self._upgrade(request)
        response = self._pair.plain.handle_request(request)
        self._learn(request.url, response)
        return response

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request of an asynchronous client, over https if its host is known."""
        self._upgrade(request)
        response = await self._pair.asynchronous.handle_async_request(request)
        self._learn(request.url, response)
        return response

    def _upgrade(self, request: httpx.Request) -> None:
        if request.url.scheme not in _OVER_TLS:
            return
        with self._lock:
            known = self._hosts.must_upgrade(_host_of(request.url), now=time.monotonic())
        if known:
            _send_over_tls(request)

    def _learn(self, url: httpx.URL, response: httpx.Response) -> None:
        headers = response.headers.get_list("Strict-Transport-Security")
        if url.scheme != "https" or not headers or not _was_checked(response):
            return
        if (said := parse(headers[0])) is not None:  # the first field alone, section 8.1
            with self._lock:
                self._hosts.note(_host_of(url), said, now=time.monotonic())


_OVER_TLS = {"http": "https", "ws": "wss"}
"""Each plain scheme, with the one that stands for the same over TLS."""


def _redirect(request: httpx.Request) -> httpx.Response:
    if request.url.scheme != "http":
        raise httpx.UnsupportedProtocol(
            f"HTTPSRedirectTransport redirects http alone, got {_shown(request.url)}; "
            'mount it for "http://"',
            request=request,
        )
    location = request.url.copy_with(scheme="https", userinfo=b"", fragment=None)
    return httpx.Response(308, headers={"Location": str(location)}, request=request)


def _refuse_unless_over_tls(request: httpx.Request) -> None:
    if request.url.scheme not in _OVER_TLS.values():
        raise httpx.UnsupportedProtocol(
            f"only https and wss are allowed, refused {_shown(request.url)}", request=request
        )


def _send_over_tls(request: httpx.Request) -> None:
    plain = request.url.netloc.decode("ascii")
    request.url = request.url.copy_with(scheme=_OVER_TLS[request.url.scheme])
    if request.headers.get("Host", "").lower() in {plain, f"{plain}:80"}:  # else it is the user's
        request.headers["Host"] = request.url.netloc.decode("ascii")


def _was_checked(response: httpx.Response) -> bool:
    """Say whether TLS checked who answered; a transport that shows no TLS is believed."""
    stream = response.extensions.get("network_stream")
    tls = None if stream is None else stream.get_extra_info("ssl_object")
    context = getattr(tls, "context", None)
    return context is None or bool(context.check_hostname)


def _name_of(host: str) -> str:
    """Read a name that the user gave, in ASCII.

    Raises:
        ValueError: it is none, even where a URL could be made of it.
    """
    with contextlib.suppress(httpx.InvalidURL, TypeError):
        name = _host_of(httpx.URL(scheme="https", host=host))
        if _NAME.fullmatch(name):
            return name
    raise ValueError(f"only names of hosts can be known, got {host!r}")


_LABEL = r"(?!-)[a-z0-9_-]+(?<!-)"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
"""Labels of letters, digits, hyphens and the underscore that some names have."""


def _host_of(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii")


def _shown(url: httpx.URL) -> str:
    """Give a URL without what may be secret in it."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))
