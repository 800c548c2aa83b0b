"""A TLS context with ALPN protocols of its own, on top of one that the caller may share.

A context has one list of protocols for all its handshakes, and Python can't copy a context. So the list
is replaced only while the TLS object of a handshake is created, which copies it, and then restored.
Python can't read the list of a context either, but the first message of a handshake contains it.
"""

import contextlib
import ssl
import threading
from typing import Any, Self

__all__ = ["OwnAlpnContext", "offered_protocols"]

_lock = threading.Lock()
"""Held while the list of a shared context is replaced."""

_ALPN = 16
"""The extension, RFC 7301 section 3.1."""


class OwnAlpnContext(ssl.SSLContext):
    """Makes the TLS objects of another context, with ALPN protocols of its own.

    Only ``set_alpn_protocols`` and ``wrap_bio`` are meant to be used; everything else is up to the
    other context, which the TLS objects refer to as their ``context``.

    Args:
        shared: the other context; no call leaves it changed.
        server_name: the server to ask for, and to verify, in place of the one that a caller names.
    """

    _protocols: list[str]
    _server_name: str
    _shared: ssl.SSLContext

    def __new__(cls, shared: ssl.SSLContext, server_name: str = "") -> Self:
        """Create a context that verifies nothing itself."""
        self = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        self._protocols = []
        self._server_name = server_name
        self._shared = shared
        return self

    def for_server(self, name: str) -> Self:
        """Return a context that asks for a server, and verifies it, whatever its caller names."""
        return type(self)(self._shared, name)

    def __repr__(self) -> str:
        return repr(self._shared)

    def set_alpn_protocols(self, alpn_protocols: Any) -> None:
        """Set the protocols of later TLS objects, the preferred one first."""
        self._protocols = list(alpn_protocols)

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """Create a TLS object of the other context, with the protocols of this one."""
        if self._server_name:
            options["server_hostname"] = self._server_name
        with _lock:
            theirs = offered_protocols(self._shared)
            self._shared.set_alpn_protocols(self._protocols)
            try:
                return self._shared.wrap_bio(*args, **options)
            finally:
                with contextlib.suppress(MemoryError):  # OpenSSL 1.1.1 has no way to offer nothing
                    self._shared.set_alpn_protocols(theirs)


def offered_protocols(context: ssl.SSLContext) -> list[str]:
    """Return the ALPN protocols that a client's handshake would offer; empty if none."""
    sent = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="a.test")
    with contextlib.suppress(ssl.SSLError):  # there is no server to answer
        tls.do_handshake()
    return _protocols_of(sent.read())


def _protocols_of(hello: bytes) -> list[str]:
    """Parse a ClientHello, RFC 8446 section 4.1.2, in one record of TLS."""
    position = 5 + 4 + 2 + 32  # the headers of the record and of the message, version, random
    for size in (1, 2, 1):  # session, cipher suites, compression methods
        position += size + _number(hello, position, size)
    position += 2
    while position < len(hello):
        kind, length = _number(hello, position, 2), _number(hello, position + 2, 2)
        position += 4
        if kind == _ALPN:
            return _names(hello[position + 2 : position + length])
        position += length
    return []


def _number(data: bytes, position: int, size: int) -> int:
    return int.from_bytes(data[position : position + size], "big")


def _names(data: bytes) -> list[str]:
    """Parse names, each preceded by its length in one byte."""
    names: list[str] = []
    while data:
        end = 1 + data[0]
        names.append(data[1:end].decode("ascii"))
        data = data[end:]
    return names
