"""The whole internet on 127.0.0.1: a forward proxy that answers for every host itself.

A client that uses it as its proxy reaches any ``https://`` address: the proxy accepts the CONNECT,
speaks TLS with a certificate issued on the fly for that host, and answers JSON by host and path.
It never opens a connection itself. It knows the addresses of the pages, not their examples.
"""

import http.server
import json
import os
import socket
import socketserver
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import trustme

__all__ = ["LocalInternet"]

_PAGES: Final[Mapping[str, Any]] = {
    "api.example.com/critical-data": {"value": 42},
    "external-api.test/data/42": {"id": "42"},
    "files.test/visits": {"stored": True},
    "hello.example.com/": {"message": "hello"},
    "mirror.test/file": {"size": 7},
    "orders.test/recent": [17, 18],
    "payments.test/charges": {"charged": True},
    "search.test/query": ["a", "b"],
    "stock.test/items": {"items": 12},
    "uploads.test/reports": {"stored": True},
    "users.test/7": {"id": 7, "name": "Ada"},
    "users.test/list": ["Ada", "Blaise"],
    "www.example.com/": {"welcome": "to the local internet"},
}
"""What each address answers, with status 200; every other address answers 404."""

_LINES: Final[Mapping[str, str]] = {
    "logs.test/today.ndjson": '{"message": "started"}\n{"message": "ready"}\n'
}
"""What each address answers in lines of JSON."""

_FEED: Final = "news.test/feed"
"""The address that answers with the event after the one with the ``Last-Event-ID``, then with 204."""

_EVENTS: Final = (
    "id: 1\ndata: it begins\n\n",
    "id: 2\nevent: update\ndata: it goes on\n\n",
    "id: 3\ndata: it ends\n\n",
)

_STATUSES: Final[Mapping[str, int]] = {
    "external-api.test/data/busy": 503,
    "files.test/full": 503,
}
"""Addresses that answer with another status."""

_AT_FIRST: Final[Mapping[str, tuple[int, int, str]]] = {
    "files.test/visits": (1, 503, ""),
    "payments.test/charges": (1, 503, ""),
    "search.test/query": (1, 429, "1"),
    "stock.test/items": (2, 503, ""),
}
"""How many requests an address answers with another status at first, and with which Retry-After."""

_ECHOES: Final = "echo.test/headers"
"""The address that answers with the headers of the request whose names begin with X-."""

_CUT_FILE: Final = "files.test/backup"
"""The address of a file that is cut off once, and whose rest can be asked for."""

_SILENT: Final = frozenset({"external-api.test/data/slow", "reports.test/slow"})
"""Addresses that read the request and never answer."""

_SILENT_AT_FIRST: Final = frozenset({"mirror.test/file"})
"""Addresses that never answer the first request, and all others."""

_CUT_HANDSHAKES: Final[Mapping[str, float]] = {
    "api.example.com": 2,
    "notifications.test": float("inf"),
    "orders.test": 1,
}
"""How many TLS handshakes a host resets before it lets one succeed: real connect failures."""

_TLS_VARIABLES: Final = {"SSL_CERT_DIR", "SSL_CERT_FILE", "SSLKEYLOGFILE"}


