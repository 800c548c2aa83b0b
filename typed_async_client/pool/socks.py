"""Reaches origins through a SOCKS5 proxy, RFC 1928 and RFC 1929, with the messages of socksio.

The only module that imports socksio, the extra ``socks``. Each answer is read to its last byte and no
further, whatever pieces it arrives in: what follows belongs to the origin.
"""

import logging
from typing import Any

import httpcore

try:
    from socksio import (
        ProtocolError,
        SOCKS5AuthMethod,
        SOCKS5AuthMethodsRequest,
        SOCKS5Command,
        SOCKS5CommandRequest,
        SOCKS5Connection,
        SOCKS5ReplyCode,
        SOCKS5UsernamePasswordRequest,
    )
except ImportError as _missing:
    raise ImportError(
        "a SOCKS proxy needs an extra: pip install 'typed-async-client[socks]'"
    ) from _missing

from typed_async_client.hosts import without_zone
from typed_async_client.pool.handshake import HandshakeStream
from typed_async_client.pool.opening import Hop, Opening, Prepare, is_secure
from typed_async_client.wire.trace import SOCKS_LOGGER, Trace

__all__ = ["SocksDialer"]

_VERSION = 5
_LONGEST = 255
"""Most bytes of a name, whose length is sent in one byte."""

_METHODS = {
    b"\x00": "NO AUTHENTICATION REQUIRED",
    b"\x01": "GSSAPI",
    b"\x02": "USERNAME/PASSWORD",
    b"\xff": "NO ACCEPTABLE METHODS",
}
"""RFC 1928 section 3."""

_REPLIES = {
    1: "General SOCKS server failure",
    2: "Connection not allowed by ruleset",
    3: "Network unreachable",
    4: "Host unreachable",
    5: "Connection refused",
    6: "TTL expired",
    7: "Command not supported",
    8: "Address type not supported",
}
"""RFC 1928 section 6."""

_REPLY_HEAD = 5
"""Bytes of a reply that show how long it is: up to the first byte of its address."""

_SIZES = {1: 10, 4: 22}
"""Bytes of a reply with an IPv4 and an IPv6 address, by its address type."""

_NAME, _SIZE_AROUND_NAME = 3, 7

_REDACTED = b"REDACTED"


class SocksDialer:
    """Reaches an origin through a SOCKS5 proxy, which resolves its name.

    Args:
        origin: the origin.
        proxy: the proxy.
    """

    logger: logging.Logger | None = None
    prepare: Prepare | None = None

    def __init__(self, origin: httpcore.Origin, proxy: httpcore.Proxy) -> None:
        self.origin: httpcore.Origin = origin
        self._proxy = proxy

    async def dial(self, opening: Opening) -> Any:
        """Connect to the proxy, ask it for the origin, and start TLS if the origin needs that.

        Raises:
            httpcore.ProxyError: the proxy refused, or doesn't speak SOCKS5.
            httpcore.ConnectTimeout: all that took longer than the connect timeout.
        """
        hop = Hop(origin=self._proxy.url.origin, is_socks=True)
        stream = await opening.reach(hop, SOCKS_LOGGER)
        await self._report_handshake(opening, stream)
        if is_secure(self.origin):
            return await opening.secure(stream, self.origin, SOCKS_LOGGER)
        return stream

    async def _report_handshake(self, opening: Opening, stream: Any) -> None:
        host, port = without_zone(self.origin.host.decode("ascii")), self.origin.port
        auth = self._proxy.auth
        reported = None if auth is None else (_REDACTED, _REDACTED)
        details = {"stream": stream, "host": host, "port": port, "auth": reported}
        name, request = "setup_socks5_connection", opening.request
        async with Trace(name, SOCKS_LOGGER, request, details) as report:
            await _shake_hands_in_time(opening, HandshakeStream(stream), host, port, auth)
            report.return_value = stream


