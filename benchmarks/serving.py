"""Starts the server for the comparison, in a separate process on 127.0.0.1.

It is nginx with one worker if nginx is installed, otherwise ``server.py``.
"""

import contextlib
import dataclasses
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from server import BODY

__all__ = ["Server", "nginx_config", "serving"]

HERE = pathlib.Path(__file__).parent
START_TIMEOUT = 5.0
"""Seconds to wait for nginx to listen."""


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        url: the URL to request; the body of the response is ``server.BODY``.
        name: name and version of the server.
    """

    url: str
    name: str


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Start a server, and terminate it on exit."""
    nginx = shutil.which("nginx")
    with _asyncio_server() if nginx is None else _nginx(nginx) as server:
        yield server


def nginx_config(folder: pathlib.Path, port: int) -> str:
    """Return a configuration with one worker that answers every request with the same body.

    All files that nginx writes are in ``folder``. The number of requests per connection isn't
    limited in practice.
    """
    temporary = "\n".join(
        f'    {kind}_temp_path "{folder}";'
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
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
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
{temporary}
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        location / {{
            return 200 '{BODY.decode()}';
        }}
    }}
}}
"""


@contextlib.contextmanager
def _asyncio_server() -> Iterator[Server]:
    process = subprocess.Popen(  # noqa: S603 - our own file
        [sys.executable, str(HERE / "server.py")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    with _terminated(process):
        yield _server_at(int(process.stdout.readline()), "a minimal asyncio server")


@contextlib.contextmanager
def _nginx(program: str) -> Iterator[Server]:
    shown = subprocess.run(  # noqa: S603 - from PATH
        [program, "-v"], check=True, capture_output=True, text=True
    )
    version = shown.stderr.strip().rpartition("/")[2]
    with tempfile.TemporaryDirectory() as name:
        folder, port = pathlib.Path(name), _free_port()
        config, log = folder / "nginx.conf", folder / "log"
        config.write_text(nginx_config(folder, port))
        with log.open("w") as stderr:
            process = subprocess.Popen(  # noqa: S603 - from PATH, with our own file
                [program, "-p", str(folder), "-c", str(config)], stderr=stderr
            )
        with _terminated(process):
            if not _listens(process, port):
                raise RuntimeError(f"nginx did not start: {log.read_text().strip()}")
            yield _server_at(port, f"nginx {version} with one worker")


@contextlib.contextmanager
def _terminated(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _server_at(port: int, name: str) -> Server:
    return Server(f"http://127.0.0.1:{port}/items/1", name)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the port accepts connections; False on timeout, or if the process exits."""
    end = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        time.sleep(0.02)
    return False
