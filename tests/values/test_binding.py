"""Use from another event loop, thread or process, each with its own message."""

import asyncio
import os

import pytest

from typed_async_client import ClientBoundError
from typed_async_client.binding import Binding
from typed_async_client.testing import in_virtual_time, run_virtual


@in_virtual_time
async def test_the_first_check_binds_and_later_ones_pass() -> None:
    """On the same event loop, any number of times."""
    binding = Binding()
    assert binding.check() is binding.check() is asyncio.get_running_loop()


@in_virtual_time
async def test_use_from_another_process_names_both_process_ids(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a fork, the event loop is the same object in another process."""
    binding = Binding()
    binding.check()
    owner = os.getpid()
    monkeypatch.setattr("typed_async_client.binding._Process.number", owner + 1)
    with pytest.raises(ClientBoundError, match=rf"process {owner} .* process {owner + 1}:"):
        binding.check()


def test_use_from_another_event_loop_names_both_loops() -> None:
    """The message shows whether the first loop is closed."""
    binding = Binding()

    async def check() -> None:
        binding.check()

    run_virtual(check())
    with pytest.raises(ClientBoundError, match=r"closed=True.* was used on .*closed=False"):
        run_virtual(check())


def test_without_a_running_event_loop_the_error_says_that_asyncio_is_needed() -> None:
    """There is no loop to bind to."""
    with pytest.raises(RuntimeError, match=r"needs asyncio, .* use asyncio\.run\(\)"):
        Binding().check()