async def _shake_hands_in_time(
    opening: Opening,
    stream: HandshakeStream,
    host: str,
    port: int,
    auth: tuple[bytes, bytes] | None,
) -> None:
    try:
        async with opening.deadline.limit():
            await _shake_hands(stream, host, port, auth)
    except TimeoutError as error:
        raise httpcore.ConnectTimeout("timed out during the SOCKS handshake") from error
    except ProtocolError as error:
        raise httpcore.ProxyError(f"no valid answer of a SOCKS proxy: {error}") from error


async def _shake_hands(
    stream: HandshakeStream, host: str, port: int, auth: tuple[bytes, bytes] | None
) -> None:
    """Ask the proxy for a connection to a host.

    Raises:
        httpcore.ProxyError: the proxy refused, or closed the connection.
        socksio.ProtocolError: its answer isn't one of SOCKS5.
    """
    if len(host) > _LONGEST:
        raise httpcore.ProxyError(f"a SOCKS proxy takes host names of at most {_LONGEST} bytes")
    socks = SOCKS5Connection()
    await _authenticate(stream, socks, auth)
    command = SOCKS5CommandRequest.from_address(SOCKS5Command.CONNECT, (host, port))
    reply = await _ask(stream, socks, command, _receive_reply)
    if reply.reply_code != SOCKS5ReplyCode.SUCCEEDED:
        raise httpcore.ProxyError(f"the proxy could not connect: {_REPLIES[reply.reply_code[0]]}")


async def _authenticate(
    stream: HandshakeStream, socks: Any, auth: tuple[bytes, bytes] | None
) -> None:
    wanted = (
        SOCKS5AuthMethod.NO_AUTH_REQUIRED if auth is None else SOCKS5AuthMethod.USERNAME_PASSWORD
    )
    reply = await _ask(stream, socks, SOCKS5AuthMethodsRequest([wanted]), _receive_method)
    if reply.method != wanted:
        raise httpcore.ProxyError(
            f"requested {_METHODS[wanted]} from the proxy, but got {_METHODS[reply.method]}"
        )
    if auth is not None:
        credentials = SOCKS5UsernamePasswordRequest(*auth)
        reply = await _ask(stream, socks, credentials, _receive_short)
        if not reply.success:
            raise httpcore.ProxyError("Invalid username/password")


async def _ask(stream: HandshakeStream, socks: Any, message: Any, receive: Any) -> Any:
    """Send a message, and return the answer."""
    socks.send(message)
    await stream.write(socks.data_to_send())
    return socks.receive_data(await receive(stream))


async def _receive_method(stream: HandshakeStream) -> bytes:
    data = await _receive_short(stream)
    if data[0] != _VERSION:
        raise ProtocolError("Malformed reply")
    return data


async def _receive_short(stream: HandshakeStream) -> bytes:
    """Read an answer of two bytes, and any byte behind it, which makes it malformed."""
    return await _read(stream, b"", 2, extra=1)


async def _receive_reply(stream: HandshakeStream) -> bytes:
    """Read the answer to a command.

    Raises:
        socksio.ProtocolError: its end can't be told.
        httpcore.ProxyError: its code isn't one of RFC 1928, which socksio would call malformed.
    """
    data = await _read(stream, b"", _REPLY_HEAD)
    version, code, _, kind, first = data
    if version != _VERSION or (kind not in _SIZES and kind != _NAME):
        raise ProtocolError("Malformed reply")
    if code and code not in _REPLIES:
        raise httpcore.ProxyError(f"the proxy could not connect: code {code}")
    return await _read(stream, data, _SIZES.get(kind, _SIZE_AROUND_NAME + first))


async def _read(stream: HandshakeStream, data: bytes, size: int, extra: int = 0) -> bytes:
    """Read on until there are ``size`` bytes, and up to ``extra`` more if they have arrived."""
    while len(data) < size:
        part = await stream.read(size + extra - len(data))
        if not part:
            raise httpcore.ProxyError("the proxy closed the connection")
        data += part
    return data
