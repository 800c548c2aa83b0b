"""The pyreqwest backend, on Rust's reqwest: its options, and what its errors mean.

pyreqwest reports requests that fail later as failed connections, follows redirects by default, and
its own transport for httpx only returns a response once 64 kB of it have arrived. So the transport
here is ours: it translates errors again, and leaves every decision to send to httpx.
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

    A certificate authority passed as ``verify``, or set by ``SSL_CERT_FILE``, is trusted in
    addition to those of the system, not instead of them. The phases before the response share the
    sum of their timeouts: a phase without a timeout adds nothing, and without a read timeout there
    is no limit. The request extensions ``sni_hostname``, ``target`` and ``trace`` aren't supported.
    A header that isn't UTF-8 raises ``ValueError`` before anything is sent; a response with a
    header that isn't ASCII raises ``httpx.RemoteProtocolError``.

    Raises:
        ValueError: pyreqwest doesn't support an option; the message names it.
        OSError: a certificate file can't be read.
    """
    builder = ClientBuilder().no_proxy().follow_redirects(enable=False).referer(enable=False)
    for coding in (builder.gzip, builder.brotli, builder.zstd, builder.deflate):
        coding(enable=False)  # httpx decodes
    _set_versions(builder, options)
    _set_limits(builder, options.limits)
    _set_trust(builder, options)
    _set_proxy(builder, options.proxy)
    inner = _Reqwest(builder.build())
    return ForeignTransport(inner, _translate, connections=inner, enforces_timeouts=False)


_CANCELLATION_DELAY = 0.05
"""Seconds to let pyreqwest's thread process a cancellation before its client is closed.

A client that is closed earlier keeps the connections that were being opened, and pyreqwest offers
no way to wait for the cancellation.
"""


class _Reqwest(httpx.AsyncBaseTransport):
    """Sends through pyreqwest; ``ForeignTransport`` handles its errors and timeouts."""

    def __init__(self, client: Client) -> None:
        self._client: Client | None = client
        self._had_cancellation = False
        self._was_used = False

    @property
    def is_unclosed(self) -> bool:
        """Whether it may have open connections."""
        return self._was_used and self._client is not None

    def abandon(self) -> None:
        """Drop the client, which closes its connections when it is freed."""
        self._client = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._client is None:
            raise httpx.TransportError("the transport is closed")
        self._was_used = True
        builder = self._client.request(request.method, str(request.url))
        builder.headers(request.headers.multi_items()).streamed_read_buffer_limit(0)
        try:
            builder.body_bytes(request.content)
        except httpx.RequestNotRead:
            assert isinstance(request.stream, httpx.AsyncByteStream)  # noqa: S101 - sent async
            builder.body_stream(request.stream)
        exchange = builder.build_streamed()
        try:
            response = await exchange.__aenter__()
        except asyncio.CancelledError:
            self._had_cancellation = True
            raise
        return httpx.Response(
            response.status,
            headers=await _headers_of(exchange, response),
            stream=_Body(exchange, response),
            extensions={"http_version": response.version.replace("/2.0", "/2").encode()},
        )

    async def aclose(self) -> None:
        client, self._client = self._client, None  # a closed client still holds idle connections
        if client is None:
            return
        try:
            if self._had_cancellation:
                await asyncio.sleep(_CANCELLATION_DELAY)
        finally:
            await client.close()


async def _headers_of(exchange: StreamRequest, response: Response) -> list[tuple[str, str]]:
    """Return the response headers; pyreqwest only returns them as ASCII text."""
    try:
        return list(response.headers.items())
    except ValueError as error:
        await exchange.__aexit__(None, None, None)
        raise httpx.RemoteProtocolError("a response header is not ASCII") from error


class _Body(httpx.AsyncByteStream):
    """A response body, in parts as they arrive."""

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
        raise refuse("pyreqwest", "http1=False without http2=True", "no protocol is left")


def _set_limits(builder: ClientBuilder, limits: httpx.Limits) -> None:
    idle, limit = limits.max_keepalive_connections, limits.max_connections
    if idle and (limit is None or idle < limit):
        raise refuse(
            "pyreqwest",
            f"limits.max_keepalive_connections={idle}",
            "it limits idle connections per host",
        )
    builder.max_connections(limit)
    expiry = limits.keepalive_expiry
    builder.pool_idle_timeout(None if expiry is None else timedelta(seconds=expiry))
    if idle == 0:
        builder.pool_max_idle_per_host(0)


