"""One client, one process, one thread, one event loop: anything else is refused at once."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncResilientClient, ClientBoundError


def new_client() -> AsyncResilientClient:
    """Make a client that answers at once."""
    return AsyncResilientClient(transport=httpx.MockTransport(lambda _: httpx.Response(200)))


async def use(client: AsyncResilientClient) -> int:
    """Make one request."""
    return (await (await client.get("http://a.test/"))).status_code


USES: list[Callable[[AsyncResilientClient], Coroutine[Any, Any, Any]]] = [
    use,
    lambda client: client.wait_for_all_requests(),
    lambda client: client.wait_for_request("r", timeout=10),
    lambda client: client._initialize_client(),
    lambda client: client.__aenter__(),
    lambda client: client.close(),
]


@pytest.mark.parametrize("again", USES)
def test_a_second_event_loop_is_refused_by_name(
    again: Callable[[AsyncResilientClient], Coroutine[Any, Any, Any]],
) -> None:
    """Whatever is asked of the client there; the message names both loops."""
    client = new_client()
    assert asyncio.run(use(client)) == 200
    with pytest.raises(ClientBoundError, match=r"belongs to <.*Loop.*was used on <.*Loop"):
        asyncio.run(again(client))


def test_a_second_thread_is_refused_by_name() -> None:
    """Each of three threads hears it, and none of them hangs."""
    complaints: list[str] = []

    async def main() -> None:
        async with new_client() as client:

            def elsewhere() -> None:
                try:
                    asyncio.run(use(client))
                except RuntimeError as error:
                    complaints.append(str(error))

            threads = [threading.Thread(target=elsewhere, name=f"T{n}") for n in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                await asyncio.to_thread(thread.join)
            assert await use(client) == 200

    asyncio.run(main())
    assert sorted(complaints) == [
        "this client belongs to thread 'MainThread' and was used in thread "
        f"'T{n}': create one client per process, thread and event loop"
        for n in range(3)
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_process_is_refused_by_number() -> None:
    """The child hears it; the parent goes on."""
    client = new_client()
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(use(client)) == 200
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(use(client))
        except RuntimeError as error:
            os.write(writing, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    complaint = os.read(reading, 1000).decode()
    os.close(reading)
    os.close(writing)
    assert complaint.startswith(f"this client belongs to process {os.getpid()} and was used in")
    assert str(child) in complaint
    assert loop.run_until_complete(use(client)) == 200
    loop.run_until_complete(client.close())
    loop.close()


def test_a_client_may_be_made_before_any_loop_runs() -> None:
    """As a module does; it belongs to the loop of its first use."""
    client = new_client()

    async def main() -> int:
        async with client:
            return await use(client)

    assert asyncio.run(main()) == 200


def test_a_client_started_by_hand_is_started_once() -> None:
    """A web framework starts it at its own start, and requests find it running."""

    async def main() -> int:
        client = new_client()
        await client._initialize_client()
        await client._initialize_client()
        try:
            return await use(client)
        finally:
            await client.close()

    assert asyncio.run(main()) == 200


def test_results_can_be_read_after_the_loop_has_ended() -> None:
    """Looking at what happened needs no loop."""
    client = new_client()
    asyncio.run(use(client))
    assert len(client.get_all_results()) == 1
    assert client.statistics().succeeded == 1
