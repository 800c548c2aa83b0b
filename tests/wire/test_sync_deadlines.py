"""A deadline ends the request of a synchronous client, on connections that we make, wherever it hangs.

Each server would go on for as long as anybody waits, and each timeout is 60 seconds.
"""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fault_handlers import never_read, repeat, respond_with, trickle_handshake, wait_until
from open_clients import open_client
from tls_contexts import ca_file, server_context

from typed_async_client import (
    DeadlineExceededError,
    Resilience,
    ResilientTransport,
    RetryPolicy,
)
from typed_async_client.net.thread_deadline import thread_deadline
from typed_async_client.testing import FaultServer, Wire, answer, stall
from typed_async_client.testing.server import Handler
from typed_async_client.transports.senders import ATTEMPTS

pytestmark = pytest.mark.usefixtures("no_leaks", "trusting")

OK = b"HTTP/1.1 200 OK\r\n"
SOON = Resilience(deadline=0.3)
RETRYING = Resilience(
    attempt_timeout=0.5, retry=RetryPolicy(max_retries=20, base_delay=0.01, max_delay=0.01)
)


@pytest.fixture(name="trusting")
def _trusting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Trust the certificates of the tests by default."""
    monkeypatch.setenv("SSL_CERT_FILE", ca_file(tmp_path))


async def read_slowly(wire: Wire) -> None:
    """Read a little now and then, so that the client can always write some more soon."""
    wire.transport.pause_reading()
    descriptor = wire.transport.get_extra_info("socket").fileno()
    while True:
        await asyncio.sleep(0.02)
        with contextlib.suppress(BlockingIOError):
            os.read(descriptor, 30_000)


def whole_body() -> bytes:
    """Return a body in one part, larger than the buffers of the system."""
    return b"x" * 50_000_000


def endless_body() -> Iterator[bytes]:
    """Yield parts without end."""
    while True:
        yield b"x" * 65_536


ANSWERS: dict[str, Handler] = {
    "trickled head": repeat(b"x", before=OK + b"X-Header: "),
    "endless 103": repeat(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "trickled body": repeat(b"x", before=OK + b"Content-Length: 1000000\r\n\r\n"),
    "silence in the body": respond_with(OK + b"Content-Length: 9\r\n\r\nx", Wire.stall),
    "silence": stall,
}
UPLOADS: dict[str, Handler] = {"never read": never_read, "read slowly": read_slowly}

with_and_without_tls = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


def server_of(handler: Handler, *, tls: bool) -> FaultServer:
    """Return a server with or without TLS."""
    return FaultServer(handler, tls=server_context() if tls else None)


@with_and_without_tls
@pytest.mark.parametrize("fault", ANSWERS)
async def test_a_deadline_ends_a_response_that_never_ends(fault: str, *, tls: bool) -> None:
    """Whether anything arrives meanwhile or not."""
    transport = ResilientTransport(resilience=SOON)
    async with (
        server_of(ANSWERS[fault], tls=tls) as server,
        open_client("sync", transport=transport, timeout=60) as send,
    ):
        with pytest.raises(DeadlineExceededError):
            await send(server.url)


@with_and_without_tls
@pytest.mark.parametrize("body", [whole_body, endless_body])
@pytest.mark.parametrize("fault", UPLOADS)
async def test_a_deadline_ends_an_upload(fault: str, body: Callable[[], Any], *, tls: bool) -> None:
    """In one part or in many, of which the server reads little or nothing."""
    transport = ResilientTransport(resilience=SOON)
    async with (
        server_of(UPLOADS[fault], tls=tls) as server,
        open_client("sync", transport=transport, timeout=60) as send,
    ):
        with pytest.raises(DeadlineExceededError):
            await send(server.url, "POST", content=body())


async def test_a_deadline_ends_a_handshake_that_trickles() -> None:
    """It is one wait for httpcore too, but not the first for the deadline."""
    transport = ResilientTransport(resilience=SOON)
    async with (
        FaultServer(trickle_handshake) as server,
        open_client("sync", transport=transport, timeout=60) as send,
    ):
        with pytest.raises(DeadlineExceededError):
            await send(server.url.replace("http:", "https:"))


async def test_a_deadline_ends_a_lookup_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It hangs in another thread, which ends later."""
    hanging = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: hanging.wait(60.0) and [])
    try:
        transport = ResilientTransport(resilience=SOON)
        async with open_client("sync", transport=transport, timeout=60) as send:
            with pytest.raises(DeadlineExceededError):
                await send("http://slow.test/")
    finally:
        hanging.set()


