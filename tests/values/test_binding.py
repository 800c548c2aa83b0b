"""The three ways of being in the wrong place, told apart."""

import asyncio
import os

import pytest

from typed_async_client import ClientBoundError
from typed_async_client.binding import Binding
from typed_async_client.testing import in_virtual_time, run_virtual


@in_virtual_time
async def test_the_first_check_binds_and_the_others_agree() -> None:
    """In the same loop, any number of them."""
    binding = Binding()
    assert binding.check() is binding.check() is asyncio.get_running_loop()


@in_virtual_time
async def test_another_process_is_told_by_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a fork the loop object is the same, and the process is not."""
    binding = Binding()
    binding.check()
    home = os.getpid()
    monkeypatch.setattr("os.getpid", lambda: home + 1)
    with pytest.raises(ClientBoundError, match=rf"process {home} .* process {home + 1}:"):
        binding.check()


def test_another_loop_is_told_by_both_loops() -> None:
    """The message shows whether the first one is closed."""
    binding = Binding()

    async def check() -> None:
        binding.check()

    run_virtual(check())
    with pytest.raises(ClientBoundError, match=r"closed=True.* was used on .*closed=False"):
        run_virtual(check())


def test_no_loop_at_all_is_asyncios_own_error() -> None:
    """There is nothing to bind to."""
    with pytest.raises(RuntimeError, match="no running event loop"):
        Binding().check()
