"""The use cases for custom transports from httpx's discussions, with our transports."""

import asyncio
from typing import Any

import httpx
import pytest
from client_kinds import KINDS, options_for, send_request
from leak_checks import no_leaks
from pool_helpers import serve_requests
from tls_contexts import server_context

from typed_async_client import AsyncPoolTransport, ResilientTransport
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer

both_kinds = pytest.mark.parametrize("kind", KINDS)


async def answer_with_peer_address(_: SeenRequest, wire: Wire) -> None:
    """Answer with the client's IP address."""
    host, _port = wire.transport.get_extra_info("peername")
    await wire.answer(200, host.encode())


@both_kinds
async def test_a_low_level_option_is_set_on_the_transport(kind: str) -> None:
    """Here, the local address to connect from."""
    inner: Any = (
        AsyncPoolTransport(local_address="127.0.0.2")
        if kind == "async"
        else httpx.HTTPTransport(local_address="127.0.0.2")
    )
    async with FaultServer(serve_requests(answer_with_peer_address)) as server:
        response = await send_request(
            kind, "GET", server.url, client=options_for(ResilientTransport(inner))
        )
    assert response.text == "127.0.0.2"


@both_kinds
async def test_a_transport_is_mounted_for_one_domain(kind: str) -> None:
    """It accepts any certificate and retries once; the client's default transport does neither."""
    async with FaultServer(answer(200, b"trusted"), tls=server_context()) as server:
        inner: Any = (
            AsyncPoolTransport(verify=False, retries=1)
            if kind == "async"
            else httpx.HTTPTransport(verify=False, retries=1)
        )
        client = {"mounts": {"all://localhost": ResilientTransport(inner)}}
        response = await send_request(kind, "GET", server.url, client=client)
        assert response.text == "trusted"
        other = server.url.replace("localhost", "127.0.0.1")
        with pytest.raises(httpx.ConnectError):
            await send_request(kind, "GET", other, client=client)


@both_kinds
async def test_a_mock_transport_serves_both_kinds_of_client(kind: str) -> None:
    """It only needs a handler."""
    mock = httpx.MockTransport(lambda request: httpx.Response(200, text=request.url.path))
    response = await send_request(
        kind, "GET", "http://any.test/path", client=options_for(ResilientTransport(mock))
    )
    assert response.text == "/path"


async def test_an_async_transport_is_used_directly() -> None:
    """In its context manager, without a client."""
    async with no_leaks(), FaultServer(answer(200, b"direct")) as server:
        for transport_class in (AsyncPoolTransport, ResilientTransport):
            async with transport_class() as transport:
                response = await transport.handle_async_request(httpx.Request("GET", server.url))
                assert await response.aread() == b"direct"
                await response.aclose()


async def test_a_sync_transport_is_used_directly() -> None:
    """The same class, in a ``with`` statement."""
    async with no_leaks(), FaultServer(answer(200, b"direct")) as server:

        def send() -> bytes:
            with ResilientTransport() as transport:
                response = transport.handle_request(httpx.Request("GET", server.url))
                body = response.read()
                response.close()
                return body

        assert await asyncio.to_thread(send) == b"direct"


@both_kinds
@pytest.mark.parametrize(
    "headers",
    [{"X-Name": "value"}, {b"X-Name": b"value"}, [("X-Name", "value")], [(b"X-Name", b"value")]],
    ids=["text", "bytes", "pairs of text", "pairs of bytes"],
)
async def test_header_names_and_values_are_text_or_bytes(kind: str, headers: Any) -> None:
    """The server receives the same."""
    async with FaultServer(answer()) as server:
        await send_request(
            kind, "GET", server.url, client=options_for(ResilientTransport()), headers=headers
        )
        assert server.requests[0].headers["x-name"] == "value"
