"""What transports were made for: each use that their discussion shows, over ours."""

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

BOTH = pytest.mark.parametrize("kind", KINDS)


async def tell_peer(_: SeenRequest, wire: Wire) -> None:
    """Answer with the address that the request comes from."""
    host, _port = wire.transport.get_extra_info("peername")
    await wire.answer(200, host.encode())


@BOTH
async def test_a_low_level_option_stands_on_the_transport_not_on_the_client(kind: str) -> None:
    """Here the address to connect from."""
    inner: Any = (
        AsyncPoolTransport(local_address="127.0.0.2")
        if kind == "async"
        else httpx.HTTPTransport(local_address="127.0.0.2")
    )
    async with FaultServer(serve_requests(tell_peer)) as server:
        response = await send_request(
            kind, "GET", server.url, client=options_for(ResilientTransport(inner))
        )
    assert response.text == "127.0.0.2"


@BOTH
async def test_a_transport_of_its_own_is_mounted_for_one_domain(kind: str) -> None:
    """It trusts any certificate and tries twice; the client's own transport does neither."""
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


@BOTH
async def test_one_mock_serves_both_kinds_of_client(kind: str) -> None:
    """A handler is all it takes."""
    mock = httpx.MockTransport(lambda request: httpx.Response(200, text=request.url.path))
    response = await send_request(
        kind, "GET", "http://any.test/path", client=options_for(ResilientTransport(mock))
    )
    assert response.text == "/path"


async def test_a_request_is_made_on_an_async_transport_directly() -> None:
    """Inside its context manager, without any client."""
    async with no_leaks(), FaultServer(answer(200, b"direct")) as server:
        for new in (AsyncPoolTransport, ResilientTransport):
            async with new() as transport:
                response = await transport.handle_async_request(httpx.Request("GET", server.url))
                assert await response.aread() == b"direct"
                await response.aclose()


async def test_a_request_is_made_on_a_plain_transport_directly() -> None:
    """The same class in a plain ``with``."""
    async with no_leaks(), FaultServer(answer(200, b"direct")) as server:

        def send() -> bytes:
            with ResilientTransport() as transport:
                response = transport.handle_request(httpx.Request("GET", server.url))
                body = response.read()
                response.close()
                return body

        assert await asyncio.to_thread(send) == b"direct"


@BOTH
@pytest.mark.parametrize(
    "headers",
    [{"X-Name": "value"}, {b"X-Name": b"value"}, [("X-Name", "value")], [(b"X-Name", b"value")]],
    ids=["text", "bytes", "pairs of text", "pairs of bytes"],
)
async def test_names_and_values_of_headers_are_text_or_bytes(kind: str, headers: Any) -> None:
    """They arrive the same."""
    async with FaultServer(answer()) as server:
        await send_request(
            kind, "GET", server.url, client=options_for(ResilientTransport()), headers=headers
        )
        assert server.requests[0].headers["x-name"] == "value"
