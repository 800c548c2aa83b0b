"""A real ``redis-server`` on a free port, which can be stopped, suspended and started again."""

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

import pytest
import redis

__all__ = ["RedisServer", "running_redis"]

_READY_AFTER = 30.0
"""Seconds after which a server that doesn't answer is taken for a broken one."""


class RedisServer:
    """A server that keeps nothing on disk."""

    def __init__(self, folder: str, port: int) -> None:
        self.port = port
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> bool:
        """Start it and wait until it answers; return whether the port was free."""
        arguments = {"--port": str(self.port), "--bind": "127.0.0.1", "--dir": self._folder}
        keep_nothing = ["--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            ["redis-server", *(word for pair in arguments.items() for word in pair), *keep_nothing],
            stdout=subprocess.DEVNULL,
        )
        give_up = time.monotonic() + _READY_AFTER
        while self._process.poll() is None and time.monotonic() < give_up:
            with contextlib.suppress(redis.ConnectionError), self.client() as client:
                return bool(client.ping())
            time.sleep(0.01)
        return False

    def stop(self) -> None:
        """Kill it, with all that it holds."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def suspend(self) -> None:
        """Let it accept connections, as the kernel does for it, and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        """Return a client, to look at the keys."""
        return redis.Redis(port=self.port)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_redis() -> Iterator[RedisServer]:
    """Run a server for a test; skip the test where none is installed."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server isn't installed")
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(folder, _free_port())
        while not server.start():
            server.stop()
            server.port = _free_port()
        try:
            yield server
        finally:
            server.resume()
            server.stop()
