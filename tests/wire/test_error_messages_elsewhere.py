"""What the errors say of HTTP/2, of proxies, of other transports and of streams in the caller's hands."""

import asyncio
from typing import Any

import httpcore
import httpx
import httpx2
import pytest
from client_kinds import KINDS, options_for, send_request
from error_messages import message_of, secret_url
from fault_handlers import echo, respond_with
from h2_servers import H2Wire, Script, h2_client_context, h2_server
from proxy_handlers import Socks5Proxy, tunnel_proxy

from typed_async_client import AsyncPoolTransport, AsyncResilientClient, ResilientTransport
from typed_async_client.testing import FaultServer, Handler, Wire, answer, drop, stall

PROXIES: dict[str, tuple[Handler, str, type[Exception], str]] = {
    "no answer": (
        stall,
        "http",
        httpx.ReadTimeout,
        "GET: no tunnel to a.test:443 through the proxy 127.0.0.1:PORT within 0.4 s (read timeout)",
    ),
    "407": (
        answer(407),
        "http",
        httpx.ProxyError,
        "GET: no tunnel to a.test:443 through the proxy 127.0.0.1:PORT: 407 Whatever",
    ),
    "a closed connection": (
        drop,
        "http",
        httpx.RemoteProtocolError,
        (
            "GET: no tunnel to a.test:443 through the proxy 127.0.0.1:PORT: "
            "Server disconnected without sending a response."
        ),
    ),
    "a stalled handshake": (
        tunnel_proxy(then=Wire.stall),
        "http",
        httpx.ConnectTimeout,
        (
            "GET: no connection to a.test:443 through the proxy 127.0.0.1:PORT "
            "within 0.4 s (connect timeout): timed out during the TLS handshake"
        ),
    ),
    "SOCKS": (
        Socks5Proxy(credentials=("b-o-b", "s3cret"), reply=5),
        "socks5",
        httpx.ProxyError,
        (
            "GET: no tunnel to a.test:443 through the proxy 127.0.0.1:PORT: "
            "the proxy could not connect: Connection refused"
        ),
    ),
}


@pytest.mark.parametrize(
    ("handler", "scheme", "kind", "message"), PROXIES.values(), ids=PROXIES.keys()
)
async def test_a_proxy_is_named_without_its_user(
    handler: Handler, scheme: str, kind: type[Exception], message: str
) -> None:
    """Beside the server that it was asked for."""
    async with FaultServer(handler) as proxy:
        transport = AsyncPoolTransport(proxy=f"{scheme}://b-o-b:s3cret@127.0.0.1:{proxy.port}")
        async with httpx.AsyncClient(transport=transport, timeout=0.4) as client:
            assert await message_of(client.get(secret_url("https", "a.test")), kind) == message


async def _never(wire: H2Wire) -> None:
    await wire.read_to_end()


async def _in_part(wire: H2Wire) -> None:
    (request,) = await wire.receive(1)
    await wire.start_answer(request)
    await wire.read_to_end()


async def _reset(wire: H2Wire) -> None:
    (request,) = await wire.receive(1)
    await wire.abort_stream(request)
    await wire.read_to_end()


async def _without_window(wire: H2Wire) -> None:
    wire.opens_window = False
    await wire.read_to_end()


HTTP2: dict[str, tuple[Script, str, type[Exception], str]] = {
    "no response": (
        _never,
        "GET",
        httpx.ReadTimeout,
        "GET: no response from localhost:PORT within 0.4 s (read timeout)",
    ),
    "half a body": (
        _in_part,
        "GET",
        httpx.ReadTimeout,
        "GET: no more of the response body from localhost:PORT within 0.4 s (read timeout)",
    ),
    "a reset stream": (
        _reset,
        "GET",
        httpx.RemoteProtocolError,
        (
            "GET: no valid response from localhost:PORT: "
            "the server reset the stream with error code 2 (INTERNAL_ERROR)"
        ),
    ),
    "no window": (
        _without_window,
        "POST",
        httpx.ReadTimeout,
        (
            "POST: no response from localhost:PORT within 0.4 s (read timeout): "
            "the server granted no flow-control window for the request body"
        ),
    ),
}


