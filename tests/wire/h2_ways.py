"""The ways in which HTTP/2 comes to be spoken: a test that takes a ``way`` is run with each."""

import asyncio
import dataclasses
from typing import Any

import httpx
import pytest
from h2_servers import Script, speaking_h2, trusting_h2

from typed_async_client import AsyncPoolTransport
from typed_async_client.pool.resend import RESENDS
from typed_async_client.testing import FaultServer

__all__ = ["EVERY_WAY", "Way", "posting", "resends_of"]


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """One way in which HTTP/2 comes to be spoken.

    Attributes:
        tls: by agreement; otherwise without a word.
        options: of the transport.
    """

    tls: bool
    options: dict[str, Any]

    def serving(self, *scripts: Script, max_streams: int | None = 100) -> FaultServer:
        """Give a server that speaks it."""
        return speaking_h2(*scripts, max_streams=max_streams, tls=self.tls)

    def transport(self, **options: Any) -> AsyncPoolTransport:
        """Make a transport that speaks it."""
        return AsyncPoolTransport(http2=True, verify=trusting_h2(), **self.options, **options)


EVERY_WAY = pytest.mark.parametrize(
    "way",
    [
        Way(tls=True, options={"http11": "h11"}),
        Way(tls=True, options={"http11": "llhttp"}),
        Way(tls=False, options={"http1": False}),
    ],
    ids=["agreed", "agreed beside llhttp", "known before"],
)


def resends_of(responses: list[httpx.Response]) -> list[int]:
    """Tell how often the pool sent each request again, sorted."""
    return sorted(response.extensions.get(RESENDS, 0) for response in responses)


async def posting(client: httpx.AsyncClient, url: str, count: int) -> list[httpx.Response]:
    """Send as many requests at once, and give their answers."""
    urls = [f"{url}{number}" for number in range(count)]
    return await asyncio.gather(*(client.post(url, content=b"x") for url in urls))
