"""Open a tunnel: ``CONNECT`` through a proxy, then raw bytes both ways.

Proxy and server run on local ports. Run it as it is: ``python examples/connect_tunnel.py``.
"""

import asyncio

import httpx

from typed_async_client import AsyncPoolTransport
from typed_async_client.testing import FaultServer, Wire


async def shout(wire: Wire) -> None:
    """Send back in upper case whatever arrives."""
    while data := await wire.read(65536):
        await wire.send(data.upper())


async def proxy(wire: Wire) -> None:
    """Serve one ``CONNECT``: connect to its target, and relay bytes both ways."""
    request = await wire.read_request()
    if request is None:
        return
    host, _, port = request.target.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await wire.send(b"HTTP/1.1 200 Connection established\r\n\r\n")

    async def upstream() -> None:
        while data := await wire.read(65536):
            writer.write(data)
        writer.write_eof()

    async def downstream() -> None:
        while data := await reader.read(65536):
            await wire.send(data)

    try:
        await asyncio.gather(upstream(), downstream())
    finally:
        writer.close()


async def main() -> None:
    """Talk to a server through the proxy."""
    transport = AsyncPoolTransport()
    async with (
        FaultServer(shout) as server,
        FaultServer(proxy) as gateway,
        httpx.AsyncClient(transport=transport) as client,
    ):
        target = f"127.0.0.1:{server.port}".encode()
        async with client.stream("CONNECT", gateway.url, extensions={"target": target}) as tunnel:
            connection = tunnel.extensions["network_stream"]
            for line in (b"first line", b"second line"):
                await connection.write(line)
                print((await connection.read(65536)).decode())
        print(f"after closing: {transport.statistics().active} connections in use")


if __name__ == "__main__":
    asyncio.run(main())
