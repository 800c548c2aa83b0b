"""Starts the server of ``http2.py``: nginx with one worker, or nghttpx in front of it.

Both speak HTTP/2 over TLS and in plain text (prior knowledge), with up to 1,000 streams on a
connection. Uploads are read to their end and stored by nginx.
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator

import trustme
from server import BODY

__all__ = ["MIB", "Server", "serving"]

MIB = 2**20

_START_TIMEOUT = 5.0
"""Seconds to wait for a server to listen."""


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        name: its name and version.
        urls: by whether it is over TLS, without a slash at the end. ``/small`` is a small JSON
            body, ``/large`` a large one, and ``/upload/1`` stores what is put there.
        authority: the certificate to trust, a PEM file.
        size: bytes of the large body.
    """

    name: str
    urls: dict[bool, str]
    authority: pathlib.Path
    size: int

    def context(self) -> ssl.SSLContext:
        """Return a context that trusts its certificate."""
        return ssl.create_default_context(cafile=self.authority)


@contextlib.contextmanager
def serving(size: int, *, through_nghttpx: bool) -> Iterator[Server]:
    """Start a server, and terminate it on exit.

    Args:
        size: bytes of the large body.
        through_nghttpx: put nghttpx in front of nginx; they then speak HTTP/1.1.
    """
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        pem, authority = _certificate(folder)
        _write_bodies(folder, size)
        ports = _free_ports(5)
        secure, plain, backend = ports[:3]
        config = folder / "nginx.conf"
        config.write_text(_NGINX.format(folder=folder, secure=secure, plain=plain, backend=backend))
        version = _started(stack, folder, plain, "nginx", "-p", name, "-c", str(config))
        if through_nghttpx:
            secure, plain = ports[3:]
            options = _nghttpx_options(secure, plain, backend, pem)
            version = _started(stack, folder, plain, "nghttpx", *options)
        urls = {True: f"https://127.0.0.1:{secure}", False: f"http://127.0.0.1:{plain}"}
        yield Server(version, urls, authority, size)


def _certificate(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    authority, pem = trustme.CA(), folder / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(pem)
    authority.cert_pem.write_to_path(folder / "authority.pem")
    return pem, folder / "authority.pem"


def _write_bodies(folder: pathlib.Path, size: int) -> None:
    (folder / "upload").mkdir()
    (folder / "large").write_bytes(bytes(size))
    for path in (folder, folder / "upload"):
        path.chmod(0o777)  # the worker runs as another user if this one is root


def _nghttpx_options(secure: int, plain: int, backend: int, pem: pathlib.Path) -> list[str]:
    return [
        f"--frontend=127.0.0.1,{secure}",
        f"--frontend=127.0.0.1,{plain};no-tls",
        f"--backend=127.0.0.1,{backend}",
        "--backend-connections-per-host=1000",
        "--frontend-http2-max-concurrent-streams=1000",
        "--single-process",
        "--workers=1",
        "--no-ocsp",
        "--conf=/dev/null",
        "--accesslog-file=/dev/null",
        str(pem),
        str(pem),
    ]


def _started(
    stack: contextlib.ExitStack, folder: pathlib.Path, port: int, name: str, *options: str
) -> str:
    """Start a program that ends with the stack, and wait for its port; return its version."""
    program = shutil.which(name, path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if program is None:
        raise SystemExit(f"{name} isn't installed, and no other server is supported")
    log = stack.enter_context((folder / f"{name}.log").open("w+"))
    process = subprocess.Popen([program, *options], stdout=log, stderr=log)  # noqa: S603 - from PATH
    stack.callback(process.wait)
    stack.callback(process.terminate)
    if not _listens(process, port):
        log.seek(0)
        raise SystemExit(f"{name} did not start: {log.read().strip()}")
    shown = subprocess.run(  # noqa: S603 - from PATH
        [program, "-v"], check=True, capture_output=True, text=True
    )
    return (shown.stdout or shown.stderr).strip().removeprefix("nginx version: ")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        listeners = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [int(listener.getsockname()[1]) for listener in listeners]


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the port accepts connections; False on timeout, or if the process exits."""
    end = time.monotonic() + _START_TIMEOUT
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        time.sleep(0.02)
    return False


_NGINX = """\
daemon off;
worker_processes 1;
pid "{folder}/nginx.pid";
error_log stderr;
events {{
    worker_connections 4096;
}}
http {{
    access_log off;
    default_type application/json;
    sendfile on;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
    http2_max_concurrent_streams 1000;
    client_max_body_size 0;
    client_body_buffer_size 1m;
    client_body_temp_path "{folder}/upload";
    proxy_temp_path "{folder}/upload";
    fastcgi_temp_path "{folder}/upload";
    uwsgi_temp_path "{folder}/upload";
    scgi_temp_path "{folder}/upload";
    ssl_certificate "{folder}/server.pem";
    ssl_certificate_key "{folder}/server.pem";
    server {{
        listen 127.0.0.1:{secure} ssl http2;
        listen 127.0.0.1:{plain} http2;
        listen 127.0.0.1:{backend};
        root "{folder}";
        location = /small {{
            return 200 '{body}';
        }}
        location /upload/ {{
            dav_methods PUT;
        }}
    }}
}}
""".replace("{body}", BODY.decode().replace("{", "{{").replace("}", "}}"))
