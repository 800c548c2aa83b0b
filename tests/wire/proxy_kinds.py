"""The kinds of proxies, and how each of them fails, for tests that treat them alike."""

import contextlib
import dataclasses
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
from h2_servers import h2_client_context, h2_server
from proxy_handlers import Socks5Proxy, basic_auth, forward_proxy, tunnel_proxy
from tls_contexts import client_context, server_context

from typed_async_client import AsyncPoolTransport
from typed_async_client.testing import FaultServer, Handler, answer

__all__ = ["KINDS", "PASSWORD", "USER", "Kind", "through"]

USER, PASSWORD = "b-o-b", "s3cret"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of proxy, and what is reached through it.

    Attributes:
        family: how it is spoken to: ``"forward"``, ``"tunnel"`` or ``"socks"``.
        over_tls: whether the client reaches the proxy over TLS.
        http2: whether the origin speaks HTTP/2.
        options: of the transport.
        tls: whether the origin is reached over TLS.
    """

    family: str
    over_tls: bool = False
    http2: bool = False
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    tls: bool = True

    @property
    def scheme(self) -> str:
        """The scheme of the proxy's URL."""
        return "socks5" if self.family == "socks" else "https" if self.over_tls else "http"

    @property
    def proxy_context(self) -> ssl.SSLContext | None:
        """The TLS context of the proxy."""
        return server_context() if self.over_tls else None

    @property
    def failing_url(self) -> str:
        """The URL of an origin that the proxy never reaches."""
        return f"http{'s' if self.tls else ''}://a.test/"

    def origin(self) -> FaultServer:
        """Return a server that answers."""
        if self.http2:
            return h2_server(tls=self.tls)
        return FaultServer(answer(), tls=server_context() if self.tls else None)

    def handler(self, *, with_auth: bool = False) -> Handler:
        """Return a proxy that works, and perhaps requires the credentials above."""
        if self.family == "socks":
            return Socks5Proxy(credentials=(USER, PASSWORD) if with_auth else None)
        required = basic_auth(USER, PASSWORD) if with_auth else None
        make: Callable[..., Handler] = forward_proxy if self.family == "forward" else tunnel_proxy
        return make(required_auth=required)

    def transport(
        self, proxy: FaultServer, *, user: str = "", **options: Any
    ) -> AsyncPoolTransport:
        """Return a transport through a proxy; ``user`` is put into the proxy's URL."""
        url = f"{self.scheme}://{user}127.0.0.1:{proxy.port}"
        context = client_context() if self.over_tls else None
        return AsyncPoolTransport(
            proxy=httpx.Proxy(url, ssl_context=context),
            verify=h2_client_context() if self.http2 else client_context(),
            http2=self.http2,
            **self.options,
            **options,
        )


KINDS = {
    "forward": Kind(family="forward", tls=False),
    "forward over TLS": Kind(family="forward", tls=False, over_tls=True),
    "tunnel": Kind(family="tunnel"),
    "tunnel on h11": Kind(family="tunnel", options={"http11": "h11"}),
    "tunnel to HTTP/2": Kind(family="tunnel", http2=True),
    "tunnel to HTTP/2 without TLS": Kind(
        family="tunnel", http2=True, tls=False, options={"http1": False}
    ),
    "tunnel over TLS": Kind(family="tunnel", over_tls=True),
    "tunnel over TLS to HTTP/2": Kind(family="tunnel", over_tls=True, http2=True),
    "SOCKS": Kind(family="socks", tls=False),
    "SOCKS and TLS": Kind(family="socks"),
    "SOCKS to HTTP/2": Kind(family="socks", http2=True),
}


@contextlib.asynccontextmanager
async def through(
    kind: Kind, handler: Handler, **options: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, AsyncPoolTransport, FaultServer]]:
    """Serve a proxy, and yield a client through it, its transport, and the proxy."""
    timeout = options.pop("timeout", 20.0)
    async with FaultServer(handler, tls=kind.proxy_context) as proxy:
        transport = kind.transport(proxy, **options)
        async with httpx.AsyncClient(transport=transport, timeout=timeout) as client:
            yield client, transport, proxy
