"""What a misbehaving server does with a connection, beyond the handlers of the test kit."""

import asyncio
import os
import select
import socket
import ssl
from collections.abc import Awaitable, Callable

import httpcore

from typed_async_client.testing import Wire, answer
from typed_async_client.testing.server import Handler

__all__ = [
    "answer_then",
    "close_after_client_hello",
    "close_without_close_notify",
    "close_without_reading",
    "echo",
    "fail_handshake_with_alert",
    "is_echoing",
    "never_read",
    "redirect_to",
    "reject_upload_early",
    "reset_after_client_hello",
    "reset_connection",
    "reset_mid_upload",
    "reset_on_connect",
    "respond_with",
    "send_close_notify_after_client_hello",
    "send_invalid_tls_record",
    "wait_until",
]


async def wait_until(happened: Callable[[], bool]) -> None:
    """Let the event loop run until ``happened()``.

    Raises:
        TimeoutError: it has not happened after half a minute, so it never will.
    """
    async with asyncio.timeout(30.0):
        while not happened():  # noqa: ASYNC110 - a socket's state sets no asyncio.Event
            await asyncio.sleep(0)


# Once connected


async def reset_on_connect(wire: Wire) -> None:
    """Cut the connection (RST) as soon as it is there."""
    wire.reset()


async def close_without_reading(wire: Wire) -> None:
    """Let the request come as far as the kernel, and close the connection over it."""
    wire.transport.pause_reading()
    sock = wire.transport.get_extra_info("socket")
    await wait_until(lambda: bool(select.select([sock], [], [], 0)[0]))


async def close_after_client_hello(wire: Wire) -> None:
    """Read the first message of a TLS handshake, then close the connection (FIN)."""
    await wire.read(65536)


async def send_close_notify_after_client_hello(wire: Wire) -> None:
    """Read the first message of a TLS handshake, and answer it with TLS's farewell."""
    await wire.read(65536)
    await wire.send(b"\x15\x03\x03\x00\x02\x01\x00")  # an alert, TLS 1.2, 2 bytes: close_notify
    await wire.stall()


async def reset_after_client_hello(wire: Wire) -> None:
    """Read the first message of a TLS handshake, then cut the connection (RST)."""
    await wire.read(65536)
    wire.reset()


def fail_handshake_with_alert(context: Callable[[], ssl.SSLContext]) -> Handler:
    """Shake hands over TLS, and when that fails send the alert that tells why.

    asyncio's own server cuts the connection without it; servers at large do send it.
    """

    async def handler(wire: Wire) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context().wrap_bio(incoming, outgoing, server_side=True)
        failed = False
        while not failed:
            incoming.write(await wire.read(65536))
            failed = _fails(tls.do_handshake)
            await wire.send(outgoing.read())
        await wire.stall()

    return handler


def _fails(handshake: Callable[[], None]) -> bool:
    try:
        handshake()
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError:
        return True
    raise AssertionError("this handshake was to fail")


# While the request comes


async def never_read(wire: Wire) -> None:
    """Leave what the client sends in the kernel, until the kernel takes no more."""
    wire.transport.pause_reading()
    await asyncio.Event().wait()


async def reset_mid_upload(wire: Wire) -> None:
    """Read a little of the request, then cut the connection (RST)."""
    await wire.read(1000)
    wire.reset()


async def reject_upload_early(wire: Wire) -> None:
    """Answer 413 before the whole body has come, and read on until the client is done."""
    await wire.read(1000)
    await wire.answer(413, b"too large")
    await wire.stall()


# Once the request is read


def respond_with(data: bytes, then: Callable[[Wire], Awaitable[None]] = Wire.finish) -> Handler:
    """Read a request, send ``data`` as it is, and do ``then``: close in good order, unless told."""

    async def handler(wire: Wire) -> None:
        await wire.read_request()
        await wire.send(data)
        await then(wire)

    return handler


def answer_then(then: Handler) -> Handler:
    """Answer a first request well, and do ``then`` on the same connection."""

    async def handler(wire: Wire) -> None:
        await wire.read_request()
        await wire.answer(200, b"ok")
        await then(wire)

    return handler


def redirect_to(location: str, *, status: int = 302) -> Handler:
    """Send every request somewhere else."""
    return answer(status, b"", f"Location: {location}")


async def reset_connection(wire: Wire) -> None:
    """Cut the connection (RST)."""
    wire.reset()


async def send_invalid_tls_record(wire: Wire) -> None:
    """Send bytes that are no TLS record beneath TLS, and wait for the client to go."""
    os.write(wire.transport.get_extra_info("socket").fileno(), b"no record of TLS at all")
    await wire.stall()


async def close_without_close_notify(wire: Wire) -> None:
    """End the connection (FIN) without the farewell of TLS, and wait for the client to go."""
    wire.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
    await wire.stall()


async def echo(wire: Wire) -> None:
    """Send back what comes, until the client hangs up."""
    while data := await wire.read(65536):
        await wire.send(data)


async def is_echoing(stream: httpcore.AsyncNetworkStream) -> bool:
    """Tell whether an echo answers at the other end; hang up afterwards."""
    try:
        await stream.write(b"is anybody there", timeout=20)
        return await stream.read(100, timeout=20) == b"is anybody there"
    finally:
        await stream.aclose()
