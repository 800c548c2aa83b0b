"""Starts the server that all contestants ask, as a process of its own on 127.0.0.1.

It is nginx with one worker where nginx is installed, and ``server.py`` elsewhere. It knows nothing
of who asks.
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
PATIENCE = 5.0
"""Seconds that nginx may take to listen."""


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """A server that is up.

    Attributes:
        url: what to ask for; the answer is ``server.BODY``.
        name: which server it is, with its version.
    """

    url: str
    name: str


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Start a server, give it, and end it."""
    nginx = shutil.which("nginx")
    with _own_server() if nginx is None else _nginx(nginx) as server:
        yield server


def nginx_config(folder: pathlib.Path, port: int) -> str:
    """Give the configuration of one worker that answers every request with the same body.

    Everything that nginx writes goes to the folder, and a connection is never closed by the number
    of its requests.
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
def _own_server() -> Iterator[Server]:
    process = subprocess.Popen(  # noqa: S603 - our own file
        [sys.executable, str(HERE / "server.py")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None  # noqa: S101 - it was asked for
    with _ended(process):
        yield _server_at(int(process.stdout.readline()), "its own server on asyncio")


@contextlib.contextmanager
def _nginx(program: str) -> Iterator[Server]:
    told = subprocess.run(  # noqa: S603 - found by its name
        [program, "-v"], check=True, capture_output=True, text=True
    )
    version = told.stderr.strip().rpartition("/")[2]
    with tempfile.TemporaryDirectory() as name:
        folder, port = pathlib.Path(name), _free_port()
        config, log = folder / "nginx.conf", folder / "log"
        config.write_text(nginx_config(folder, port))
        with log.open("w") as stderr:
            process = subprocess.Popen(  # noqa: S603 - found by its name, with our own file
                [program, "-p", str(folder), "-c", str(config)], stderr=stderr
            )
        with _ended(process):
            if not _listens(process, port):
                raise RuntimeError(f"nginx did not start: {log.read_text().strip()}")
            yield _server_at(port, f"nginx {version} with one worker")


@contextlib.contextmanager
def _ended(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> Iterator[None]:
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
    """Tell whether somebody listens before the patience or the process ends."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        time.sleep(0.02)
    return False
