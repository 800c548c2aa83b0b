"""What the errors of direct connections say: method, server, phase, limit and reason."""

import asyncio
from typing import Any

import httpx
import pytest
from error_messages import get, message_of, secret_url
from fault_handlers import (
    close_after_client_hello,
    never_read,
    reset_after_client_hello,
    respond_with,
)
from tls_contexts import client_context, unknown_issuer

from typed_async_client import AsyncPoolTransport, AsyncResilientClient
from typed_async_client.pool.connector import Http11
from typed_async_client.testing import FaultServer, Handler, Wire, answer, drop, half_body, stall

BOTH_PARSERS = pytest.mark.parametrize("http11", ["h11", "llhttp"])
_HALF_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"


@BOTH_PARSERS
@pytest.mark.parametrize(
    ("handler", "kind", "message"),
    [
        (
            stall,
            httpx.ReadTimeout,
            "GET: no response from 127.0.0.1:PORT within 0.4 s (read timeout)",
        ),
        (
            respond_with(_HALF_BODY, Wire.stall),
            httpx.ReadTimeout,
            "GET: no more of the response body from 127.0.0.1:PORT within 0.4 s (read timeout)",
        ),
        (
            drop,
            httpx.RemoteProtocolError,
            (
                "GET: no valid response from 127.0.0.1:PORT: "
                "Server disconnected without sending a response."
            ),
        ),
        (
            half_body,
            httpx.RemoteProtocolError,
            (
                "GET: no complete response from 127.0.0.1:PORT: "
                "peer closed connection without sending complete message body "
                "(received 5 bytes, expected 10)"
            ),
        ),
    ],
)
async def test_a_failed_exchange_says_whether_head_or_body_was_read(
    handler: Handler, kind: type[Exception], message: str, http11: Http11
) -> None:
    """The same words as with httpx follow the colon; streamed bodies fail like others."""
    transport = AsyncPoolTransport(http11=http11)
    async with (
        FaultServer(handler) as server,
        httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(20, read=0.4)) as client,
    ):
        assert await message_of(get(client, server), kind) == message
        if "body" in message:
            assert await message_of(_read_streamed(client, server), kind) == message


async def _read_streamed(client: httpx.AsyncClient, server: FaultServer) -> None:
    async with client.stream("GET", server.url) as response:
        async for _ in response.aiter_raw():
            pass


@BOTH_PARSERS
async def test_an_upload_that_stalls_says_so(http11: Http11) -> None:
    """With the write timeout."""
    async with (
        FaultServer(never_read) as server,
        httpx.AsyncClient(transport=AsyncPoolTransport(http11=http11), timeout=0.4) as client,
    ):
        posting = client.post(server.url, content=bytes(20_000_000))
        assert await message_of(posting, httpx.WriteTimeout) == (
            "POST: 127.0.0.1:PORT accepted no more of the request within 0.4 s (write timeout)"
        )


async def test_a_pool_timeout_says_how_many_connections_and_requests_there_are() -> None:
    """Those ahead, of which some may have timed out at the same moment."""
    transport = AsyncPoolTransport(limits=httpx.Limits(max_connections=1))
    timeout = httpx.Timeout(20, pool=0.4)
    async with (
        FaultServer(stall) as server,
        httpx.AsyncClient(transport=transport, timeout=timeout) as client,
    ):
        first = asyncio.ensure_future(client.get(server.url))
        third = asyncio.ensure_future(client.get(server.url, timeout=None))
        await asyncio.sleep(0)
        assert await message_of(get(client, server), httpx.PoolTimeout) == (
            "GET: no free connection for 127.0.0.1:PORT within 0.4 s (pool timeout): "
            "1 of 1 connections in use, 1 request was waiting before it"
        )
        for task in (first, third):
            task.cancel()
        await asyncio.wait({first, third})


CONNECTS: dict[str, tuple[Handler, Any, type[Exception], str]] = {
    "TLS": (
        Wire.stall,
        None,
        httpx.ConnectTimeout,
        (
            "GET: no connection to 127.0.0.1:PORT within 0.4 s (connect timeout): "
            "timed out during the TLS handshake"
        ),
    ),
    "FIN": (
        close_after_client_hello,
        None,
        httpx.ConnectError,
        "GET: cannot connect to 127.0.0.1:PORT: the connection was closed during the TLS handshake",
    ),
    "RST": (
        reset_after_client_hello,
        None,
        httpx.ConnectError,
        (
            "GET: cannot connect to 127.0.0.1:PORT: "
            "the connection was closed during the TLS handshake: Connection reset by peer"
        ),
    ),
    "certificate": (
        answer(),
        unknown_issuer,
        httpx.ConnectError,
        (
            "GET: cannot connect to 127.0.0.1:PORT: TLS handshake failed: "
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
        ),
    ),
}


@pytest.mark.parametrize(
    ("handler", "tls", "kind", "message"), CONNECTS.values(), ids=CONNECTS.keys()
)
async def test_a_handshake_that_fails_is_named(
    handler: Handler, tls: Any, kind: type[Exception], message: str
) -> None:
    """Not just the connection."""
    timeout = httpx.Timeout(20, connect=0.4) if kind is httpx.ConnectTimeout else 20
    transport = AsyncPoolTransport(verify=client_context())
    async with (
        FaultServer(handler, tls=tls and tls()) as server,
        httpx.AsyncClient(transport=transport, timeout=timeout) as client,
    ):
        found = await message_of(get(client, server, "https"), kind)
        assert found.startswith(message)


@pytest.mark.parametrize("client_class", ["httpx", "ours"])
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://[::1]:1/", "GET: cannot connect to [::1]:1: Connection refused"),
        ("ws://127.0.0.1:1/", "GET: cannot connect to 127.0.0.1:1: Connection refused"),
        (
            "http://nohost..invalid/",
            "GET: cannot connect to nohost..invalid:80: cannot resolve nohost..invalid: ",
        ),
    ],
)
async def test_a_connect_error_names_the_server_and_the_reason(
    url: str, message: str, client_class: str
) -> None:
    """In the system's words; an IPv6 address is in brackets."""
    if client_class == "ours":
        async with AsyncResilientClient(max_retries=0) as client:
            with pytest.raises(httpx.ConnectError) as raised:
                await (await client.get(url))
    else:
        async with httpx.AsyncClient(transport=AsyncPoolTransport()) as plain_client:
            with pytest.raises(httpx.ConnectError) as raised:
                await plain_client.get(url)
    assert str(raised.value).startswith(message)


async def test_a_missing_unix_socket_is_named() -> None:
    """And the server that it stands for."""
    async with httpx.AsyncClient(transport=AsyncPoolTransport(uds="/nowhere.sock")) as client:
        assert await message_of(client.get(secret_url("https", "a.test")), httpx.ConnectError) == (
            "GET: cannot connect to a.test:443 through the Unix socket /nowhere.sock: "
            "No such file or directory"
        )


@BOTH_PARSERS
async def test_an_invalid_header_value_is_not_quoted(http11: Http11) -> None:
    """It may be a secret; neither in the message nor in those of the errors that led to it."""
    async with (
        FaultServer(answer()) as server,
        httpx.AsyncClient(transport=AsyncPoolTransport(http11=http11)) as client,
    ):
        with pytest.raises(httpx.LocalProtocolError) as raised:
            await client.get(server.url, headers={"X-Api-Key": "s3cret\nvalue"})
    error: BaseException | None = raised.value
    assert str(error).startswith(f"GET: invalid request to 127.0.0.1:{server.port}: Illegal header")
    while error is not None:
        assert "s3cret" not in str(error)
        error = error.__cause__ or error.__context__
