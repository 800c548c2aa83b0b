"""Ready-made handlers for a ``FaultServer``. Each serves one connection, correctly or not."""

from collections.abc import Awaitable, Callable

from typed_async_client.testing.server import Handler, SeenRequest, Wire

__all__ = ["answer", "drop", "each_request", "half_body", "reset", "stall"]


def each_request(respond: Callable[[SeenRequest, Wire], Awaitable[None]]) -> Handler:
    """Read requests one after another on a keep-alive connection; call ``respond`` for each."""

    async def handler(wire: Wire) -> None:
        while (request := await wire.read_request()) is not None:
            await respond(request, wire)

    return handler


def answer(status: int = 200, body: bytes = b"ok", *headers: str) -> Handler:
    """Answer every request with the same response; ``headers`` are ``"Name: value"`` lines."""
    return each_request(lambda _, wire: wire.answer(status, body, *headers))


async def drop(wire: Wire) -> None:
    """Read a request, then close the connection without a response (FIN)."""
    await wire.read_request()


async def reset(wire: Wire) -> None:
    """Read a request, then reset the connection (RST)."""
    await wire.read_request()
    wire.reset()


async def stall(wire: Wire) -> None:
    """Read a request, then send nothing until the client gives up."""
    await wire.read_request()
    await wire.stall()


async def half_body(wire: Wire) -> None:
    """Read a request, declare 10 bytes, send 5, and close the connection."""
    await wire.read_request()
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf.")
