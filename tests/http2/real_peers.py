"""Real servers on loopback, each a process of its own: hypercorn, nginx and nghttpx.

nginx and nghttpx pass requests on to hypercorn over HTTP/1.1, so all three serve ``peer_app``.
"""

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import trustme
from peer_app import LIMIT

from typed_async_client import AsyncPoolTransport

__all__ = ["PEERS", "Peer", "Peers", "running_peers"]

PEERS: Final = ("hypercorn", "nginx", "nghttpx")
"""The peers that serve the whole application."""

_NGINX_KINDS: Final = {
    "nginx": "keepalive_requests 1000000;",
    "narrow": "keepalive_requests 1000000; http2_max_concurrent_streams 2;",
    "brief": "keepalive_requests 50;",
    "impatient": "keepalive_timeout 20ms;",
}
"""What distinguishes the servers of nginx: all, two streams, 50 requests, closing when idle."""

_READY_AFTER: Final = 30.0
"""Seconds after which a server that accepts no connection is taken for a broken one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Peer:
    """One server, over TLS or in plain text.

    Attributes:
        url: its URL, with a slash at the end.
        context: trusts its certificate; None without TLS.
    """

    url: str
    context: ssl.SSLContext | None

    def transport(self, **options: Any) -> AsyncPoolTransport:
        """Create a transport that speaks HTTP/2 with it."""
        if self.context is None:
            return AsyncPoolTransport(http1=False, http2=True, **options)
        return AsyncPoolTransport(http2=True, verify=self.context, **options)


class Ports:
    """Listening ports, two for each name: TLS, and plain text.

    Each is held by a socket of this process that doesn't listen. So no other process is given the
    port, and a server that sets SO_REUSEADDR, as they all do, can listen on it (on Linux).
    """

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._held = {
            (name, secure): stack.enter_context(self._hold())
            for name in (*PEERS, *_NGINX_KINDS)
            for secure in (True, False)
        }

    @staticmethod
    def _hold() -> socket.socket:
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        return held

    def socket(self, name: str, *, secure: bool) -> socket.socket:
        """Return the socket that holds a port."""
        return self._held[name, secure]

    def number(self, name: str, *, secure: bool) -> int:
        """Return a port."""
        return int(self._held[name, secure].getsockname()[1])


class Peers:
    """The servers that are running.

    Attributes:
        missing: the programs that aren't installed.
        nginx: the process of nginx, if it is installed.
    """

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.missing: set[str] = set()
        self.nginx: subprocess.Popen[bytes] | None = None
        self._folder = folder
        self._stack = stack
        self._ports = Ports(stack)
        self._pem, self._key = folder / "certificate.pem", folder / "key.pem"
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        certificate.private_key_and_cert_chain_pem.write_to_path(self._pem)
        certificate.private_key_pem.write_to_path(self._key)
        pem = authority.cert_pem.bytes().decode()
        self._context = ssl.create_default_context(cadata=pem)

    def peer(self, name: str, *, secure: bool) -> Peer:
        """Return a peer; skip the test if its program isn't installed."""
        program = "nginx" if name in _NGINX_KINDS else name
        if program in self.missing:
            pytest.skip(f"{program} isn't installed")
        scheme = "https" if secure else "http"
        url = f"{scheme}://127.0.0.1:{self._ports.number(name, secure=secure)}/"
        return Peer(url, self._context if secure else None)

    def start(self) -> None:
        """Start all that are installed, and wait until they accept connections."""
        started: dict[str, tuple[subprocess.Popen[bytes], tuple[str, ...]]] = {
            "hypercorn": (self._start_hypercorn(), ("hypercorn",))
        }
        for name, start in (("nginx", self._start_nginx), ("nghttpx", self._start_nghttpx)):
            program = shutil.which(name, path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
            if program is None:
                self.missing.add(name)
            else:
                names = tuple(_NGINX_KINDS) if name == "nginx" else (name,)
                started[name] = start(program), names
        if "nginx" in started:
            self.nginx = started["nginx"][0]
        for process, names in started.values():
            for name in names:
                for secure in (True, False):
                    _wait_until_listening(process, self._ports.number(name, secure=secure))

    def _run(self, name: str, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        log = self._stack.enter_context((self._folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(command, stdout=log, stderr=log, **options)
        self._stack.callback(_stop, process)
        return process

    def _start_hypercorn(self) -> subprocess.Popen[bytes]:
        listeners = [self._ports.socket("hypercorn", secure=secure) for secure in (True, False)]
        for listener in listeners:
            listener.listen(2048)
        files = [listener.fileno() for listener in listeners]
        script = str(Path(__file__).with_name("peer_app.py"))
        command = [sys.executable, script, *map(str, files), str(self._pem), str(self._key)]
        return self._run("hypercorn", *command, pass_fds=files)

    def _start_nginx(self, program: str) -> subprocess.Popen[bytes]:
        config = self._folder / "nginx.conf"
        config.write_text(self._nginx_config())
        return self._run("nginx", program, "-p", str(self._folder), "-c", str(config))

    def _nginx_config(self) -> str:
        temporary = "\n".join(
            f'{kind}_temp_path "{self._folder}";'
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        servers = "\n".join(self._nginx_server(name) for name in _NGINX_KINDS)
        return _NGINX.format(
            folder=self._folder,
            temporary=temporary,
            backend=self._ports.number("hypercorn", secure=False),
            certificate=self._pem,
            key=self._key,
            servers=servers,
        )

    def _nginx_server(self, name: str) -> str:
        return _NGINX_SERVER.format(
            secure=self._ports.number(name, secure=True),
            plain=self._ports.number(name, secure=False),
            directives=_NGINX_KINDS[name],
            limit=LIMIT,
        )

    def _start_nghttpx(self, program: str) -> subprocess.Popen[bytes]:
        secure, plain = (self._ports.number("nghttpx", secure=each) for each in (True, False))
        backend = self._ports.number("hypercorn", secure=False)
        options = (
            f"--frontend=127.0.0.1,{secure}",
            f"--frontend=127.0.0.1,{plain};no-tls",
            f"--backend=127.0.0.1,{backend}",
            # Only over HTTP/2 does hypercorn send interim responses and trailers.
            f"--backend=127.0.0.1,{backend};/hints:/trailers;proto=h2",
            "--single-process",
            "--workers=1",
            "--no-ocsp",
            "--conf=/dev/null",
            "--errorlog-file=/dev/stderr",
            "--accesslog-file=/dev/null",
        )
        return self._run("nghttpx", program, *options, str(self._key), str(self._pem))


@contextlib.contextmanager
def running_peers(folder: Path) -> Iterator[Peers]:
    """Run the peers that are installed; skip the tests on other systems than Linux.

    Args:
        folder: where they keep their files.
    """
    if sys.platform != "linux":
        pytest.skip("the ports are shared with the servers as Linux allows it")
    with contextlib.ExitStack() as stack:
        peers = Peers(folder, stack)
        peers.start()
        yield peers


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    give_up = time.monotonic() + _READY_AFTER
    while process.poll() is None and time.monotonic() < give_up:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.01)
    raise RuntimeError(f"{process.args!r} doesn't listen on port {port}")


_NGINX: Final = """\
daemon off;
worker_processes 1;
pid "{folder}/nginx.pid";
error_log stderr error;
events {{
    worker_connections 2048;
}}
http {{
    access_log off;
    {temporary}
    ssl_certificate "{certificate}";
    ssl_certificate_key "{key}";
    client_max_body_size 0;
    proxy_buffering off;
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    add_header X-Worker $pid;
    upstream backend {{
        server 127.0.0.1:{backend};
        keepalive 512;
        keepalive_requests 1000000;
        keepalive_timeout 1h;
    }}
    {servers}
}}
"""

_NGINX_SERVER: Final = """
    server {{
        listen 127.0.0.1:{secure} ssl http2 backlog=2048;
        listen 127.0.0.1:{plain} http2 backlog=2048;
        {directives}
        location / {{
            proxy_pass http://backend;
        }}
        location /limited {{
            client_max_body_size {limit};
            proxy_pass http://backend;
        }}
        location /trailers {{
            add_trailer X-Checksum 1 always;
            proxy_pass http://backend;
        }}
    }}
"""
