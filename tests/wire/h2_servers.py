"""HTTP/2 servers on loopback: one of the trade, and one that does what a test tells it to."""

import asyncio
import contextlib
import dataclasses
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import trustme
from hypercorn.asyncio import serve
from hypercorn.config import Config
from hyperframe.frame import GoAwayFrame

from typed_async_client.testing import FaultServer, Handler, Wire

__all__ = ["H2Wire", "Script", "StreamRequest", "h2_client_context", "h2_server", "hypercorn_url"]


@functools.cache
def _ca() -> trustme.CA:
    return trustme.CA()


@functools.cache
def _certificate() -> trustme.LeafCert:
    return _ca().issue_cert("localhost", "127.0.0.1")


@functools.cache
def h2_client_context() -> ssl.SSLContext:
    """Trust the servers of this file."""
    return ssl.create_default_context(cadata=_ca().cert_pem.bytes().decode())


@functools.cache
def _h2_server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _certificate().configure_cert(context)
    context.set_alpn_protocols(["h2"])
    return context


@contextlib.asynccontextmanager
async def hypercorn_url(app: Any, folder: Path) -> AsyncIterator[str]:
    """Serve an ASGI application with hypercorn, on this loop; give its URL.

    Args:
        app: the application.
        folder: where the certificate may lie.
    """
    pem, key = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(b"".join(blob.bytes() for blob in _certificate().cert_chain_pems))
    key.write_bytes(_certificate().private_key_pem.bytes())
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.certfile, config.keyfile = str(pem), str(key)
    config.graceful_timeout = 0.1
    config.loglevel = "CRITICAL"
    stop = asyncio.Event()
    serving = asyncio.ensure_future(serve(app, config, shutdown_trigger=stop.wait))
    try:
        yield f"https://localhost:{port}/"
    finally:
        stop.set()
        # hypercorn raises here when a client has left without an orderly TLS shutdown.
        with contextlib.suppress(OSError):
            await serving


@dataclasses.dataclass(frozen=True, slots=True)
class StreamRequest:
    """A whole request of one stream."""

    stream_id: int
    method: str
    path: str
    body: bytes


