"""Servers, and requests to them, whose ``trace`` events are compared with those of httpx."""

import asyncio
import dataclasses
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
from fault_handlers import (
    answer_then,
    close_after_client_hello,
    echo,
    reset_after_client_hello,
    respond_with,
    wait_until,
)
from proxy_handlers import Socks5Proxy, forward_proxy, tunnel_proxy
from tls_contexts import server_context, unknown_issuer

from typed_async_client.testing import Handler, Wire, answer, drop, half_body, reset, stall

__all__ = ["CASES", "Case"]

_HEAD = b"HTTP/1.1 200 OK\r\n"
_SWITCH = _HEAD.replace(b"200 OK", b"101 Switching Protocols")
_SWITCH += b"Connection: upgrade\r\nUpgrade: x\r\n\r\nfirst"

Use = Callable[[httpx.AsyncClient, str, dict[str, Any]], Awaitable[Any]]
"""Makes requests to a URL, with the given extensions."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A server, and how a client uses it."""

    use: Use
    handler: Handler = dataclasses.field(default_factory=answer)
    tls: Callable[[], ssl.SSLContext] | None = None
    refusing: bool = False
    url: str = "{url}"
    proxy: Handler | None = None
    proxy_scheme: str = "http"
    timeout: float = 20.0


def get(**options: Any) -> Use:
    """Make a GET request."""
    return send("GET", **options)


def send(method: str, body: Callable[[], Any] = lambda: None, **options: Any) -> Use:
    """Make a request and read its response."""

    async def use(client: httpx.AsyncClient, url: str, extensions: dict[str, Any]) -> None:
        await client.request(method, url, content=body(), extensions=extensions, **options)

    return use


def twice(first: Use, second: Use) -> Use:
    """Make two requests, one after the other."""

    async def use(client: httpx.AsyncClient, url: str, extensions: dict[str, Any]) -> None:
        await first(client, url, extensions)
        await second(client, url, extensions)

    return use


def stream(*, leave_early: bool) -> Use:
    """Stream a response, and close it early or at its end."""

    async def use(client: httpx.AsyncClient, url: str, extensions: dict[str, Any]) -> None:
        async with client.stream("GET", url, extensions=extensions) as response:
            async for _ in response.aiter_raw():
                if leave_early:
                    break
        ended = "http11.receive_response_body." + ("failed" if leave_early else "complete")
        await wait_until(
            lambda: ended in extensions["trace"].names
        )  # the event loop closes the iterator

    return use


async def close_unread(client: httpx.AsyncClient, url: str, extensions: dict[str, Any]) -> None:
    """Close a response without reading its body."""
    async with client.stream("GET", url, extensions=extensions):
        pass


async def cancel(client: httpx.AsyncClient, url: str, extensions: dict[str, Any]) -> None:
    """Cancel a request that waits for its response."""
    task = asyncio.ensure_future(client.get(url, extensions=extensions))
    waiting = "http11.receive_response_headers.started"
    await wait_until(lambda: waiting in extensions["trace"].names)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def upgrade(client: httpx.AsyncClient, url: str, extensions: dict[str, Any]) -> None:
    """Switch to another protocol, and use it."""
    headers = {"Connection": "upgrade", "Upgrade": "x"}
    async with client.stream("GET", url, headers=headers, extensions=extensions) as response:
        connection = response.extensions["network_stream"]
        assert await connection.read(5) == b"first"
        await connection.write(b"ping")
        assert await connection.read(4) == b"ping"


async def refuse_socks(wire: Wire) -> None:
    """Accept no way of authentication."""
    await wire.read(100)
    await wire.send(b"\x05\xff")


async def parts() -> AsyncIterator[bytes]:
    """Yield a body in two parts."""
    yield b"01234"
    yield b"56789"


async def failing_parts() -> AsyncIterator[bytes]:
    """Yield a part, then raise."""
    yield b"01234"
    raise RuntimeError("no more data")


_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
_LARGE = _HEAD + b"Content-Length: 200000\r\n\r\n" + bytes(200_000)

