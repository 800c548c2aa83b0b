"""Clients that are dropped when their event loop is closed, or doesn't run, or with the interpreter."""

import asyncio
import gc
import os
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest
import uvloop
from leak_checks import open_sockets
from thread_server import thread_server

from typed_async_client import AsyncPoolTransport, AsyncResilientClient

Run = Callable[[Coroutine[Any, Any, None]], None]


def run_without_cleanup(main: Coroutine[Any, Any, None]) -> None:
    """Run a loop, and close it without cancelling its tasks."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main)
    loop.close()


@pytest.mark.parametrize("run", [asyncio.run, run_without_cleanup])
def test_a_client_that_outlives_its_loop_closes_its_sockets(run: Run) -> None:
    """Nothing is left that asyncio would warn about."""
    with thread_server() as url:
        sockets = open_sockets()
        clients: list[Any] = []

        async def main() -> None:
            clients.append(AsyncResilientClient(trust_env=False))
            clients.append(httpx.AsyncClient(transport=AsyncPoolTransport()))
            for client in clients:
                assert (await client.request("GET", url)).status_code == 200
            del client

        run(main())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            clients.clear()
            gc.collect()
        named = sorted(str(one.message).split()[1] for one in caught)
        assert named == ["<AsyncPoolTransport", "<AsyncResilientClient"]
        assert len(open_sockets() - sockets) <= 2, "the server hasn't closed its end yet"


def test_a_client_of_a_loop_that_pauses_closes_its_sockets() -> None:
    """And the loop can go on afterwards."""
    with thread_server() as url:
        loop = asyncio.new_event_loop()
        client = AsyncResilientClient(trust_env=False)
        loop.run_until_complete(client.request("GET", url))
        with pytest.warns(ResourceWarning, match="unclosed <AsyncResilientClient"):
            del client
        other = AsyncResilientClient(trust_env=False)
        loop.run_until_complete(other.request("GET", url))
        loop.run_until_complete(other.close())
        loop.close()
        gc.collect()


def test_on_uvloop_connections_are_closed_while_it_runs() -> None:
    """If the loop is closed before, uvloop itself closes them, and warns."""
    with thread_server() as url:

        async def main() -> None:
            client = AsyncResilientClient(trust_env=False)
            assert (await client.request("GET", url)).status_code == 200
            sockets = open_sockets()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                del client
                gc.collect()
                await asyncio.sleep(0.01)
            assert len(caught) == 1
            assert open_sockets() < sockets

        uvloop.run(main())


def test_the_warning_says_where_the_client_was_made() -> None:
    """With tracemalloc, as for files."""
    with thread_server() as url:

        async def main() -> None:
            client = AsyncResilientClient(trust_env=False)
            await client.request("GET", url)
            with pytest.warns(ResourceWarning) as caught:
                del client
            made = tracemalloc.get_object_traceback(caught[0].source)
            assert made is not None
            assert __file__ in {frame.filename for frame in made}

        tracemalloc.start(5)
        try:
            asyncio.run(main())
        finally:
            tracemalloc.stop()


def warnings_in_child(action: Callable[[], None]) -> int:
    """Return how many warnings an action causes in a forked process."""
    child = os.fork()
    if child == 0:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            action()
            gc.collect()
            os._exit(len(caught))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_leaves_the_connections_of_its_parent_alone() -> None:
    """Dropping a client there closes nothing, and warns about nothing."""
    with thread_server() as url:

        async def main() -> None:
            clients = [AsyncResilientClient(trust_env=False)]
            await clients[0].request("GET", url)
            assert warnings_in_child(clients.clear) == 0
            assert (await clients[0].request("GET", url)).status_code == 200
            assert clients[0].statistics().succeeded == 2
            await clients[0].close()

        asyncio.run(main())


_PROGRAM = """
import asyncio, sys, typed_async_client
client = typed_async_client.AsyncResilientClient(trust_env=False)
async def main():
    task = await client.get(sys.argv[1])
    assert (await task).status_code == 200
asyncio.run(main())
"""


def test_an_interpreter_that_exits_warns_once() -> None:
    """Nothing else is printed."""
    with thread_server() as url:
        command = [sys.executable, "-W", "always::ResourceWarning", "-c", _PROGRAM, url]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr.count("ResourceWarning: unclosed <AsyncResilientClient open") == 1
    assert done.stderr.count("\n") <= 2
    assert "Exception" not in done.stderr