class H2Wire:
    """The server's end of one HTTP/2 connection.

    Attributes:
        begun: the streams whose head has come, in order.
        came: bytes of bodies that have come.
        gives_room: whether bytes of bodies make room for as many more.
        requests: the whole requests that came, in order.
        resets: the streams that the client gave up.
    """

    def __init__(self, wire: Wire, max_streams: int | None) -> None:
        self.started: list[int] = []
        self.body_bytes: int = 0
        self.opens_window: bool = True
        self.requests: list[StreamRequest] = []
        self.resets: list[int] = []
        self._bodies: dict[int, bytes] = {}
        self._heads: dict[int, dict[bytes, bytes]] = {}
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        if max_streams is None:
            del self._h2.local_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS]
        else:
            self._h2.local_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = max_streams
        self._h2.local_settings.acknowledge()
        self._wire = wire

    async def start(self) -> None:
        """Send the settings."""
        self._h2.initiate_connection()
        await self._flush()

    async def receive(self, count: int) -> list[StreamRequest]:
        """Read until ``count`` whole requests have come on this connection in all.

        Raises:
            EOFError: the client hung up before.
        """
        await self.read_until(lambda: len(self.requests) >= count)
        return self.requests[:count]

    async def read_until(self, condition: Callable[[], bool]) -> None:
        """Read until a condition holds.

        Raises:
            EOFError: the client hung up before.
        """
        while not condition():
            data = await self._wire.read(65536)
            if not data:
                raise EOFError
            for event in self._h2.receive_data(data):
                self._take(event)
            await self._flush()

    async def answer(self, request: StreamRequest, body: bytes = b"ok") -> None:
        """Send a whole response; nobody wants one that the client has given up."""
        if request.stream_id in self.resets:
            return
        self._h2.send_headers(request.stream_id, [(":status", "200")])
        self._h2.send_data(request.stream_id, body, end_stream=True)
        await self._flush()

    async def answer_with_trailers(
        self, request: StreamRequest, body: bytes, *, content_length: int, status: int = 200
    ) -> None:
        """Send a whole response of ``content_length`` bytes, as it says, that is ended by trailers."""
        head = [(":status", str(status)), ("content-length", str(content_length))]
        self._h2.send_headers(request.stream_id, head)
        if body:
            self._h2.send_data(request.stream_id, body)
        self._h2.send_headers(request.stream_id, [("x-checksum", "1")], end_stream=True)
        await self._flush()

    async def start_answer(self, request: StreamRequest) -> None:
        """Send a head, and a part of a body."""
        if request.stream_id in self.resets:
            return
        self._h2.send_headers(request.stream_id, [(":status", "200")])
        self._h2.send_data(request.stream_id, b"part")
        await self._flush()

    async def answer_with_size(self, request: StreamRequest, size: int) -> None:
        """Send a whole response with a body of ``size`` bytes.

        Raises:
            h2.exceptions.FlowControlError: the client leaves no room for it.
        """
        self._h2.send_headers(request.stream_id, [(":status", "200")])
        for start in range(0, size, 16_000):
            self._h2.send_data(request.stream_id, bytes(min(16_000, size - start)))
        self._h2.end_stream(request.stream_id)
        await self._flush()

    async def finish_answer(self, request: StreamRequest) -> None:
        """Send the rest of the body."""
        if request.stream_id in self.resets:
            return
        self._h2.send_data(request.stream_id, b" and rest", end_stream=True)
        await self._flush()

    async def refuse(self, request: StreamRequest) -> None:
        """Say that the request was not looked at (REFUSED_STREAM)."""
        if request.stream_id in self.resets:
            return
        self._h2.reset_stream(request.stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
        await self._flush()

    async def answer_early(self, request: StreamRequest, body: bytes, code: int) -> None:
        """Send a whole response, and say that the rest of the request is not wanted."""
        self._h2.send_headers(request.stream_id, [(":status", "413")])
        self._h2.send_data(request.stream_id, body, end_stream=True)
        self._h2.reset_stream(request.stream_id, code)
        await self._flush()

    async def abort_stream(self, request: StreamRequest) -> None:
        """Break one stream off for a reason of the server's own (INTERNAL_ERROR)."""
        self._h2.reset_stream(request.stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)
        await self._flush()

    async def go_away(self, last_stream_id: int, error_code: int = 0) -> None:
        """Say that no stream above ``last_stream_id`` was or will be looked at (GOAWAY)."""
        frame = GoAwayFrame(0, last_stream_id=last_stream_id, error_code=error_code)
        await self._wire.send(frame.serialize())

    async def answer_and_go_away(self, request: StreamRequest) -> None:
        """Send a whole response and a GOAWAY right behind it, in one piece."""
        self._h2.send_headers(request.stream_id, [(":status", "200")])
        self._h2.send_data(request.stream_id, b"ok", end_stream=True)
        goodbye = GoAwayFrame(0, last_stream_id=request.stream_id).serialize()
        await self._wire.send(self._h2.data_to_send() + goodbye)

    async def set_max_streams(self, max_streams: int) -> None:
        """Change how many streams there may be at once (SETTINGS)."""
        self._h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: max_streams})
        await self._flush()

    async def open_window(self, *stream_ids: int, size: int = 1_000_000) -> None:
        """Make room for ``size`` bytes on the connection, and on some streams (WINDOW_UPDATE)."""
        for stream_id in (None, *stream_ids):
            self._h2.increment_flow_control_window(size, stream_id)
        await self._flush()

    async def send(self, *frames: bytes) -> None:
        """Send frames as they are."""
        await self._wire.send(b"".join(frames))

    async def answer_remaining(self) -> None:
        """Answer each further request until the client hangs up."""
        answered = len(self.requests)
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                await self.receive(answered + 1)
                for request in self.requests[answered:]:
                    await self.answer(request)
                answered = len(self.requests)

    async def read_to_end(self) -> None:
        """Say nothing more, and note what comes until the client hangs up."""
        with contextlib.suppress(EOFError, ConnectionError):
            await self.receive(1_000_000)

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=int(stream_id), headers=headers):
                self._heads[stream_id] = {bytes(k): bytes(v) for k, v in headers or ()}
                self._bodies[stream_id] = b""
                self.started.append(stream_id)
            case h2.events.DataReceived(stream_id=int(stream_id), data=data):
                self._bodies[stream_id] += data or b""
                self.body_bytes += len(data or b"")
                if self.opens_window:
                    self._h2.acknowledge_received_data(event.flow_controlled_length or 0, stream_id)
            case h2.events.StreamEnded(stream_id=int(stream_id)):
                head = self._heads[stream_id]
                method, path = head[b":method"].decode(), head[b":path"].decode()
                body = self._bodies[stream_id]
                self.requests.append(StreamRequest(stream_id, method, path, body))
            case h2.events.StreamReset(stream_id=int(stream_id)):
                self.resets.append(stream_id)

    async def _flush(self) -> None:
        await self._wire.send(self._h2.data_to_send())


Script = Callable[[H2Wire], Awaitable[None]]
"""Serves one HTTP/2 connection, from the settings to its end."""


def h2_server(*scripts: Script, max_streams: int | None = 100, tls: bool = True) -> FaultServer:
    """Give a server whose first connection follows the first script, and so on.

    Connections beyond the scripts are answered well.

    Args:
        scripts: one for each connection.
        max_streams: how many it allows at once; None says nothing about it.
        tls: agree upon HTTP/2 by TLS; otherwise the client has to know.
    """
    left = list(scripts)

    async def handler(wire: Wire) -> None:
        served = H2Wire(wire, max_streams)
        script = left.pop(0) if left else H2Wire.answer_remaining
        await served.start()
        with contextlib.suppress(EOFError, h2.exceptions.ProtocolError):
            await script(served)

    followed: Handler = handler
    return FaultServer(followed, tls=_h2_server_context() if tls else None)
