"""HTTP/2 servers on loopback: hypercorn, and one that follows the scripts of a test."""

import asyncio
import contextlib
import dataclasses
import functools
import socket
import ssl
from collections import deque
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
    """Trust the certificates of the servers in this file."""
    return ssl.create_default_context(cadata=_ca().cert_pem.bytes().decode())


@functools.cache
def _h2_server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _certificate().configure_cert(context)
    context.set_alpn_protocols(["h2"])
    return context


@contextlib.asynccontextmanager
async def hypercorn_url(app: Any, folder: Path) -> AsyncIterator[str]:
    """Serve an ASGI application with hypercorn, on this loop, and yield its URL.

    Args:
        app: the application.
        folder: where to write the certificate.
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
    server_task = asyncio.ensure_future(serve(app, config, shutdown_trigger=stop.wait))
    try:
        yield f"https://localhost:{port}/"
    finally:
        stop.set()
        # hypercorn raises this if a client closed without an orderly TLS shutdown.
        with contextlib.suppress(OSError):
            await server_task


@dataclasses.dataclass(frozen=True, slots=True)
class StreamRequest:
    """A complete request of one stream."""

    stream_id: int
    method: str
    path: str
    body: bytes


class H2Wire:
    """The server's end of one HTTP/2 connection.

    Attributes:
        started: the streams whose headers have arrived, in order.
        body_bytes: bytes received in DATA frames.
        opens_window: whether received data is acknowledged with WINDOW_UPDATE.
        requests: the complete requests, in order.
        resets: the streams that the client reset.
    """

    def __init__(self, wire: Wire, max_streams: int | None) -> None:
        self.started: list[int] = []
        self.body_bytes: int = 0
        self.opens_window: bool = True
        self.requests: list[StreamRequest] = []
        self.resets: list[int] = []
        self._bodies: dict[int, bytes] = {}
        self._unhandled: deque[h2.events.Event] = deque()
        self._heads: dict[int, dict[bytes, bytes]] = {}
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        if max_streams is None:
            del self._h2.local_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS]
        else:
            self._h2.local_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = max_streams
        self._h2.local_settings.acknowledge()
        self._wire = wire

    async def start(self, behind: bytes = b"") -> None:
        """Send the settings, at once with bytes in front of them."""
        self._h2.initiate_connection()
        await self._wire.send(behind + self._h2.data_to_send())

    async def receive(self, count: int) -> list[StreamRequest]:
        """Read until this connection has received ``count`` complete requests in total.

        Raises:
            EOFError: the client closed the connection first.
        """
        await self.read_until(lambda: len(self.requests) >= count)
        return self.requests[:count]

    async def read_until(self, condition: Callable[[], bool]) -> None:
        """Read until ``condition()`` is true; what arrives together with that is for the next call.

        Raises:
            EOFError: the client closed the connection first.
        """
        while not condition():
            if not self._unhandled:
                data = await self._wire.read(65536)
                if not data:
                    raise EOFError
                self._receive(self._h2.receive_data(data))
            if self._unhandled:
                self._handle(self._unhandled.popleft())
            await self._flush()

    async def answer(self, request: StreamRequest, body: bytes = b"ok") -> None:
        """Send a complete response, unless the client has reset the stream."""
        if request.stream_id in self.resets:
            return
        self._h2.send_headers(request.stream_id, [(":status", "200")])
        self._h2.send_data(request.stream_id, body, end_stream=True)
        await self._flush()

    async def answer_with_trailers(
        self, request: StreamRequest, body: bytes, *, content_length: int, status: int = 200
    ) -> None:
        """Send a complete response with a Content-Length, ended by trailers."""
        head = [(":status", str(status)), ("content-length", str(content_length))]
        self._h2.send_headers(request.stream_id, head)
        if body:
            self._h2.send_data(request.stream_id, body)
        self._h2.send_headers(request.stream_id, [("x-checksum", "1")], end_stream=True)
        await self._flush()

    async def start_answer(self, request: StreamRequest) -> None:
        """Send the headers and a part of the body."""
        if request.stream_id in self.resets:
            return
        self._h2.send_headers(request.stream_id, [(":status", "200")])
        self._h2.send_data(request.stream_id, b"part")
        await self._flush()

    async def answer_with_size(self, request: StreamRequest, size: int) -> None:
        """Send a complete response with a body of ``size`` bytes.

        Raises:
            h2.exceptions.FlowControlError: the client's window is too small for it.
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
        """Reset the stream with REFUSED_STREAM: the request wasn't processed."""
        if request.stream_id in self.resets:
            return
        self._h2.reset_stream(request.stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
        await self._flush()

    async def answer_early(self, request: StreamRequest, body: bytes, code: int) -> None:
        """Send a complete response, and reset the stream before the request is complete."""
        self._h2.send_headers(request.stream_id, [(":status", "413")])
        self._h2.send_data(request.stream_id, body, end_stream=True)
        self._h2.reset_stream(request.stream_id, code)
        await self._flush()

    async def refuse_early(self, request: StreamRequest, *, end: bool) -> None:
        """Send a refusal, or only its head, before the request is complete."""
        self._h2.send_headers(request.stream_id, [(":status", "413")], end_stream=end)
        await self._flush()

    async def abort_stream(self, request: StreamRequest) -> None:
        """Reset the stream with INTERNAL_ERROR."""
        self._h2.reset_stream(request.stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)
        await self._flush()

    async def go_away(self, last_stream_id: int, error_code: int = 0) -> None:
        """Send GOAWAY: no stream above ``last_stream_id`` was or will be processed."""
        frame = GoAwayFrame(0, last_stream_id=last_stream_id, error_code=error_code)
        await self._wire.send(frame.serialize())

    async def answer_and_go_away(self, request: StreamRequest) -> None:
        """Send a complete response and a GOAWAY in a single write."""
        self._h2.send_headers(request.stream_id, [(":status", "200")])
        self._h2.send_data(request.stream_id, b"ok", end_stream=True)
        goaway = GoAwayFrame(0, last_stream_id=request.stream_id).serialize()
        await self._wire.send(self._h2.data_to_send() + goaway)

    async def set_max_streams(self, max_streams: int) -> None:
        """Change the limit of concurrent streams (SETTINGS)."""
        self._h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: max_streams})
        await self._flush()

    async def open_window(self, *stream_ids: int, size: int = 1_000_000) -> None:
        """Increase the connection's window, and those of some streams, by ``size`` bytes."""
        for stream_id in (None, *stream_ids):
            self._h2.increment_flow_control_window(size, stream_id)
        await self._flush()

    async def send(self, *frames: bytes) -> None:
        """Send serialized frames."""
        await self._wire.send(b"".join(frames))

    async def answer_remaining(self) -> None:
        """Answer each further request until the client closes the connection."""
        answered = len(self.requests)
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                await self.receive(answered + 1)
                for request in self.requests[answered:]:
                    await self.answer(request)
                answered = len(self.requests)

    async def read_to_end(self) -> None:
        """Send nothing more, and record what arrives until the client closes the connection."""
        with contextlib.suppress(EOFError, ConnectionError):
            await self.receive(1_000_000)

    def _receive(self, events: list[h2.events.Event]) -> None:
        """Handle resets at once, after which nothing may be sent; keep the rest."""
        for event in events:
            if isinstance(event, h2.events.StreamReset):
                self._handle(event)
            else:
                self._unhandled.append(event)

    def _handle(self, event: h2.events.Event) -> None:
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
"""Serves one HTTP/2 connection, after the settings are sent."""


def h2_server(*scripts: Script, max_streams: int | None = 100, tls: bool = True) -> FaultServer:
    """Return a server whose first connection follows the first script, and so on.

    On connections without a script, every request is answered.

    Args:
        scripts: one for each connection.
        max_streams: its limit of concurrent streams; None to announce none.
        tls: negotiate HTTP/2 over TLS; otherwise the client needs prior knowledge.
    """
    remaining = list(scripts)

    async def handler(wire: Wire) -> None:
        h2_wire = H2Wire(wire, max_streams)
        script = remaining.pop(0) if remaining else H2Wire.answer_remaining
        await h2_wire.start()
        with contextlib.suppress(EOFError, h2.exceptions.ProtocolError):
            await script(h2_wire)

    typed_handler: Handler = handler
    return FaultServer(typed_handler, tls=_h2_server_context() if tls else None)
