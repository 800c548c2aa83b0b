"""pyreqwest as the engine: Rust's reqwest, its options, and what its errors mean.

pyreqwest calls what happens to a request on its way a failed connection, as if nothing had been
sent, follows redirects unless told not to, and its own transport for httpx shows a response only
once 64 kB of it have come. So its errors are read anew here, httpx alone decides what is sent, and
the transport is ours.
"""

import asyncio
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
from pyreqwest import exceptions
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from typed_async_client.transports.backends.foreign import BackendOptions, ForeignTransport, refuse

__all__ = ["make_transport"]


def make_transport(options: BackendOptions) -> httpx.AsyncBaseTransport:
    """Make a transport on pyreqwest.

    A certificate authority given as ``verify``, or by ``SSL_CERT_FILE``, is trusted beside those
    of the system, not in their place. The phases before the answer share the sum of their
    timeouts: one without a timeout adds nothing to it, and without one for reading there is
    no limit. It knows nothing of the request extensions ``sni_hostname``, ``target`` and
    ``trace``. A header that is not UTF-8 is refused with ``ValueError`` before anything is
    sent; an answer with a header that is not ASCII ends in ``httpx.RemoteProtocolError``.

    Raises:
        ValueError: pyreqwest cannot keep an option; the message names it.
        OSError: a file with certificates cannot be read.
    """
    builder = ClientBuilder().no_proxy().follow_redirects(enable=False).referer(enable=False)
    for coding in (builder.gzip, builder.brotli, builder.zstd, builder.deflate):
        coding(enable=False)  # httpx decodes
    _set_versions(builder, options)
    _set_limits(builder, options.limits)
    _set_trust(builder, options)
    _set_proxy(builder, options.proxy)
    return ForeignTransport(_Reqwest(builder.build()), _translate, keeps_time=False)


_MOMENT = 0.05
"""Seconds that pyreqwest's thread gets to hear of a cancellation before its client is closed.

A client closed sooner keeps the connections that were being made, and nothing tells when it has
heard.
"""


class _Reqwest(httpx.AsyncBaseTransport):
    """Sends through pyreqwest; its errors, and time, are the affair of who holds it."""

    def __init__(self, client: Client) -> None:
        self._client: Client | None = client
        self._cut_short = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._client is None:
            raise httpx.TransportError("the transport is closed")
        builder = self._client.request(request.method, str(request.url))
        builder.headers(request.headers.multi_items()).streamed_read_buffer_limit(0)
        try:
            builder.body_bytes(request.content)
        except httpx.RequestNotRead:
            assert isinstance(request.stream, httpx.AsyncByteStream)  # noqa: S101 - it is sent async
            builder.body_stream(request.stream)
        exchange = builder.build_streamed()
        try:
            response = await exchange.__aenter__()
        except asyncio.CancelledError:
            self._cut_short = True
            raise
        return httpx.Response(
            response.status,
            headers=await _headers_of(exchange, response),
            stream=_Answer(exchange, response),
            extensions={"http_version": response.version.replace("/2.0", "/2").encode()},
        )

    async def aclose(self) -> None:
        client, self._client = self._client, None  # even closed, it keeps idle connections open
        if client is None:
            return
        try:
            if self._cut_short:
                await asyncio.sleep(_MOMENT)
        finally:
            await client.close()


async def _headers_of(exchange: StreamRequest, response: Response) -> list[tuple[str, str]]:
    """Read the headers of an answer; pyreqwest gives them as ASCII text or not at all."""
    try:
        return list(response.headers.items())
    except ValueError as error:
        await exchange.__aexit__(None, None, None)
        raise httpx.RemoteProtocolError("a header of the answer is not ASCII") from error


class _Answer(httpx.AsyncByteStream):
    """The body of a response, as it comes."""

    def __init__(self, exchange: StreamRequest, response: Response) -> None:
        self._exchange = exchange
        self._reader = response.body_reader

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._reader.read_chunk()) is not None:
            yield bytes(chunk)

    async def aclose(self) -> None:
        await self._exchange.__aexit__(None, None, None)


def _set_versions(builder: ClientBuilder, options: BackendOptions) -> None:
    if options.http2:
        builder.http2(enable=True) if options.http1 else builder.http2_prior_knowledge()
    elif not options.http1:
        raise refuse("pyreqwest", "http1=False without http2=True", "nothing is left to speak")