@pytest.mark.parametrize(("script", "method", "kind", "message"), HTTP2.values(), ids=HTTP2.keys())
async def test_an_http2_stream_that_fails_says_why(
    script: Script, method: str, kind: type[Exception], message: str
) -> None:
    """Each request names itself, although several may share one failed connection."""
    transport = AsyncPoolTransport(verify=h2_client_context(), http2=True)
    async with (
        h2_server(script) as server,
        httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(20, read=0.4)) as client,
    ):
        request = client.request(method, server.url, content=bytes(100_000 * (method == "POST")))
        assert await message_of(request, kind) == message


async def test_requests_of_one_failed_connection_each_have_their_own_message() -> None:
    """The error object is the same in all of them with httpcore."""

    async def end(wire: H2Wire) -> None:
        await wire.receive(2)

    transport = AsyncPoolTransport(verify=h2_client_context(), http2=True)
    async with h2_server(end) as server, httpx.AsyncClient(transport=transport) as client:
        requests = (client.request(method, server.url) for method in ("POST", "PATCH"))
        errors = await asyncio.gather(*requests, return_exceptions=True)
    reason = f"no valid response from localhost:{server.port}: Server disconnected"
    assert list(map(str, errors)) == [f"POST: {reason}", f"PATCH: {reason}"]


# Other transports


@pytest.mark.parametrize("kind", KINDS)
async def test_an_empty_message_of_httpx_is_completed_by_the_resilient_transport(kind: str) -> None:
    """For either client; httpx says nothing, or just "timed out"."""
    inner: Any = httpx.AsyncHTTPTransport() if kind == "async" else httpx.HTTPTransport()
    options = options_for(ResilientTransport(inner))
    async with FaultServer(stall) as server:
        request = send_request(kind, "PUT", server.url, client=options, timeout=0.4)
        assert await message_of(request, httpx.ReadTimeout) == (
            "PUT: no response from 127.0.0.1:PORT within 0.4 s (read timeout)"
        )


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_an_empty_message_of_an_external_client_is_completed(library: Any) -> None:
    """With its own class of error, whose cause and request are kept."""
    async with (
        FaultServer(stall) as server,
        library.AsyncClient(timeout=0.4) as external,
        AsyncResilientClient(http_client=external) as client,
    ):
        with pytest.raises(library.ReadTimeout) as raised:
            await (await client.get(server.url))
    assert str(raised.value) == (
        f"GET: no response from 127.0.0.1:{server.port} within 0.4 s (read timeout)"
    )
    assert type(raised.value.__cause__).__name__ == "ReadTimeout"
    assert raised.value.request.url == server.url


async def test_the_error_of_a_mock_is_not_changed() -> None:
    """It may raise the same object for many requests, each of which gets its own message."""
    error = httpx.ConnectTimeout("")

    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    async with AsyncResilientClient(transport=httpx.MockTransport(fail), timeout=3.0) as client:
        for url, server in {"http://a.test": "a.test:80", "https://b.test": "b.test:443"}.items():
            with pytest.raises(httpx.ConnectTimeout) as raised:
                await (await client.get(url))
            assert str(raised.value) == (
                f"GET: no connection to {server} within 3 s (connect timeout)"
            )
    assert str(error) == ""


async def test_a_stream_in_the_callers_hands_says_after_how_long_it_timed_out() -> None:
    """After a switch of protocols, for example."""
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
    headers = {"Connection": "upgrade", "Upgrade": "x"}
    async with (
        FaultServer(respond_with(switch, echo)) as server,
        httpx.AsyncClient(transport=AsyncPoolTransport()) as client,
        client.stream("GET", server.url, headers=headers) as response,
    ):
        connection = response.extensions["network_stream"]
        with pytest.raises(httpcore.ReadTimeout, match=r"timed out after 0\.05 s"):
            await connection.read(1, timeout=0.05)
