"""Lookups that a thread waits for: they are those that tasks wait for too."""

import asyncio
import socket

import pytest
from name_server import LOCALHOST, NameServer, names, new_lookups, resolve_all, run_pending

from typed_async_client.net.dns import resolve_in_thread

__all__ = ["names"]


def test_a_thread_waits_for_the_addresses_of_a_name(names: NameServer) -> None:
    """An address and ``localhost`` need no lookup."""
    assert resolve_in_thread("a.test", 20.0) == [LOCALHOST]
    assert resolve_in_thread("127.0.0.1", 20.0) == [LOCALHOST]
    assert resolve_in_thread("localhost", None)[0] == LOCALHOST
    assert names.lookups == {"a.test": 1}


@pytest.mark.usefixtures("names")
def test_a_name_that_is_unknown_raises_in_the_thread() -> None:
    """As the system's resolver does."""
    with pytest.raises(socket.gaierror, match="no such name"):
        resolve_in_thread("unknown.test", 20.0)


def test_a_lookup_that_hangs_does_not_hold_its_thread(names: NameServer) -> None:
    """It goes on in the background, and its result is of no more interest."""
    with pytest.raises(TimeoutError, match=r"resolving a\.hang\.test"):
        resolve_in_thread("a.hang.test", 0.05)
    assert names.threads() == 1


async def test_a_thread_and_a_task_share_a_lookup(names: NameServer) -> None:
    """The second to ask is a thread."""
    lookups = new_lookups()
    tasks = resolve_all(lookups, "a.hang.test")
    await run_pending()
    waiting = asyncio.create_task(asyncio.to_thread(lookups.wait, "a.hang.test", 20.0))
    while len(lookups._callers["a.hang.test"]) < 2:  # noqa: ASYNC110 - a thread adds the second
        await asyncio.sleep(0)
    names.release.set()
    assert await asyncio.gather(*tasks, waiting) == [[LOCALHOST]] * 2
    assert names.lookups == {"a.hang.test": 1}
