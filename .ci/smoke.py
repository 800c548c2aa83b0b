"""Uses an installed wheel with its required dependencies only, without any extra."""

import asyncio
import importlib.metadata
import importlib.util
import subprocess
import sys

import typed_async_client
from typed_async_client import EventType, create_async_resilient_client, simple_async_request
from typed_async_client.pool.connector import load_parser
from typed_async_client.testing import FaultServer, answer

EXTRAS = ("cyclopts", "pytest", "h2", "uvloop", "fastapi")


def check_contents() -> None:
    """Check that the wheel has the package, its type marker and its license, and no tests."""
    files = [str(file) for file in importlib.metadata.files("typed-async-client") or ()]
    assert "typed_async_client/py.typed" in files
    assert any(file.endswith("licenses/LICENSE") for file in files)
    assert not any(file.startswith(("tests", "benchmarks")) for file in files)
    assert "site-packages" in typed_async_client.__file__
    assert not [name for name in EXTRAS if importlib.util.find_spec(name)]


def check_command(command: str) -> None:
    """Check that the command, without its extra, prints one line with what to install."""
    completed = subprocess.run([command, "demo"], capture_output=True, text=True, check=False)
    assert completed.returncode == 1, completed
    assert "typed-async-client[cli]" in completed.stderr, completed
    assert completed.stderr.count("\n") == 1, completed


async def check_requests() -> None:
    """Check that requests are retried until the server listens, and that llhttp is the parser."""
    assert load_parser("auto") is load_parser("llhttp")
    async with FaultServer(answer(200, b"hello")) as server:
        assert (await simple_async_request("GET", server.url)).text == "hello"
    async with (
        FaultServer(answer(), refusing=True) as server_down,
        create_async_resilient_client(base_delay=0.05) as client,
    ):
        client.add_event_callback(EventType.RETRY, lambda _: server_down.open())
        response = await (await client.post(server_down.url, json={"a": 1}))
        assert response.status_code == 200
        assert [request.body for request in server_down.requests] == [b'{"a":1}']


if __name__ == "__main__":
    check_contents()
    check_command(sys.argv[1])
    asyncio.run(check_requests())
    sys.stdout.write("the wheel works without extras\n")
