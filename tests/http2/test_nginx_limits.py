"""HTTP/2 with an nginx that allows little: no request is lost, and none is processed twice."""

import asyncio
import collections
import os
import signal
from collections.abc import Iterator
from typing import Self

import httpx
import pytest
from real_peers import Peer, Peers, running_peers

from typed_async_client import AsyncPoolTransport

WORKERS = 40
"""Requests at the same time."""


@pytest.fixture(name="peers", scope="module")
def _peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    with running_peers(tmp_path_factory.mktemp("peers")) as peers:
        yield peers


@pytest.fixture(name="secure", params=[True, False], ids=["TLS", "plain"])
def _secure(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


class Sender:
    """Sends POST requests with different names, and checks their responses.

    Attributes:
        sent: the names, whose requests have all been answered once ``run`` returns.
        workers: the processes of nginx that answered.
    """

    def __init__(self, peer: Peer, run: str, transport: AsyncPoolTransport) -> None:
        self.sent: list[str] = []
        self.workers: collections.Counter[str] = collections.Counter()
        self._client = httpx.AsyncClient(transport=transport, base_url=peer.url, timeout=20)
        self._run = run

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def send(self) -> None:
        """Send one request."""
        name = str(len(self.sent))
        self.sent.append(name)
        body = f"body of {name}"
        response = await self._client.post(f"echo/{self._run}/{name}", content=body.encode())
        assert (response.status_code, response.text) == (200, body)
        assert response.http_version == "HTTP/2"
        self.workers[response.headers["x-worker"]] += 1

    async def send_many(self, count: int) -> None:
        """Send that many, a number of them at the same time."""
        end = len(self.sent) + count

        async def work() -> None:
            while len(self.sent) < end:
                await self.send()

        await asyncio.gather(*(work() for _ in range(WORKERS)))

    async def check(self) -> None:
        """Check that the application has processed each exactly once."""
        counts = (await self._client.get(f"counts/{self._run}")).json()
        assert counts == dict.fromkeys(self.sent, 1)


async def test_two_streams_at_a_time_are_enough(peers: Peers, secure: bool) -> None:  # noqa: FBT001 - a fixture
    """Forty requests wait for their turns on the one connection that is allowed."""
    peer = peers.peer("narrow", secure=secure)
    transport = peer.transport(limits=httpx.Limits(max_connections=1))
    async with Sender(peer, f"narrow {secure}", transport) as sender:
        await sender.send_many(200)
        await sender.check()
        assert transport.statistics().opened == 1


async def test_no_request_is_lost_when_connections_end_after_fifty(
    peers: Peers,
    secure: bool,  # noqa: FBT001 - a fixture
) -> None:
    """The server sends GOAWAY with each fiftieth; a thousand are processed exactly once."""
    peer = peers.peer("brief", secure=secure)
    transport = peer.transport()
    async with Sender(peer, f"brief {secure}", transport) as sender:
        await sender.send_many(1000)
        await sender.check()
        assert transport.statistics().opened >= 20


async def test_no_request_is_lost_when_idle_connections_end(
    peers: Peers,
    secure: bool,  # noqa: FBT001 - a fixture
) -> None:
    """The server closes one after 20 ms; requests come just before, at the time, and after that."""
    peer = peers.peer("impatient", secure=secure)
    transport = peer.transport()
    async with Sender(peer, f"impatient {secure}", transport) as sender:
        for step in range(12):
            await sender.send()
            await asyncio.sleep(0.017 + step % 6 / 1000)  # beside the timer of another process
        await sender.check()


async def test_no_request_is_lost_when_nginx_reloads(peers: Peers, secure: bool) -> None:  # noqa: FBT001 - a fixture
    """Under load, three times: the old worker finishes what it has begun, a new one takes over."""
    peer = peers.peer("nginx", secure=secure)
    assert peers.nginx is not None
    async with Sender(peer, f"reload {secure}", peer.transport()) as sender:
        await sender.send_many(WORKERS)
        for reloads in (1, 2, 3):
            os.kill(peers.nginx.pid, signal.SIGHUP)
            while len(sender.workers) <= reloads:
                await sender.send_many(WORKERS)
        await sender.send_many(WORKERS)
        await sender.check()
