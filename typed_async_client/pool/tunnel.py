"""Opens a tunnel through an HTTP proxy with ``CONNECT``, RFC 9110 section 9.3.6.

The proxy is asked with the same HTTP/1.1 exchange that serves requests. What is inside the tunnel is
between the client and the origin: TLS, or HTTP itself for ``ws`` and for HTTP/2 without TLS.
"""

import logging
import sys
from typing import Any

import httpcore

from typed_async_client.hosts import authority_host
from typed_async_client.pool.forward import merge_headers
from typed_async_client.pool.handshake import HandshakeStream
from typed_async_client.pool.opening import Hop, Opening, Prepare, is_secure
from typed_async_client.pool.options import ExchangeFactory
from typed_async_client.private import repair_force_close
from typed_async_client.wire.trace import CONNECTION_LOGGER, PROXY_LOGGER, Trace

__all__ = ["TunnelDialer"]

_SUCCESS, _REDIRECT = 200, 300

_LONGEST_REASON = 100
"""Most characters of a reason phrase that are quoted."""


class TunnelDialer:
    """Reaches an origin through a tunnel.

    Args:
        origin: the origin.
        proxy: the proxy.
        http11: creates the exchange that the proxy is asked with.
    """

    logger: logging.Logger | None = None
    prepare: Prepare | None = None

    def __init__(
        self, origin: httpcore.Origin, proxy: httpcore.Proxy, http11: ExchangeFactory
    ) -> None:
        self.origin: httpcore.Origin = origin
        self._proxy = proxy
        self._http11 = http11

    async def dial(self, opening: Opening) -> Any:
        """Connect to the proxy, ask for a tunnel, and start TLS in it if the origin needs that.

        Raises:
            httpcore.ProxyError: the proxy refused the tunnel.
            httpcore.ConnectError: among others, the proxy sent bytes before the TLS handshake.
            httpcore.ReadTimeout: the proxy didn't answer within the read timeout.
        """
        stream = await opening.reach(Hop.of_proxy(self._proxy))
        shared = HandshakeStream(stream)
        exchange = self._http11(self._proxy.url.origin, shared)
        answer = await exchange.handle_async_request(self._connect_request(opening.request))
        shared.end()
        try:
            _check(answer)
            early = await _read_early(answer)
            await _release(exchange, answer)
            return await self._enter(opening, stream, early)
        except BaseException:
            async with Trace("close", CONNECTION_LOGGER, None, {}):
                await exchange.aclose()
            await _release(exchange, answer)
            raise

    async def _enter(self, opening: Opening, stream: Any, early: bytes) -> Any:
        """Start what is inside the tunnel.

        Args:
            opening: the opening of the connection.
            stream: the stream to the proxy.
            early: bytes that the proxy has sent together with its answer.
        """
        if early:  # in front of what has arrived since
            stream.protocol.insert(early + stream.protocol.take(sys.maxsize))
        if is_secure(self.origin):
            repair_force_close(stream.transport)
            return await opening.secure(stream, self.origin, PROXY_LOGGER)
        if early and opening.options.http1:  # over HTTP/2, the server may send its settings at once
            raise httpcore.ConnectError("the peer sent bytes before the request")
        return stream

    def _connect_request(self, request: httpcore.Request) -> httpcore.Request:
        """Return the request for the tunnel; no ``target`` that was meant for the origin is in it."""
        host = authority_host(self.origin.host.decode("ascii"))
        target = b"%b:%d" % (host.encode("ascii"), self.origin.port)
        proxy = self._proxy.url.origin
        extensions = {name: value for name, value in request.extensions.items() if name != "target"}
        return httpcore.Request(
            method=b"CONNECT",
            url=httpcore.URL(scheme=proxy.scheme, host=proxy.host, port=proxy.port, target=target),
            headers=merge_headers([(b"Host", target), (b"Accept", b"*/*")], self._proxy.headers),
            extensions=extensions,
        )


def _check(answer: httpcore.Response) -> None:
    """Raise unless the proxy has opened the tunnel."""
    if not _SUCCESS <= answer.status < _REDIRECT:
        reason = answer.extensions.get("reason_phrase", b"").decode("ascii", "ignore")
        raise httpcore.ProxyError(f"{answer.status} {reason[:_LONGEST_REASON]}".rstrip())


async def _read_early(answer: httpcore.Response) -> bytes:
    """Return what the exchange has read beyond the answer, which isn't its own."""
    inside, early = answer.extensions["network_stream"], b""
    while part := await inside.read(sys.maxsize):
        early += part
    return early


async def _release(exchange: Any, answer: httpcore.Response) -> None:
    """Let the parser of an answer be freed; httpcore doesn't report that the answer is closed."""
    if hasattr(exchange, "is_traced"):  # ours on llhttp
        exchange.is_traced = False
        await answer.aclose()
