"""How HTTP/2 is chosen: a test that takes a ``setup`` runs with each."""

import asyncio
import dataclasses
from typing import Any

import httpx
import pytest
from h2_servers import Script, h2_client_context, h2_server

from typed_async_client import AsyncPoolTransport
from typed_async_client.pool.resend import REFUSALS, RESENDS
from typed_async_client.testing import FaultServer

__all__ = ["ALL_SETUPS", "H2Setup", "post_many", "refusal_counts", "resend_counts"]


@dataclasses.dataclass(frozen=True, slots=True)
class H2Setup:
    """One way to choose HTTP/2.

    Attributes:
        tls: negotiate it over TLS (ALPN); otherwise use prior knowledge.
        options: options for the transport.
    """

    tls: bool
    options: dict[str, Any]

    def server(self, *scripts: Script, max_streams: int | None = 100) -> FaultServer:
        """Return a server for this setup."""
        return h2_server(*scripts, max_streams=max_streams, tls=self.tls)

    def transport(self, **options: Any) -> AsyncPoolTransport:
        """Create a transport for this setup."""
        return AsyncPoolTransport(http2=True, verify=h2_client_context(), **self.options, **options)


ALL_SETUPS = pytest.mark.parametrize(
    "setup",
    [
        H2Setup(tls=True, options={"http11": "h11"}),
        H2Setup(tls=True, options={"http11": "llhttp"}),
        H2Setup(tls=False, options={"http1": False}),
    ],
    ids=["ALPN and h11", "ALPN and llhttp", "prior knowledge"],
)


def refusal_counts(responses: list[httpx.Response]) -> list[int]:
    """Return how many connections refused each request, sorted; none was sent twice otherwise."""
    assert not any(RESENDS in response.extensions for response in responses)
    return sorted(response.extensions.get(REFUSALS, 0) for response in responses)


def resend_counts(responses: list[httpx.Response]) -> list[int]:
    """Return how often the pool resent each request, sorted."""
    return sorted(response.extensions.get(RESENDS, 0) for response in responses)


async def post_many(client: httpx.AsyncClient, url: str, count: int) -> list[httpx.Response]:
    """Send ``count`` requests concurrently, and return their responses."""
    urls = [f"{url}{number}" for number in range(count)]
    return await asyncio.gather(*(client.post(url, content=b"x") for url in urls))
