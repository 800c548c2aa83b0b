"""Handlers for misbehaving servers, in addition to those of ``typed_async_client.testing``."""

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
    "repeat",
    "reset_after_client_hello",
    "reset_connection",
    "reset_mid_upload",
    "reset_on_connect",
    "respond_with",
    "send_close_notify_after_client_hello",
    "send_invalid_tls_record",
    "trickle_handshake",
    "wait_until",
]


async def wait_until(condition: Callable[[], bool]) -> None:
    """Run the event loop until ``condition()`` is true.

    Raises:
        TimeoutError: the condition is still false after 30 seconds.
    """
    async with asyncio.timeout(30.0):
        while not condition():  # noqa: ASYNC110 - a socket's state sets no asyncio.Event
            await asyncio.sleep(0)


# As soon as the connection is established


async def reset_on_connect(wire: Wire) -> None:
    """Reset the connection (RST) as soon as it is established."""
    wire.reset()


async def close_without_reading(wire: Wire) -> None:
    """Close the connection while the request is still unread in the kernel's buffer."""
    wire.transport.pause_reading()
    sock = wire.transport.get_extra_info("socket")
    await wait_until(lambda: bool(select.select([sock], [], [], 0)[0]))


async def close_after_client_hello(wire: Wire) -> None:
    """Read the first message of a TLS handshake, then close the connection (FIN)."""
    await wire.read(65536)


async def send_close_notify_after_client_hello(wire: Wire) -> None:
    """Read the first message of a TLS handshake, and reply with close_notify."""
    await wire.read(65536)
    await wire.send(b"\x15\x03\x03\x00\x02\x01\x00")  # alert, TLS 1.2, 2 bytes: close_notify
    await wire.stall()


async def reset_after_client_hello(wire: Wire) -> None:
    """Read the first message of a TLS handshake, then reset the connection (RST)."""
    await wire.read(65536)
    wire.reset()


def fail_handshake_with_alert(context: Callable[[], ssl.SSLContext]) -> Handler:
    """Perform a TLS handshake that fails, and send the alert that says why.

    asyncio's server closes the connection without an alert, but most servers send one.
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
    raise AssertionError("expected the handshake to fail")


# While the request is being received


async def never_read(wire: Wire) -> None:
    """Never read, so that the kernel's buffers fill up with what the client sends."""
    wire.transport.pause_reading()
    await asyncio.Event().wait()


async def reset_mid_upload(wire: Wire) -> None:
    """Read a little of the request, then reset the connection (RST)."""
    await wire.read(1000)
    wire.reset()


async def reject_upload_early(wire: Wire) -> None:
    """Answer 413 before the whole body has arrived, and read on until the client is done."""
    await wire.read(1000)
    await wire.answer(413, b"too large")
    await wire.stall()


# After the request has been read


def respond_with(data: bytes, then: Callable[[Wire], Awaitable[None]] = Wire.finish) -> Handler:
    """Read a request, send ``data`` unchanged, and call ``then``, which closes by default."""

    async def handler(wire: Wire) -> None:
        await wire.read_request()
        await wire.send(data)
        await then(wire)

    return handler


def answer_then(then: Handler) -> Handler:
    """Answer the first request with 200, then call ``then`` on the same connection."""

    async def handler(wire: Wire) -> None:
        await wire.read_request()
        await wire.answer(200, b"ok")
        await then(wire)

    return handler


def redirect_to(location: str, *, status: int = 302) -> Handler:
    """Redirect every request to ``location``."""
    return answer(status, b"", f"Location: {location}")


async def reset_connection(wire: Wire) -> None:
    """Reset the connection (RST)."""
    wire.reset()


async def send_invalid_tls_record(wire: Wire) -> None:
    """Send bytes that aren't a TLS record on a TLS connection, and wait for the client to close."""
    os.write(wire.transport.get_extra_info("socket").fileno(), b"not a TLS record, just text")
    await wire.stall()


async def close_without_close_notify(wire: Wire) -> None:
    """Close the connection (FIN) without close_notify, and wait for the client to close."""
    wire.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
    await wire.stall()


async def echo(wire: Wire) -> None:
    """Send back all data, until the client closes the connection."""
    while data := await wire.read(65536):
        await wire.send(data)


async def is_echoing(stream: httpcore.AsyncNetworkStream) -> bool:
    """Check whether the server echoes, then close the stream."""
    try:
        await stream.write(b"is anybody there", timeout=20)
        return await stream.read(100, timeout=20) == b"is anybody there"
    finally:
        await stream.aclose()


def repeat(part: bytes, before: bytes = b"") -> Handler:
    """Read a request, and send the same again and again, without ever ending the response."""

    async def handler(wire: Wire) -> None:
        await wire.read_request()
        await wire.send(before)
        while True:
            await wire.send(part)
            await asyncio.sleep(0.01)

    return handler


async def trickle_handshake(wire: Wire) -> None:
    """Begin to answer a TLS handshake, and go on very slowly."""
    await wire.read(65_536)
    await wire.send(b"\x16\x03\x03\x40\x00")  # a handshake record of 16,384 bytes
    while True:
        await wire.send(b"x")
        await asyncio.sleep(0.02)
