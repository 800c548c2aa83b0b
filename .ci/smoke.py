"""Uses an installed wheel as a newcomer would, with nothing but what the wheel asks for."""

import asyncio
import importlib.metadata
import importlib.util
import subprocess
import sys

import typed_async_client
from typed_async_client import EventType, create_async_resilient_client, simple_async_request
from typed_async_client.pool.connector import load_exchange
from typed_async_client.testing import FaultServer, answer

EXTRAS = ("cyclopts", "pytest", "h2", "uvloop", "fastapi")


def check_contents() -> None:
    """The wheel has the package, its type marker and its license, and no tests."""
    files = [str(file) for file in importlib.metadata.files("typed-async-client") or ()]
    assert "typed_async_client/py.typed" in files
    assert any(file.endswith("licenses/LICENSE") for file in files)
    assert not any(file.startswith(("tests", "benchmarks")) for file in files)
    assert "site-packages" in typed_async_client.__file__
    assert not [name for name in EXTRAS if importlib.util.find_spec(name)]


def check_command(command: str) -> None:
    """Without its extra, the command says in one line what to install."""
    done = subprocess.run([command, "demo"], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done
    assert "typed-async-client[cli]" in done.stderr, done
    assert done.stderr.count("\n") == 1, done


async def check_requests() -> None:
    """A request is retried until its server listens, and ends once; llhttp is the parser."""
    assert load_exchange("auto") is load_exchange("llhttp")
    async with FaultServer(answer(200, b"hello")) as server:
        assert (await simple_async_request("GET", server.url)).text == "hello"
    async with (
        FaultServer(answer(), refusing=True) as late,
        create_async_resilient_client(base_delay=0.05) as client,
    ):
        client.add_event_callback(EventType.RETRY, lambda _: late.open())
        response = await (await client.post(late.url, json={"a": 1}))
        assert response.status_code == 200
        assert [seen.body for seen in late.requests] == [b'{"a":1}']


if __name__ == "__main__":
    check_contents()
    check_command(sys.argv[1])
    asyncio.run(check_requests())
    sys.stdout.write("the wheel works without extras\n")
