"""Lookups in threads: they are shared by all callers, and no caller can harm another."""

import asyncio
import gc
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from name_server import LOCALHOST, NameServer, names, new_lookups, resolve_all, run_pending

from typed_async_client.net.dns import HostAddress, Resolution
from typed_async_client.net.lookups import Lookup, Lookups

__all__ = ["names"]


async def test_concurrent_callers_share_one_lookup_of_a_name(names: NameServer) -> None:
    """Ten concurrent callers make one lookup; a later caller makes another."""
    lookups = new_lookups()
    tasks = resolve_all(lookups, *["a.hang.test"] * 10)
    await run_pending()
    names.release.set()
    assert await asyncio.gather(*tasks) == [[LOCALHOST]] * 10
    assert names.lookups["a.hang.test"] == 1
    assert await Resolution("a.hang.test", lookups=lookups).addresses() == [LOCALHOST]
    assert names.lookups["a.hang.test"] == 2


async def test_what_a_caller_does_to_its_result_is_its_own_affair(names: NameServer) -> None:
    """Each gets a list of its own."""
    tasks = resolve_all(new_lookups(), *["a.hang.test"] * 2)
    await run_pending()
    names.release.set()
    first, second = await asyncio.gather(*tasks)
    first.clear()
    assert second == [LOCALHOST]


async def test_concurrent_callers_share_a_queued_lookup_too(names: NameServer) -> None:
    """The name is queued once, and looked up once."""
    lookups = new_lookups(usual=1, most=1, reserved=0)
    hanging = resolve_all(lookups, "a.hang.test")
    waiting = resolve_all(lookups, *["b.test"] * 10)
    await run_pending()
    assert names.threads() == 1
    names.release.set()
    await asyncio.gather(*hanging, *waiting)
    assert names.lookups == {"a.hang.test": 1, "b.test": 1}


async def test_queued_names_are_looked_up_as_soon_as_a_lookup_ends(names: NameServer) -> None:
    """None is lost, and no more than the maximum run at once."""
    lookups = new_lookups(usual=3, most=3, reserved=0)
    tasks = resolve_all(lookups, *(f"{number}.hang.test" for number in range(8)), "healthy.test")
    await run_pending()
    assert names.threads() == 3
    assert not any(task.done() for task in tasks)
    names.release.set()
    assert await asyncio.gather(*tasks) == [[LOCALHOST]] * 9
    assert set(names.lookups.values()) == {1}


async def test_a_queued_name_starts_once_the_running_lookups_hang(names: NameServer) -> None:
    """Though no lookup has ended, and nobody asks for another name."""
    lookups = new_lookups(usual=3, most=8, recent=2, reserved=0, hangs_after=0.05)
    hanging = resolve_all(lookups, *(f"{number}.hang.test" for number in range(4)))
    (healthy,) = resolve_all(lookups, "healthy.test")
    assert await healthy == [LOCALHOST]
    assert not any(task.done() for task in hanging)
    names.release.set()
    await asyncio.gather(*hanging)


async def test_a_cancelled_caller_affects_no_other(names: NameServer) -> None:
    """Neither callers of the same name, nor callers of other names, nor the lookup itself."""
    lookups = new_lookups(usual=1, most=1, reserved=0)
    running = resolve_all(lookups, "a.hang.test", "a.hang.test")
    queued = resolve_all(lookups, "b.test", "b.test", "c.test", "d.test")
    await run_pending()
    cancelled = [running[0], queued[0], queued[2]]
    for task in cancelled:
        task.cancel()
    await asyncio.wait(cancelled)
    names.release.set()
    assert await running[1] == [LOCALHOST]
    assert [await queued[1], await queued[3]] == [[LOCALHOST]] * 2
    assert names.lookups == {"a.hang.test": 1, "b.test": 1, "d.test": 1}


@pytest.mark.parametrize("turns", range(4))
async def test_a_caller_may_be_cancelled_at_any_moment(names: NameServer, turns: int) -> None:
    """Before it has asked, while it waits, and when its result has just arrived."""
    lookups = new_lookups()
    names.release.set()
    first, second = resolve_all(lookups, "a.hang.test", "a.hang.test")
    for _ in range(turns):
        await asyncio.sleep(0)
    first.cancel()
    assert await second == [LOCALHOST]
    assert await asyncio.gather(first, return_exceptions=True)


async def test_a_running_lookup_whose_caller_was_cancelled_is_still_shared(
    names: NameServer,
) -> None:
    """A caller that comes later joins it."""
    lookups = new_lookups()
    (first,) = resolve_all(lookups, "a.hang.test")
    await run_pending()
    first.cancel()
    await asyncio.wait({first})
    (second,) = resolve_all(lookups, "a.hang.test")
    await run_pending()
    names.release.set()
    assert await second == [LOCALHOST]
    assert names.lookups == {"a.hang.test": 1}


async def test_every_caller_gets_an_error_of_its_own(names: NameServer) -> None:
    """So that no traceback grows with the callers; a later caller makes another lookup."""
    lookups = new_lookups()
    tasks = resolve_all(lookups, *["unknown.hang.test"] * 3)
    await run_pending()
    names.release.set()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in errors] == [socket.gaierror] * 3
    assert {str(error) for error in errors} == {f"[Errno {socket.EAI_NONAME}] no such name"}
    assert len({id(error) for error in errors}) == 3
    assert names.lookups["unknown.hang.test"] == 1
    with pytest.raises(socket.gaierror):
        await Resolution("unknown.hang.test", lookups=lookups).addresses()
    assert names.lookups["unknown.hang.test"] == 2


