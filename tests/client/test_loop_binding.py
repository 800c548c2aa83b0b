"""A client can only be used in one process, one thread and one event loop."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncResilientClient, ClientBoundError


def new_client() -> AsyncResilientClient:
    """Create a client whose requests get a response immediately."""
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


@pytest.mark.parametrize("use_again", USES)
def test_use_on_a_second_event_loop_raises(
    use_again: Callable[[AsyncResilientClient], Coroutine[Any, Any, Any]],
) -> None:
    """Whichever method is called; the message names both loops."""
    client = new_client()
    assert asyncio.run(use(client)) == 200
    with pytest.raises(ClientBoundError, match=r"belongs to <.*Loop.*was used on <.*Loop"):
        asyncio.run(use_again(client))


def test_use_in_a_second_thread_raises() -> None:
    """In each of three threads; none of them hangs."""
    messages: list[str] = []

    async def main() -> None:
        async with new_client() as client:

            def use_in_thread() -> None:
                try:
                    asyncio.run(use(client))
                except RuntimeError as error:
                    messages.append(str(error))

            threads = [threading.Thread(target=use_in_thread, name=f"T{n}") for n in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                await asyncio.to_thread(thread.join)
            assert await use(client) == 200

    asyncio.run(main())
    assert sorted(messages) == [
        "this client belongs to thread 'MainThread' and was used in thread "
        f"'T{n}': create one client per process, thread and event loop"
        for n in range(3)
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_use_in_a_forked_process_raises() -> None:
    """In the child; the parent can continue to use the client."""
    client = new_client()
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(use(client)) == 200
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(use(client))
        except RuntimeError as error:
            os.write(write_end, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    message = os.read(read_end, 1000).decode()
    os.close(read_end)
    os.close(write_end)
    assert message.startswith(f"this client belongs to process {os.getpid()} and was used in")
    assert str(child) in message
    assert loop.run_until_complete(use(client)) == 200
    loop.run_until_complete(client.close())
    loop.close()


def test_a_client_can_be_created_before_any_event_loop_runs() -> None:
    """At import, for example; it belongs to the event loop of its first use."""
    client = new_client()

    async def main() -> int:
        async with client:
            return await use(client)

    assert asyncio.run(main()) == 200


def test_a_client_that_was_initialized_explicitly_is_started_once() -> None:
    """As a web framework does on startup, before any requests."""

    async def main() -> int:
        client = new_client()
        await client._initialize_client()
        await client._initialize_client()
        try:
            return await use(client)
        finally:
            await client.close()

    assert asyncio.run(main()) == 200


def test_results_can_be_read_after_the_event_loop_has_ended() -> None:
    """Reading them needs no event loop."""
    client = new_client()
    asyncio.run(use(client))
    assert len(client.get_all_results()) == 1
    assert client.statistics().succeeded == 1