def _set_trust(builder: ClientBuilder, options: BackendOptions) -> None:
    verify, cert = options.verify, options.cert
    if isinstance(verify, ssl.SSLContext) or (isinstance(verify, str) and Path(verify).is_dir()):
        raise refuse("pyreqwest", f"verify={verify!r}", "use True, False, or a file")
    if isinstance(verify, str):
        builder.add_root_certificate_pem(Path(verify).read_bytes())
    elif not verify:
        builder.danger_accept_invalid_certs(enable=True)
    if not options.trust_env and any(name in os.environ for name in _TRUST_VARIABLES):
        raise refuse(
            "pyreqwest", "trust_env=False", f"it always reads {' and '.join(_TRUST_VARIABLES)}"
        )
    if cert is not None:
        files = (cert,) if isinstance(cert, str) else cert
        if len(files) > len(("certificate", "key")):
            raise refuse("pyreqwest", "a cert with a password", "it only takes unencrypted keys")
        builder.identity_pem(b"\n".join(Path(file).read_bytes() for file in files))


_TRUST_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def _set_proxy(builder: ClientBuilder, proxy: httpx.Proxy | None) -> None:
    if proxy is None:
        return
    if proxy.ssl_context is not None:
        raise refuse("pyreqwest", "ssl_context of a proxy", "it has no such option")
    proxy_builder = ProxyBuilder.all(str(proxy.url)).headers(proxy.headers.multi_items())
    if proxy.raw_auth is not None:
        proxy_builder.basic_auth(*(part.decode() for part in proxy.raw_auth))
    builder.proxy(proxy_builder)


# Translation of errors


def _translate(error: Exception) -> Exception:
    """Map an error of pyreqwest to httpx's, whether bare or wrapped by its layer for httpx."""
    origin = error.__cause__ if isinstance(error, httpx.HTTPError) else error
    if not isinstance(origin, exceptions.DetailedPyreqwestError):
        return error
    messages = [_URL.sub("", cause["message"]) for cause in origin.details["causes"] or ()]
    error_type = next((ours for theirs, ours in _ERROR_TYPES if isinstance(origin, theirs)), None)
    error_type = error_type or _type_by_messages(messages)
    translated = error_type(messages[-1] if messages else _URL.sub("", origin.message))
    translated.__cause__ = origin
    if isinstance(translated, httpx.ConnectError):
        origin.__cause__ = _system_error(" ".join(messages))
    return translated


_ERROR_TYPES: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (exceptions.ConnectTimeoutError, httpx.ConnectTimeout),
    (exceptions.PoolTimeoutError, httpx.PoolTimeout),
    (exceptions.WriteTimeoutError, httpx.WriteTimeout),
    (exceptions.RequestTimeoutError, httpx.ReadTimeout),
    (exceptions.BuilderError, httpx.LocalProtocolError),
    (exceptions.ClientClosedError, httpx.TransportError),
    (exceptions.RequestPanicError, httpx.TransportError),
)
"""Errors of pyreqwest that are clear from their class alone; the first match counts."""


def _type_by_messages(messages: list[str]) -> type[httpx.TransportError]:
    """Infer from an error's messages what has failed, as its class doesn't say."""
    text = " ".join(messages)
    if any(refusal in text for refusal in _PROXY_REFUSALS):
        return httpx.ProxyError
    had_tunnel = "tunnel error" in text and "underlying connection" not in text
    if "client error (Connect)" in messages and not had_tunnel:
        return httpx.ConnectError
    return httpx.ReadError if _OS_ERROR.search(text) else httpx.RemoteProtocolError


_PROXY_REFUSALS = ("tunnel error: proxy authorization", "tunnel error: unsuccessful")
_URL = re.compile(r" for url \(.*\)")
"""The URL in a message, which may hold secrets."""

_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def _system_error(text: str) -> OSError:
    """Recreate Python's error from a message; pyreqwest only passes on the text."""
    if "dns error" in text:
        code = socket.EAI_AGAIN if "Temporary failure" in text else socket.EAI_NONAME
        return socket.gaierror(code, text)
    if "invalid peer certificate" in text:
        return ssl.SSLCertVerificationError(ssl.SSL_ERROR_SSL, text)
    if found := _OS_ERROR.search(text):
        return OSError(int(found[1]), os.strerror(int(found[1])))
    if "handshake eof" in text:
        return ssl.SSLEOFError(ssl.SSL_ERROR_EOF, text)
    is_tls = any(marker in text for marker in ("alert", "corrupt message", "peer"))
    return ssl.SSLError(ssl.SSL_ERROR_SSL, text) if is_tls else OSError(text)