def _set_limits(builder: ClientBuilder, limits: httpx.Limits) -> None:
    idle, limit = limits.max_keepalive_connections, limits.max_connections
    if idle and (limit is None or idle < limit):
        raise refuse(
            "pyreqwest", f"limits.max_keepalive_connections={idle}", "it counts for each host"
        )
    builder.max_connections(limit)
    expiry = limits.keepalive_expiry
    builder.pool_idle_timeout(None if expiry is None else timedelta(seconds=expiry))
    if idle == 0:
        builder.pool_max_idle_per_host(0)


def _set_trust(builder: ClientBuilder, options: BackendOptions) -> None:
    verify, cert = options.verify, options.cert
    if isinstance(verify, ssl.SSLContext) or (isinstance(verify, str) and Path(verify).is_dir()):
        raise refuse("pyreqwest", f"verify={verify!r}", "give True, False, or a file")
    if isinstance(verify, str):
        builder.add_root_certificate_pem(Path(verify).read_bytes())
    elif not verify:
        builder.danger_accept_invalid_certs(enable=True)
    if not options.trust_env and any(name in os.environ for name in _TRUST_VARIABLES):
        raise refuse("pyreqwest", "trust_env=False", f"it reads {' and '.join(_TRUST_VARIABLES)}")
    if cert is not None:
        files = (cert,) if isinstance(cert, str) else cert
        if len(files) > len(("certificate", "key")):
            raise refuse("pyreqwest", "a cert with a password", "it takes a key without one")
        builder.identity_pem(b"\n".join(Path(file).read_bytes() for file in files))


_TRUST_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def _set_proxy(builder: ClientBuilder, proxy: httpx.Proxy | None) -> None:
    if proxy is None:
        return
    if proxy.ssl_context is not None:
        raise refuse("pyreqwest", "the ssl_context of a proxy", "it takes none")
    way = ProxyBuilder.all(str(proxy.url)).headers(proxy.headers.multi_items())
    if proxy.raw_auth is not None:
        way.basic_auth(*(part.decode() for part in proxy.raw_auth))
    builder.proxy(way)


# What its errors mean


def _translate(error: Exception) -> Exception:
    """Give httpx's error for one of pyreqwest's, as such or behind one of its layer for httpx."""
    origin = error.__cause__ if isinstance(error, httpx.HTTPError) else error
    if not isinstance(origin, exceptions.DetailedPyreqwestError):
        return error
    said = [cause["message"] for cause in origin.details["causes"] or ()]
    kind = next((ours for theirs, ours in _MEANINGS if isinstance(origin, theirs)), None)
    twin = (kind or _meaning(said))(said[-1] if said else origin.message)
    twin.__cause__ = origin
    if isinstance(twin, httpx.ConnectError):
        origin.__cause__ = _system_error(" ".join(said))
    return twin


_MEANINGS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (exceptions.ConnectTimeoutError, httpx.ConnectTimeout),
    (exceptions.PoolTimeoutError, httpx.PoolTimeout),
    (exceptions.WriteTimeoutError, httpx.WriteTimeout),
    (exceptions.RequestTimeoutError, httpx.ReadTimeout),
    (exceptions.BuilderError, httpx.LocalProtocolError),
    (exceptions.ClientClosedError, httpx.TransportError),
    (exceptions.RequestPanicError, httpx.TransportError),
)
"""What some of pyreqwest's errors amount to, whatever they say; the first that fits counts."""


def _meaning(said: list[str]) -> type[httpx.TransportError]:
    """Tell from the words of an error what has failed: its class does not."""
    words = " ".join(said)
    if any(answer in words for answer in _ANSWERS_OF_PROXIES):
        return httpx.ProxyError
    had_tunnel = "tunnel error" in words and "underlying connection" not in words
    if "client error (Connect)" in said and not had_tunnel:
        return httpx.ConnectError
    return httpx.ReadError if _OS_ERROR.search(words) else httpx.RemoteProtocolError


_ANSWERS_OF_PROXIES = ("tunnel error: proxy authorization", "tunnel error: unsuccessful")
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def _system_error(words: str) -> OSError:
    """Give Python's error for what the system said; Rust hands on its words alone."""
    if "dns error" in words:
        code = socket.EAI_AGAIN if "Temporary failure" in words else socket.EAI_NONAME
        return socket.gaierror(code, words)
    if "invalid peer certificate" in words:
        return ssl.SSLCertVerificationError(ssl.SSL_ERROR_SSL, words)
    if found := _OS_ERROR.search(words):
        return OSError(int(found[1]), os.strerror(int(found[1])))
    if "handshake eof" in words:
        return ssl.SSLEOFError(ssl.SSL_ERROR_EOF, words)
    is_tls = any(word in words for word in ("alert", "corrupt message", "peer"))
    return ssl.SSLError(ssl.SSL_ERROR_SSL, words) if is_tls else OSError(words)
