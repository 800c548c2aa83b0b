"""What errors say if the bytes go through httpx's transports, a client of the user's, or a backend."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import httpx2
import pytest
from error_messages import secret_url
from fault_handlers import (
    close_after_client_hello,
    reset_after_client_hello,
    respond_with,
    send_invalid_tls_record,
)
from tls_contexts import client_context, server_context, unknown_issuer

from typed_async_client import AsyncResilientClient, ResilientTransport
from typed_async_client.testing import FaultServer, Handler, Wire, answer, drop, half_body, stall

Get = Callable[[str], Awaitable[Any]]
Open = Callable[[], contextlib.AbstractAsyncContextManager[Get]]

_TIMEOUT = 0.4
_HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"


@contextlib.asynccontextmanager
async def sync_transport() -> AsyncIterator[Get]:
    """Send with ``httpx.Client``, in a thread."""
    transport = ResilientTransport(httpx.HTTPTransport(verify=client_context()), max_retries=0)
    with httpx.Client(transport=transport, timeout=_TIMEOUT) as client:
        yield lambda url: asyncio.to_thread(client.get, url)


@contextlib.asynccontextmanager
async def async_transport() -> AsyncIterator[Get]:
    """Send with ``httpx.AsyncClient``."""
    inner = httpx.AsyncHTTPTransport(verify=client_context())
    transport = ResilientTransport(inner, max_retries=0)
    async with httpx.AsyncClient(transport=transport, timeout=_TIMEOUT) as client:
        yield client.get


@contextlib.asynccontextmanager
async def external_httpx() -> AsyncIterator[Get]:
    """Send with a client of httpx that the user made."""
    async with (
        httpx.AsyncClient(verify=client_context(), timeout=_TIMEOUT) as external,
        AsyncResilientClient(http_client=external, max_retries=0) as client,
    ):
        yield lambda url: client.request("GET", url)


@contextlib.asynccontextmanager
async def external_httpx2() -> AsyncIterator[Get]:
    """Send with a client of httpx2 that the user made."""
    async with (
        httpx2.AsyncClient(verify=client_context(), timeout=_TIMEOUT) as external,
        AsyncResilientClient(http_client=external, max_retries=0) as client,
    ):
        yield lambda url: client.request("GET", url)


@contextlib.asynccontextmanager
async def aiohttp_backend() -> AsyncIterator[Get]:
    """Send with aiohttp."""
    async with AsyncResilientClient(
        transport="aiohttp", verify=client_context(), timeout=_TIMEOUT, max_retries=0
    ) as client:
        yield lambda url: client.request("GET", url)


@contextlib.asynccontextmanager
async def pyreqwest_backend() -> AsyncIterator[Get]:
    """Send with pyreqwest."""
    async with AsyncResilientClient(
        transport="pyreqwest", timeout=_TIMEOUT, max_retries=0
    ) as client:
        yield lambda url: client.request("GET", url)


_HTTPX = (sync_transport, async_transport, external_httpx, external_httpx2)
_ALL = (*_HTTPX, aiohttp_backend, pyreqwest_backend)


def _each(made: tuple[Open, ...]) -> pytest.MarkDecorator:
    names = [getattr(each, "__name__", "") for each in made]
    return pytest.mark.parametrize("open_client", made, ids=names)


async def _message(get: Get, url: str) -> str:
    with pytest.raises((httpx.TransportError, httpx2.TransportError)) as raised:
        await get(url)
    message = str(raised.value)
    for secret in ("b-o-b", "s3cret", "secret-path", "t-0-k"):
        assert secret not in message
    return re.sub(r":\d\d\d\d+", ":PORT", message)


FAULTS: dict[str, tuple[Handler, str]] = {
    "no response": (stall, "GET: no response from 127.0.0.1:PORT within "),
    "a body that stalls": (
        respond_with(_HALF, Wire.stall),
        "GET: no more of the response body from 127.0.0.1:PORT within 0.4 s (read timeout)",
    ),
    "a closed connection": (drop, "GET: no valid response from 127.0.0.1:PORT: "),
    "a truncated body": (half_body, "GET: no complete response from 127.0.0.1:PORT: "),
    "a response that isn't HTTP": (
        respond_with(b"hello\r\n\r\n"),
        "GET: no valid response from 127.0.0.1:PORT: ",
    ),
    "half a head": (
        respond_with(b"HTTP/1.1 200"),
        "GET: no valid response from 127.0.0.1:PORT: ",
    ),
}


@_each(_ALL)
@pytest.mark.parametrize(("handler", "message"), FAULTS.values(), ids=FAULTS.keys())
async def test_an_error_names_the_method_the_server_and_the_phase(
    handler: Handler, message: str, open_client: Open
) -> None:
    """And no other part of the URL, which aiohttp's own messages quote."""
    async with FaultServer(handler) as server, open_client() as get:
        found = await _message(get, secret_url("http", f"127.0.0.1:{server.port}"))
        assert found.startswith(message)
        assert "RawResponseMessage" not in found