class LocalInternet(socketserver.ThreadingTCPServer):
    """The proxy, on a free port. Use it in ``with``; each one starts with all of its faults.

    Args:
        authority: issues the certificates.

    Attributes:
        requests: how many requests were read, by address.
    """

    allow_reuse_address = True

    def __init__(self, authority: trustme.CA) -> None:
        super().__init__(("127.0.0.1", 0), _Visit)
        self.authority = authority
        self.requests: Counter[str] = Counter()
        self._handshakes: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    def environment(self, authority_file: Path) -> dict[str, str]:
        """Return the environment of a process that sees this internet and no other."""
        proxy = f"http://127.0.0.1:{self.server_address[1]}"
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.lower().endswith("_proxy") and name not in _TLS_VARIABLES
        }
        return kept | {
            "HTTP_PROXY": proxy,
            "HTTPS_PROXY": proxy,
            "NO_PROXY": "127.0.0.1",  # the servers that examples start themselves
            "SSL_CERT_FILE": str(authority_file),
        }

    def accepts_handshake(self, host: str) -> bool:
        """Count one more TLS handshake with a host, and return whether it may succeed."""
        with self._lock:
            self._handshakes[host] += 1
            return self._handshakes[host] > _CUT_HANDSHAKES.get(host, 0)

    def count_request(self, address: str) -> int:
        """Count one more request, and return how many there were."""
        with self._lock:
            self.requests[address] += 1
            return self.requests[address]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Visit(http.server.BaseHTTPRequestHandler):
    """One connection to the proxy: a CONNECT, then TLS and HTTP as the host it names."""

    protocol_version = "HTTP/1.1"
    server: LocalInternet
    connection: socket.socket

    def setup(self) -> None:
        super().setup()
        self._host = ""

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, ssl.SSLError):  # the client may hang up at any time
            self.close_connection = True

    def do_CONNECT(self) -> None:
        """Become the host that the client asks for, or cut its TLS handshake."""
        self._host = self.path.rpartition(":")[0]
        self.send_response(200)
        self.end_headers()
        if self.server.accepts_handshake(self._host):
            self._speak_tls()
        else:
            self._reset_handshake()

    def do_GET(self) -> None:
        """Answer as the host would."""
        address = self._host + self.path.removeprefix("http://")
        number = self.server.count_request(address)
        failures, status, wait = _AT_FIRST.get(address, (0, 0, ""))
        if address in _SILENT or (address in _SILENT_AT_FIRST and number == 1):
            self.connection.recv(1)  # returns when the client hangs up
            self.close_connection = True
        elif number <= failures:
            self._answer(status, {"error": "try again later"}, wait)
        elif address == _CUT_FILE:
            self._send_file(bytes(100_000), cut_at=60_000 if number == 1 else None)
        elif address == _ECHOES:
            names = [name for name in self.headers if name.lower().startswith("x-")]
            self._answer(200, {name: self.headers[name] for name in names})
        elif address in _LINES:
            self._answer_text("application/x-ndjson", _LINES[address])
        elif address == _FEED:
            self._answer_event(int(self.headers.get("Last-Event-ID", 0)))
        elif address in _PAGES:
            self._answer(200, _PAGES[address])
        elif address in _STATUSES:
            self._answer(_STATUSES[address], {"error": "try again later"})
        else:
            self._answer(404, {"error": "not found"})

    def do_POST(self) -> None:
        """Read the body, and answer as to a GET."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        size = int("Transfer-Encoding" in self.headers)
        while size:
            size = int(self.rfile.readline(), 16)
            self.rfile.read(size + 2)
        self.do_GET()

    def do_PUT(self) -> None:
        """Do the same."""
        self.do_POST()

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Keep quiet."""

    def _speak_tls(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.authority.issue_cert(self._host).configure_cert(context)
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb")
        self.close_connection = False

    def _reset_handshake(self) -> None:
        self.connection.recv(1)  # the client sends this once it has read our 200
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _answer_event(self, last: int) -> None:
        if last < len(_EVENTS):
            self._answer_text("text/event-stream", _EVENTS[last])
        else:
            self.send_response(204)
            self.end_headers()

    def _send_file(self, content: bytes, cut_at: int | None) -> None:
        """Send a file, or the rest of it, and close the connection where it is to be cut."""
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.send_response(206 if start else 200)
        self.send_header("ETag", '"v1"')
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            place = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", place)
        self.end_headers()
        self.wfile.write(content[start:cut_at])
        self.wfile.flush()
        self.close_connection = cut_at is not None

    def _answer(self, status: int, page: object, retry_after: str = "") -> None:
        self._answer_text("application/json", json.dumps(page), status, retry_after)

    def _answer_text(self, kind: str, text: str, status: int = 200, retry_after: str = "") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
