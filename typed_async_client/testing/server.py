"""A server on loopback that does exactly what its handler says, byte by byte.

It only implements as much of HTTP/1.1 as tests need: it parses valid requests, and sends the bytes
that it is given.
"""

import asyncio
import contextlib
import dataclasses
import socket
import ssl
import struct
import sys
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, cast

__all__ = ["FaultServer", "Handler", "SeenRequest", "Wire"]


@dataclasses.dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request that the server has read.

    Attributes:
        method: ``"GET"``, ``"POST"``, ...
        target: path and query, or whatever else the request line contained.
        headers: the values by lower-case name; for a repeated name, the last value.
        body: the whole body, with chunked encoding removed.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


_PATIENCE = 1.0
"""Seconds that Python 3.12 waits for a connection that a client has leaked in its TLS handshake."""


class Wire:
    """The server's end of one connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: list[SeenRequest]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._seen = seen

    @property
    def transport(self) -> asyncio.Transport:
        """The asyncio transport, for what the methods here don't cover."""
        return cast("asyncio.Transport", self._writer.transport)  # a socket's is bidirectional

    async def read_request(self) -> SeenRequest | None:
        """Read one complete request; return None if the client closed the connection instead."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            request_line, *lines = head.decode("latin-1").rstrip().split("\r\n")
            method, target, _ = request_line.split(" ", 2)
            pairs = (line.partition(":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            body = await self._read_body(headers)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        self._seen.append(SeenRequest(method, target, headers, body))
        return self._seen[-1]

    async def read(self, size: int) -> bytes:
        """Read up to ``size`` bytes; empty if the client closed the connection."""
        return await self._reader.read(size)

    async def send(self, data: bytes) -> None:
        """Send raw bytes."""
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self, status: int = 200, body: bytes = b"", *headers: str) -> None:
        """Send a complete response; ``headers`` are further header lines without line endings."""
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Whatever')}", *headers]
        lines += [f"Content-Length: {len(body)}", "", ""]
        await self.send("\r\n".join(lines).encode() + body)

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Perform the server's side of a TLS handshake, before anything has been read."""
        await self._writer.start_tls(context)

    async def finish(self) -> None:
        """Close the connection cleanly (FIN)."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def reset(self) -> None:
        """Reset the connection (RST)."""
        sock = self._writer.get_extra_info("socket")
        with contextlib.suppress(OSError):  # the client was faster, and the socket is closed
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def stall(self) -> None:
        """Send nothing more until the client or the server closes the connection."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(65536):
                pass

    async def _read_body(self, headers: dict[str, str]) -> bytes:
        if "chunked" not in headers.get("transfer-encoding", "").lower():
            return await self._reader.readexactly(int(headers.get("content-length", 0)))
        body = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()
        return body


_REASONS = {200: "OK", 302: "Found", 404: "Not Found", 503: "Service Unavailable"}

Handler = Callable[[Wire], Awaitable[None]]
"""Serves one connection, from accept to close."""


class FaultServer:
    """A server on a free port of 127.0.0.1. Use it in ``async with``.

    Args:
        handler: called with each connection; when it returns, the connection is closed.
        tls: the context to use TLS with; None means plaintext.
        refusing: bind the port without listening on it, so that every connection is refused until
            ``open()`` is called.

    Attributes:
        connections: number of accepted connections.
        port: the bound port, whether listening or not; 0 before the server is entered.
        requests: the requests that have been read, in order.

    Example:
        >>> async def main() -> None:
        ...     async with FaultServer(answer(200, b"hello")) as server:
        ...         print(await simple_async_request("GET", server.url))
    """

    def __init__(
        self, handler: Handler, *, tls: ssl.SSLContext | None = None, refusing: bool = False
    ) -> None:
        self.connections: int = 0
        self.port: int = 0
        self.requests: list[SeenRequest] = []
        self._handler = handler
        self._refusing = refusing
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._tls = tls

    @property
    def url(self) -> str:
        """The URL of the server, with a trailing slash."""
        host = "localhost" if self._tls else "127.0.0.1"
        return f"http{'s' if self._tls else ''}://{host}:{self.port}/"

    async def open(self) -> None:
        """Start to accept connections; does nothing if the server has been closed."""
        if self._server is not None:
            await self._server.start_serving()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, ssl=self._tls, start_serving=False
        )
        self.port = self._server.sockets[0].getsockname()[1]
        if not self._refusing:
            await self.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        server, self._server = self._server, None
        assert server is not None  # noqa: S101 - entered
        try:
            await _stop_accepting(server)
        finally:  # this may be cancelled
            server.close()
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)
        await _end(server)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._server is None:  # its TLS handshake ended after the server was closed
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio calls this in a task
        self._serving.add(task)
        wire = Wire(reader, writer, self.requests)
        try:
            await self._handler(wire)
            await wire.finish()
        except (asyncio.CancelledError, ConnectionError, ssl.SSLError):
            writer.transport.abort()
        finally:
            self._serving.discard(task)


async def _stop_accepting(server: asyncio.Server) -> None:
    """Let the sockets that are accepted already be attached: asyncio leaks those that come later."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # the proactor of Windows has no readers
        for listening in server.sockets:
            loop.remove_reader(listening.fileno())
    await asyncio.sleep(0)


async def _end(server: asyncio.Server) -> None:
    """Close the connections that no handler has been given yet, and wait for all to be closed.

    Such a connection is in its TLS handshake. Before Python 3.13 only its client can end it: 3.11
    doesn't wait for it, and 3.12 would for as long as the client keeps it.
    """
    if sys.version_info >= (3, 13):
        server.abort_clients()
        await server.wait_closed()
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            await server.wait_closed()
