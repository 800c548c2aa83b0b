"""What a retry policy does after each fault, by what was sent and whether that may be sent twice.

The server counts what it has read: a request that it may have processed is a request that it has.
"""

import itertools
import socket
from typing import Any

import pytest
from fault_handlers import reset_after_client_hello
from policy_ways import ALL_WAYS, TRANSPORTS, open_way
from tls_contexts import server_context

from typed_async_client import Resilience, RetryPolicy
from typed_async_client.testing import (
    FaultServer,
    Wire,
    drop,
    half_body,
    reset,
    stall,
)
from typed_async_client.testing.server import Handler

RETRYING = Resilience(retry=RetryPolicy(base_delay=0.001))

REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "GET": ("GET", {}),
    "PUT": ("PUT", {"content": b"body"}),
    "POST": ("POST", {"content": b"body"}),
    "POST with idempotency_key": ("POST", {"content": b"body", "idempotency_key": "order-17"}),
    "POST with the header": ("POST", {"content": b"body", "headers": {"Idempotency-Key": "o-18"}}),
}

LOST: dict[str, Handler] = {"FIN": drop, "RST": reset, "silence": stall}

UNPROCESSED = [421, 425, 429]
UNSURE = [408, 502, 503, 504]

pytestmark = pytest.mark.usefixtures("no_leaks")


def first_then_answer(first: Handler) -> Handler:
    """Treat the first connection in one way, and answer the others with 200."""
    count = itertools.count()

    async def handler(wire: Wire) -> None:
        if next(count) == 0:
            await first(wire)
            return
        while await wire.read_request() is not None:
            await wire.answer(200, b"ok")

    return handler


def status_then_answer(status: int) -> Handler:
    """Answer the first request with a status, and the others with 200."""
    count = itertools.count()

    async def handler(wire: Wire) -> None:
        while await wire.read_request() is not None:
            await wire.answer(200 if next(count) else status, b"ok")

    return handler


