"""An idle TLS connection that is reset is replaced, and its slot is free for another one."""

import asyncio
import socket
import struct

import httpx
from tls_contexts import client_context, server_context

from typed_async_client import AsyncPoolTransport

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


async def test_a_request_right_after_the_reset_of_an_idle_connection_succeeds() -> None:
    """The socket is closed already, and asyncio hasn't reported the end of the connection yet."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while await reader.readline() not in {b"\r\n", b""}:
            pass
        writer.write(RESPONSE)

    transport = AsyncPoolTransport(verify=client_context(), limits=httpx.Limits(max_connections=1))
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context())
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, httpx.AsyncClient(transport=transport, timeout=20) as client:
        first = await client.get(url)
        sock = first.extensions["network_stream"].get_extra_info("socket")
        theirs = writers[0].get_extra_info("socket")
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        writers[0].transport.abort()
        while sock.fileno() >= 0:  # noqa: ASYNC110 - it waits for one iteration to end
            await asyncio.sleep(0)
        assert (await client.get(url)).text == "ok"
        assert transport.statistics().closed == {"stale": 1}
        for writer in writers:
            writer.close()