HANDSHAKES: dict[str, tuple[Handler, Any, str]] = {
    "FIN": (close_after_client_hello, None, "the connection was closed during the TLS handshake"),
    "RST": (reset_after_client_hello, None, "the connection was closed during the TLS handshake"),
    "certificate": (answer(), unknown_issuer, "TLS handshake failed: [SSL: CERTIFICATE_VERIFY"),
}


@_each((*_HTTPX, aiohttp_backend))
@pytest.mark.parametrize(("handler", "tls", "reason"), HANDSHAKES.values(), ids=HANDSHAKES.keys())
async def test_an_error_names_the_handshake(
    handler: Handler, tls: Any, reason: str, open_client: Open
) -> None:
    """Which the libraries below report as any other lost connection, or not at all."""
    async with FaultServer(handler, tls=tls and tls()) as server, open_client() as get:
        found = await _message(get, secret_url("https", f"127.0.0.1:{server.port}"))
    assert found.startswith(f"GET: cannot connect to 127.0.0.1:PORT: {reason}")


@_each((async_transport, external_httpx, external_httpx2, pyreqwest_backend))
async def test_a_failed_lookup_names_the_host(open_client: Open) -> None:
    """Although the system's error doesn't."""
    async with open_client() as get:
        found = await _message(get, "http://nohost..invalid/secret-path")
    assert found.startswith("GET: cannot connect to nohost..invalid:80: ")
    assert "lookup" in found


@_each(_HTTPX)
async def test_invalid_tls_data_in_a_body_is_a_read_error(open_client: Open) -> None:
    """Httpx passes on the error of ssl, which names nothing."""

    async def handler(wire: Wire) -> None:
        await wire.read_request()
        await wire.send(_HALF)
        await send_invalid_tls_record(wire)

    async with FaultServer(handler, tls=server_context()) as server, open_client() as get:
        found = await _message(get, secret_url("https", f"127.0.0.1:{server.port}"))
    assert found.startswith("GET: connection to 127.0.0.1:PORT lost while ")


async def test_a_streamed_body_of_a_synchronous_client_says_so_too() -> None:
    """Read in parts, after the response was returned."""

    def read(url: str) -> None:
        transport = ResilientTransport(httpx.HTTPTransport())
        with (
            httpx.Client(transport=transport, timeout=_TIMEOUT) as client,
            client.stream("GET", url) as response,
        ):
            list(response.iter_raw())

    async with FaultServer(respond_with(_HALF, Wire.stall)) as server:
        url = secret_url("http", f"127.0.0.1:{server.port}")
        found = await _message(lambda url: asyncio.to_thread(read, url), url)
    assert found == FAULTS["a body that stalls"][1]


async def test_a_mock_chooses_its_own_words() -> None:
    """Its error reaches the caller as the same object."""
    error = httpx.ReadTimeout("as the test says")

    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    async with httpx.AsyncClient(transport=ResilientTransport(httpx.MockTransport(fail))) as client:
        with pytest.raises(httpx.ReadTimeout) as raised:
            await client.get("http://a.test/")
    assert raised.value is error