@pytest.mark.parametrize("fault", ["trickled head", "never read", "trickled handshake"])
async def test_an_attempt_that_takes_too_long_is_retried(fault: str) -> None:
    """On another connection."""
    handler = {**ANSWERS, **UPLOADS, "trickled handshake": trickle_handshake}[fault]
    tls = fault == "trickled handshake"

    async def first_hang(wire: Wire) -> None:
        if server.connections == 1:
            await handler(wire)
        if tls:
            await wire.start_tls(server_context())
        await answer()(wire)

    transport = ResilientTransport(resilience=RETRYING)
    async with (
        FaultServer(first_hang) as server,
        open_client("sync", transport=transport, timeout=60) as send,
    ):
        url = server.url.replace("http://127.0.0.1", "https://localhost") if tls else server.url
        response = await send(url, "PUT", content=b"x" * 50_000_000 if "read" in fault else b"")
        assert response.status_code == 200
        assert "took too long" in response.extensions[ATTEMPTS].records[0].error


async def test_a_read_timeout_before_the_deadline_stays_one() -> None:
    """It is the server's fault, unlike the deadline."""
    transport = ResilientTransport(resilience=Resilience(deadline=60.0))
    async with (
        FaultServer(ANSWERS["silence in the body"]) as server,
        open_client("sync", transport=transport, timeout=httpx.Timeout(60, read=0.2)) as send,
    ):
        with pytest.raises(httpx.ReadTimeout) as raised:
            await send(server.url)
        assert not isinstance(raised.value, DeadlineExceededError)


async def test_a_response_that_is_retried_is_not_drained_beyond_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long a drain may take."""
    monkeypatch.setattr("typed_async_client.transports.senders._DRAIN_TIME", 60.0)
    busy = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\nx"
    policies = Resilience(deadline=0.3, retry=RetryPolicy(base_delay=0.0, max_delay=0.0))
    transport = ResilientTransport(resilience=policies)
    async with (
        FaultServer(respond_with(busy, Wire.stall)) as server,
        open_client("sync", transport=transport, timeout=60) as send,
    ):
        with pytest.raises(DeadlineExceededError):
            await send(server.url)
        assert len(server.requests) <= 1


# What a deadline is not


async def test_a_connection_that_is_used_again_has_no_deadline() -> None:
    """Only the request that had one."""

    def use(url: str) -> None:
        with httpx.Client(transport=ResilientTransport(), timeout=60) as client:
            assert client.get(url, extensions={"deadline": 60.0}).is_success
            assert thread_deadline() == float("inf")
            assert client.get(url).is_success

    async with FaultServer(answer()) as server:
        await asyncio.to_thread(use, server.url)
        assert server.connections == 1


async def test_a_deadline_is_that_of_one_thread() -> None:
    """Another waits for a response on the same transport, and gets it later."""
    late = asyncio.Event()

    async def handler(wire: Wire) -> None:
        await wire.read_request()
        if len(server.requests) == 1:
            await late.wait()
            await wire.answer(200, b"late")
        await wire.stall()

    async with (
        FaultServer(handler) as server,
        open_client("sync", transport=ResilientTransport(), timeout=60) as send,
    ):
        other = asyncio.ensure_future(send(server.url))
        await wait_until(lambda: len(server.requests) == 1)
        with pytest.raises(DeadlineExceededError):
            await send(server.url, extensions={"deadline": 0.3})
        late.set()
        assert (await other).text == "late"


# Around other transports


async def test_the_retries_of_an_inner_transport_end_at_the_deadline_of_the_outer_one() -> None:
    """The inner one has none, and would wait for a minute."""
    patient = Resilience(retry=RetryPolicy(base_delay=60.0, max_delay=60.0))
    transport = ResilientTransport(ResilientTransport(resilience=patient), resilience=SOON)
    async with (
        FaultServer(answer(), refusing=True) as server,
        open_client("sync", transport=transport, timeout=60) as send,
    ):
        with pytest.raises(DeadlineExceededError):
            await send(server.url)


async def test_what_an_application_sends_ends_at_the_deadline_of_its_caller() -> None:
    """It is called in process, by the thread that waits."""

    def application(environ: Any, _: Any) -> Any:
        with httpx.Client(transport=ResilientTransport(), timeout=60) as client:
            return [client.get(environ["HTTP_X_URL"]).content]

    transport = ResilientTransport(httpx.WSGITransport(application), resilience=SOON)
    async with (
        FaultServer(ANSWERS["trickled head"]) as server,
        open_client("sync", transport=transport, timeout=60) as send,
    ):
        with pytest.raises(DeadlineExceededError):
            await send("http://app.test/", headers={"X-URL": server.url})