async def test_an_error_that_cannot_be_copied_reaches_its_callers() -> None:
    """A patched ``getaddrinfo`` may raise anything."""

    class OddError(Exception):
        def __init__(self, host: str, reason: str) -> None:
            super().__init__(f"{host}: {reason}")

    def look_up(host: str) -> str:
        raise OddError(host, "odd")

    with pytest.raises(OddError, match=r"a\.test: odd"):
        await Lookup(Lookups(look_up), "a.test").result()


async def test_a_lookup_that_is_interrupted_ends_too() -> None:
    """Its callers get an error, and its thread is free again."""

    def look_up(_: str) -> str:
        raise SystemExit

    with pytest.raises(OSError, match=r"the lookup of a\.test was interrupted"):
        await Lookup(Lookups(look_up), "a.test").result()


async def test_an_error_without_a_caller_is_not_logged(names: NameServer) -> None:
    """The loop's exception handler is not called."""
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    (task,) = resolve_all(new_lookups(), "unknown.hang.test")
    await run_pending()
    task.cancel()
    await asyncio.wait({task})
    names.finish_all()
    await run_pending()
    del task  # it refers to the future with the error
    gc.collect()
    assert reported == []


async def test_a_thread_that_cannot_be_started_is_an_error(
    monkeypatch: pytest.MonkeyPatch, names: NameServer
) -> None:
    """The system may be out of threads, for many names at once; a later lookup may succeed."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    lookups = new_lookups(usual=1, most=1, reserved=0)
    hanging = resolve_all(lookups, "a.hang.test")
    await run_pending()
    queued = resolve_all(lookups, *(f"{number}.test" for number in range(2000)))
    await run_pending()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        names.release.set()
        errors = await asyncio.gather(*queued, return_exceptions=True)
    assert {type(error) for error in errors} == {OSError}
    assert "can't start a thread to resolve 0.test" in str(errors[0])
    assert await asyncio.gather(*hanging) == [[LOCALHOST]]
    assert await asyncio.gather(*resolve_all(lookups, "a.test")) == [[LOCALHOST]]


# Several event loops


def test_event_loops_in_several_threads_share_the_lookups(names: NameServer) -> None:
    """Each of four loops asks for the same three names, and three lookups answer all of them."""
    lookups = new_lookups(usual=2, most=2, reserved=0)
    started = threading.Barrier(5)

    async def main() -> list[list[HostAddress]]:
        tasks = resolve_all(lookups, "a.hang.test", "b.hang.test", "c.test")
        await run_pending()
        started.wait(10)
        return await asyncio.gather(*tasks)

    with ThreadPoolExecutor(4) as threads:
        loops = [threads.submit(asyncio.run, main()) for _ in range(4)]
        started.wait(10)
        assert names.threads() == 2
        names.release.set()
        assert [loop.result(10) for loop in loops] == [[[LOCALHOST]] * 3] * 4
    assert set(names.lookups.values()) == {1}


def test_a_loop_that_was_closed_takes_no_result_from_others(names: NameServer) -> None:
    """Its caller, which was never cancelled, is dropped once it is garbage."""
    lookups = new_lookups(usual=1, most=1, reserved=0)
    closed = asyncio.new_event_loop()
    abandoned = [
        Resolution(host, lookups=lookups).addresses() for host in ("a.hang.test", "b.hang.test")
    ]
    for coroutine in abandoned:
        closed.call_soon(coroutine.send, None)
    closed.call_soon(closed.stop)
    closed.run_forever()
    closed.close()

    async def main() -> list[list[HostAddress]]:
        tasks = resolve_all(lookups, "a.hang.test", "c.test")
        await run_pending()
        abandoned.pop().close()
        names.release.set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(main()) == [[LOCALHOST]] * 2
    assert names.lookups == {"a.hang.test": 1, "c.test": 1}
    abandoned.pop().close()


def test_a_loop_that_has_ended_leaves_the_lookup_to_others(names: NameServer) -> None:
    """The second loop waits for the lookup that the first one has started."""
    lookups = new_lookups()

    async def leave() -> None:
        resolve_all(lookups, "a.hang.test")
        await run_pending()

    async def wait() -> list[HostAddress]:
        (task,) = resolve_all(lookups, "a.hang.test")
        await run_pending()
        names.release.set()
        return await task

    asyncio.run(leave())
    assert asyncio.run(wait()) == [LOCALHOST]
    assert names.lookups == {"a.hang.test": 1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_starts_without_the_lookups_of_its_parent(names: NameServer) -> None:
    """Their threads don't exist there, so nothing would ever answer."""

    def check(child: int) -> None:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    async def main() -> None:
        hanging = resolve_all(None, *(f"fork-hang-{number}.test" for number in range(300)))
        await run_pending()
        child = os.fork()
        if child == 0:
            names.release.set()
            with ThreadPoolExecutor(1) as thread:
                found = thread.submit(asyncio.run, Resolution("fork-hang-0.test").addresses())
                os._exit(0 if found.result(20) == [LOCALHOST] else 1)
        names.release.set()
        await asyncio.gather(*hanging)
        check(child)

    asyncio.run(main())
