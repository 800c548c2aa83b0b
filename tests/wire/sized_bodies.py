"""Bodies of a size near a limit, and the ways to request them."""

import contextlib
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import brotli
import httpx
import httpx2
import pytest
from pool_helpers import hide_httptools

from typed_async_client import AsyncPoolTransport, AsyncResilientClient
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request

__all__ = [
    "CAP",
    "FITS",
    "GZIP",
    "LARGE",
    "SMALL_ENOUGH",
    "TOO_LARGE",
    "WAYS",
    "chunked",
    "declared",
    "endless",
    "over",
    "over_own",
    "serving",
]

CAP = 5_000
FITS, LARGE = bytes(CAP), bytes(CAP + 1)

Ways = Callable[..., contextlib.AbstractAsyncContextManager[AsyncResilientClient]]


def over(make_transport: Callable[[], Any]) -> Ways:
    """Return what opens a client over a transport."""

    def opened(**options: Any) -> AsyncResilientClient:
        return AsyncResilientClient(transport=make_transport(), **options)

    return opened


def over_own(library: Any, make_transport: Callable[[], Any] = lambda: None) -> Ways:
    """Return what opens a client that sends through one of a library."""

    @contextlib.asynccontextmanager
    async def opened(**options: Any) -> AsyncIterator[AsyncResilientClient]:
        async with (
            library.AsyncClient(transport=make_transport()) as external,
            AsyncResilientClient(http_client=external, **options) as client,
        ):
            yield client

    return opened


@contextlib.asynccontextmanager
async def over_h11(**options: Any) -> AsyncIterator[AsyncResilientClient]:
    """Open a client whose pool parses with h11."""
    with pytest.MonkeyPatch.context() as patch:
        hide_httptools(patch)
        async with AsyncResilientClient(**options) as client:
            yield client


WAYS: dict[str, Ways] = {
    "pool": AsyncResilientClient,
    "h11": over_h11,
    "httpx transport": over(httpx.AsyncHTTPTransport),
    "aiohttp": over(lambda: "aiohttp"),
    "pyreqwest": over(lambda: "pyreqwest"),
    "external httpx": over_own(httpx),
    "external httpx2": over_own(httpx2),
    "external pool": over_own(httpx, AsyncPoolTransport),
}


def declared(body: bytes, *headers: str) -> Callable[[Wire], Awaitable[None]]:
    """Send a body with a Content-Length."""
    return lambda wire: wire.answer(200, body, *headers)


def chunked(body: bytes, *headers: str, size: int = 1_000) -> Callable[[Wire], Awaitable[None]]:
    """Send a body in chunks."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    sized = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    lines = ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *headers, "", ""]
    return lambda wire: wire.send("\r\n".join(lines).encode() + sized + b"0\r\n\r\n")


async def endless(wire: Wire) -> None:
    """Send chunks without an end."""
    await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await wire.send(b"1000\r\n" + bytes(0x1000) + b"\r\n")


async def endless_nothing(wire: Wire) -> None:
    """Send gzip members without an end, each of which is empty."""
    await wire.send(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    members = 500 * gzip.compress(b"")
    while True:
        await wire.send(b"%x\r\n%b\r\n" % (len(members), members))


async def until_close(wire: Wire) -> None:
    """Send a body that ends with the connection."""
    await wire.send(b"HTTP/1.1 200 OK\r\n\r\n" + LARGE)
    await wire.finish()


GZIP, BROTLI = "Content-Encoding: gzip", "Content-Encoding: br"

TOO_LARGE = {
    "declared": declared(LARGE),
    "chunked": chunked(LARGE),
    "one-byte chunks": chunked(LARGE, size=1),
    "endless": endless,
    "until close": until_close,
    "gzip": declared(gzip.compress(LARGE), GZIP),
    "gzip in chunks": chunked(gzip.compress(LARGE), GZIP, size=30),
    "gzip of nothing": endless_nothing,
    "brotli": declared(brotli.compress(LARGE), BROTLI),
}

SMALL_ENOUGH = {
    "declared": declared(FITS),
    "chunked": chunked(FITS),
    "gzip": declared(gzip.compress(FITS), GZIP),
    "gzip in chunks": chunked(gzip.compress(FITS), GZIP, size=30),
    "brotli": declared(brotli.compress(FITS), BROTLI),
}


def serving(send: Callable[[Wire], Awaitable[None]]) -> FaultServer:
    """Create a server that sends a body, or a short one for the path ``/small``."""

    async def respond(request: SeenRequest, wire: Wire) -> None:
        await (wire.answer(200, b"ok") if request.target == "/small" else send(wire))

    return FaultServer(each_request(respond))