def keys(server: FaultServer) -> set[str | None]:
    """Return the idempotency keys that the server has read."""
    return {request.headers.get("idempotency-key") for request in server.requests}


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("way", ALL_WAYS)
async def test_after_a_lost_answer_only_what_is_idempotent_is_sent_again(
    way: str, fault: str, kind: str
) -> None:
    """A POST without a key has been read once, whatever happened to its answer."""
    method, options = REQUESTS[kind]
    async with (
        FaultServer(first_then_answer(LOST[fault])) as server,
        open_way(way, RETRYING) as client,
    ):
        timeout = client.library.Timeout(20.0, read=0.2 if fault == "silence" else 20.0)
        if kind == "POST":
            with pytest.raises(client.library.TransportError):
                await client.request(method, server.url, timeout=timeout, **options)
        else:
            response = await client.request(method, server.url, timeout=timeout, **options)
            assert response.status_code == 200
        assert len(server.requests) == (1 if kind == "POST" else 2)
        assert len(keys(server)) == 1


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("status", [*UNPROCESSED, *UNSURE])
@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_status_is_followed_by_a_retry_if_that_is_safe(
    way: str, status: int, kind: str
) -> None:
    """421, 425 and 429 say that the request wasn't processed; the others don't."""
    method, options = REQUESTS[kind]
    async with (
        FaultServer(status_then_answer(status)) as server,
        open_way(way, RETRYING) as client,
    ):
        response = await client.request(method, server.url, **options)
        is_final = kind == "POST" and status in UNSURE
        assert response.status_code == (status if is_final else 200)
        assert [request.method for request in server.requests] == [method] * (2 - is_final)
        assert {request.body for request in server.requests} == {options.get("content", b"")}
        assert len(keys(server)) == 1


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_refused_request_arrives_once(way: str, kind: str) -> None:
    """Nothing was sent, so that a POST may be sent again."""
    method, options = REQUESTS[kind]
    async with (
        FaultServer(status_then_answer(200), refusing=True) as server,
        open_way(way, RETRYING, on_retry=server.open) as client,
    ):
        assert (await client.request(method, server.url, **options)).status_code == 200
        assert [request.method for request in server.requests] == [method]


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_name_that_is_unknown_for_a_moment_is_looked_up_again(
    way: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EAI_AGAIN passes; nothing was sent."""
    method, options = REQUESTS[kind]
    count, real = itertools.count(), socket.getaddrinfo

    def look_up(host: Any, *args: Any, **more: Any) -> Any:
        if host in {"flaky.test", b"flaky.test"}:
            if next(count) == 0:
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            host = "127.0.0.1"
        return real(host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with (
        FaultServer(status_then_answer(200)) as server,
        open_way(way, RETRYING) as client,
    ):
        url = f"http://flaky.test:{server.port}/"
        assert (await client.request(method, url, **options)).status_code == 200
        assert len(server.requests) == 1
    assert next(count) == 2


@pytest.mark.parametrize("fault", ["RST", "silence"])
@pytest.mark.parametrize("kind", ["GET", "POST"])
@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_request_whose_tls_handshake_failed_arrives_once(
    way: str, kind: str, fault: str
) -> None:
    """The handshake comes before the first byte of the request."""
    method, options = REQUESTS[kind]
    first = reset_after_client_hello if fault == "RST" else stall_in_handshake
    async with (
        FaultServer(first_then_tls(first)) as server,
        open_way(way, RETRYING) as client,
    ):
        url = f"https://localhost:{server.port}/"
        timeout = client.library.Timeout(20.0, connect=0.5 if fault == "silence" else 20.0)
        assert (await client.request(method, url, timeout=timeout, **options)).status_code == 200
        assert [request.method for request in server.requests] == [method]


async def stall_in_handshake(wire: Wire) -> None:
    """Never answer the client's first message."""
    await wire.stall()


def first_then_tls(first: Handler) -> Handler:
    """Treat the first connection in one way, and serve the others over TLS."""
    count = itertools.count()

    async def handler(wire: Wire) -> None:
        if next(count) == 0:
            await first(wire)
            return
        await wire.start_tls(server_context())
        while await wire.read_request() is not None:
            await wire.answer(200, b"ok")

    return handler


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("way", ALL_WAYS)
async def test_half_an_answer_is_retried_by_a_client_and_not_by_a_transport(
    way: str, kind: str
) -> None:
    """A transport has handed the response over already."""
    method, options = REQUESTS[kind]
    async with (
        FaultServer(first_then_answer(half_body)) as server,
        open_way(way, RETRYING) as client,
    ):
        if kind == "POST" or way in TRANSPORTS:
            with pytest.raises(client.library.TransportError):
                await client.request(method, server.url, **options)
            assert len(server.requests) == 1
        else:
            assert (await client.request(method, server.url, **options)).text == "ok"
            assert len(server.requests) == 2


@pytest.mark.parametrize("way", ALL_WAYS)
async def test_an_automatic_key_makes_a_post_safe_and_is_the_same_in_all_attempts(
    way: str,
) -> None:
    """Each request has a key of its own; a GET needs none."""
    policies = Resilience(retry=RetryPolicy(base_delay=0.001), automatic_key=True)
    async with (
        FaultServer(first_then_answer(reset)) as server,
        open_way(way, policies) as client,
    ):
        await client.request("POST", server.url)
        first, second = (each.headers["idempotency-key"] for each in server.requests)
        assert first == second
        await client.request("POST", server.url)
        assert server.requests[-1].headers["idempotency-key"] != first
        await client.request("GET", server.url)
        assert "idempotency-key" not in server.requests[-1].headers
        await client.request("POST", server.url, headers={"Idempotency-Key": "mine"})
        assert server.requests[-1].headers["idempotency-key"] == "mine"


@pytest.mark.parametrize("kind", ["POST", "POST with idempotency_key"])
@pytest.mark.parametrize("way", ALL_WAYS)
async def test_an_attempt_that_timed_out_before_it_was_sent_is_made_again(
    way: str, kind: str
) -> None:
    """The limit of an attempt expired during the TLS handshake."""
    method, options = REQUESTS[kind]
    policies = Resilience(retry=RetryPolicy(base_delay=0.001), attempt_timeout=0.5)
    async with (
        FaultServer(first_then_tls(stall_in_handshake)) as server,
        open_way(way, policies) as client,
    ):
        url = f"https://localhost:{server.port}/"
        assert (await client.request(method, url, **options)).status_code == 200
        assert [request.method for request in server.requests] == [method]


@pytest.mark.parametrize("kind", ["POST", "POST with idempotency_key"])
@pytest.mark.parametrize("way", ALL_WAYS)
async def test_an_attempt_that_timed_out_after_it_was_sent_is_made_again_if_that_is_safe(
    way: str, kind: str
) -> None:
    """The server has read the request."""
    method, options = REQUESTS[kind]
    policies = Resilience(retry=RetryPolicy(base_delay=0.001), attempt_timeout=0.5)
    async with (
        FaultServer(first_then_answer(stall)) as server,
        open_way(way, policies) as client,
    ):
        if kind == "POST":
            with pytest.raises(client.library.ReadTimeout):
                await client.request(method, server.url, **options)
        else:
            assert (await client.request(method, server.url, **options)).status_code == 200
        assert len(server.requests) == (1 if kind == "POST" else 2)