CASES = {
    "a response": Case(use=get()),
    "a response over TLS": Case(use=get(), tls=server_context),
    "another server name": Case(use=get(), tls=unknown_issuer),
    "a reused connection": Case(use=twice(get(), get())),
    "a connection that isn't kept": Case(
        use=twice(get(headers={"Connection": "close"}), get()),
        handler=answer(200, b"ok", "Connection: close"),
    ),
    "status 204": Case(use=get(), handler=respond_with(b"HTTP/1.1 204 No Content\r\n\r\n")),
    "HEAD": Case(use=send("HEAD"), handler=respond_with(_HEAD + b"Content-Length: 9\r\n\r\n")),
    "an interim response": Case(
        use=get(), handler=respond_with(b"HTTP/1.1 103 Early Hints\r\n\r\n" + _CHUNKED)
    ),
    "a chunked response": Case(use=get(), handler=respond_with(_CHUNKED)),
    "a body that ends with the connection": Case(
        use=get(), handler=respond_with(_HEAD + b"Connection: close\r\n\r\n!")
    ),
    "a body in memory": Case(use=send("POST", lambda: b"0123456789")),
    "a body in parts": Case(use=send("POST", parts)),
    "a body that raises": Case(use=send("POST", failing_parts)),
    "a body that is too long": Case(
        use=send("POST", lambda: b"0123456789", headers={"Content-Length": "5"}), handler=stall
    ),
    "a streamed response": Case(use=stream(leave_early=False), handler=respond_with(_LARGE)),
    "a response left early": Case(use=stream(leave_early=True), handler=respond_with(_LARGE)),
    "a response closed unread": Case(use=close_unread, handler=respond_with(_LARGE)),
    "another protocol": Case(use=upgrade, handler=respond_with(_SWITCH, echo)),
    "a refused connection": Case(use=get(), refusing=True),
    "a name that can't be looked up": Case(use=get(), url="http://nohost..invalid/"),
    "a rejected certificate": Case(use=get(), tls=unknown_issuer),
    "a handshake ended by FIN": Case(
        use=get(), url="https://127.0.0.1:{port}/", handler=close_after_client_hello
    ),
    "a handshake ended by RST": Case(
        use=get(), url="https://127.0.0.1:{port}/", handler=reset_after_client_hello
    ),
    "a handshake that stalls": Case(
        use=get(), url="https://127.0.0.1:{port}/", handler=Wire.stall, timeout=0.4
    ),
    "a response that never comes": Case(use=get(), handler=stall, timeout=0.4),
    "a body that stalls": Case(
        use=get(),
        handler=respond_with(_HEAD + b"Content-Length: 9\r\n\r\nhalf", Wire.stall),
        timeout=0.4,
    ),
    "RST instead of a response": Case(use=get(), handler=reset),
    "FIN instead of a response": Case(use=get(), handler=drop),
    "FIN on a reused connection": Case(
        use=twice(get(), send("POST", lambda: b"x")), handler=answer_then(drop)
    ),
    "a truncated body": Case(use=get(), handler=half_body),
    "a response that isn't HTTP": Case(use=get(), handler=respond_with(b"hello\r\n\r\n")),
    "a cancelled request": Case(use=cancel, handler=stall),
    "a forward proxy": Case(use=twice(get(), get()), proxy=forward_proxy()),
    "a tunnel": Case(use=twice(get(), get()), proxy=tunnel_proxy(), tls=server_context),
    "a tunnel that is refused": Case(use=get(), proxy=answer(407), tls=server_context),
    "a tunnel after an interim response": Case(
        use=get(),
        proxy=tunnel_proxy(reply=b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 Connected\r\n\r\n"),
        tls=server_context,
    ),
    "a tunnel that never comes": Case(use=get(), proxy=stall, tls=server_context, timeout=0.2),
    "a tunnel that is closed": Case(use=get(), proxy=drop, tls=server_context),
    "a tunnel that is reset": Case(use=get(), proxy=reset, tls=server_context),
    "a tunnel from a proxy that doesn't speak HTTP": Case(
        use=get(), proxy=respond_with(b"hello\r\n\r\n"), tls=server_context
    ),
    "a cancelled tunnel": Case(use=cancel, proxy=stall, tls=server_context),
    "a tunnel to a rejected certificate": Case(use=get(), proxy=tunnel_proxy(), tls=unknown_issuer),
    "SOCKS": Case(use=twice(get(), get()), proxy=Socks5Proxy(), proxy_scheme="socks5"),
    "SOCKS and TLS": Case(
        use=get(), proxy=Socks5Proxy(), proxy_scheme="socks5", tls=server_context
    ),
    "SOCKS that refuses": Case(
        use=get(), proxy=refuse_socks, proxy_scheme="socks5", tls=server_context
    ),
    "SOCKS that can't reach the server": Case(
        use=get(), proxy=Socks5Proxy(reply=5), proxy_scheme="socks5"
    ),
}
