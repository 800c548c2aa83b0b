"""What other code on the loop, in hooks and in values may do, and what must hold all the same."""

import asyncio
import contextlib
import dataclasses
import os
import subprocess
import sys
from typing import Any

import httpx
import pytest

from typed_async_client import (
    AsyncEvent,
    AsyncResilientClient,
    EventType,
    RequestContext,
    ResultStatus,
)
from typed_async_client.testing import in_virtual_time


def new_client(**options: Any) -> AsyncResilientClient:
    """Make a client that answers at once."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    return AsyncResilientClient(transport=transport, **options)


@in_virtual_time
async def test_a_client_survives_that_every_task_of_the_program_is_cancelled() -> None:
    """The monitor is one of them; without it, events are still delivered and waits still end."""
    seen: list[str] = []
    client = new_client(event_queue_size=1)
    client.add_event_callback(EventType.SUCCESS, lambda e: seen.append(e.context.request_id))
    await (await client.get("http://a.test/", RequestContext(request_id="before")))
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        for number in range(5):
            await (await client.get("http://a.test/", RequestContext(request_id=str(number))))
        assert len(await client.wait_for_all_requests()) == 6
        await client.close()
    assert seen == ["before", "0", "1", "2", "3", "4"]


class Unspeakable:
    """A callback whose very name cannot be told."""

    def __call__(self, _: AsyncEvent) -> None:
        """Fail."""
        raise ValueError("no")

    def __repr__(self) -> str:
        """Fail as well."""
        raise ValueError("no")


class Lazy:
    """A stand-in whose every look at it fails."""

    @property
    def __class__(self) -> Any:
        """Fail."""
        raise ValueError("no")

    @__class__.setter
    def __class__(self, _: Any) -> None:
        """Fail."""
        raise ValueError("no")


@pytest.mark.parametrize("callback", [Unspeakable(), lambda _: Lazy()], ids=["name", "value"])
@in_virtual_time
async def test_no_trick_of_a_callback_reaches_the_monitor(callback: Any) -> None:
    """It is counted, and the next callback hears of the next event."""
    seen: list[AsyncEvent] = []
    async with new_client() as client:
        client.add_event_callback(EventType.SUCCESS, callback)
        client.add_event_callback(EventType.SUCCESS, seen.append)
        for _ in range(3):
            await client.get("http://a.test/")
        await client.wait_for_all_requests()
        assert client.statistics().callbacks_failed == 3
    assert len(seen) == 3


@in_virtual_time
async def test_what_the_caller_does_to_its_response_no_callback_sees() -> None:
    """The event was made before the caller had the response, and holds a copy."""
    seen: list[bool] = []
    async with new_client() as client:
        client.add_event_callback(
            EventType.SUCCESS, lambda event: seen.append("x-mine" in event.data.headers)
        )

        async def change() -> None:
            response = await (await client.get("http://a.test/"))
            response.headers["x-mine"] = "1"

        await asyncio.gather(*(change() for _ in range(300)))
        await client.wait_for_all_requests()
    assert seen == [False] * 300


@in_virtual_time
async def test_an_error_inside_the_flow_is_an_error_and_not_a_cancellation() -> None:
    """Here the dice of the caller fail, at the first retry."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    async with AsyncResilientClient(
        transport=httpx.MockTransport(refuse), random=lambda: 1 / 0
    ) as client:
        task = await client.get("http://a.test/", RequestContext(request_id="r"))
        with pytest.raises(ZeroDivisionError):
            await task
        result = client.get_result("r")
        assert result is not None
        assert result.status is ResultStatus.ERROR


@in_virtual_time
async def test_a_task_that_ends_without_a_word_is_ended_by_whoever_waits() -> None:
    """An error outside the Exception tree can end a task so."""

    def leave(_: httpx.Request) -> httpx.Response:
        raise GeneratorExit

    async with AsyncResilientClient(transport=httpx.MockTransport(leave)) as client:
        task = await client.get("http://a.test/", RequestContext(request_id="r"))
        with contextlib.suppress(GeneratorExit):
            await task
        results = await client.wait_for_all_requests()
        assert results["r"].status is ResultStatus.CANCELLED
        assert client.active_tasks_count == 0


@in_virtual_time
async def test_a_task_factory_that_fails_leaves_nothing_behind() -> None:
    """No request in flight, and no place taken from the others."""
    loop = asyncio.get_running_loop()
    async with new_client(max_concurrent_requests=1) as client:

        def failing(*_: Any, **__: Any) -> Any:
            raise MemoryError

        loop.set_task_factory(failing)
        with pytest.raises(MemoryError):
            await client.get("http://a.test/")
        loop.set_task_factory(None)
        assert client.active_tasks_count == 0
        assert (await (await client.get("http://a.test/"))).status_code == 200


@in_virtual_time
async def test_a_closing_that_was_cancelled_from_outside_can_be_asked_for_again() -> None:
    """Every event was told, and the second call ends like any other."""
    seen: list[EventType] = []

    async def wait(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(100)
        return httpx.Response(200)

    client = AsyncResilientClient(transport=httpx.MockTransport(wait))
    client.add_event_callback(EventType.CANCELLED, lambda event: seen.append(event.event_type))
    await client.get("http://a.test/")
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(0)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.wait({closing})
    await client.close()
    assert seen == [EventType.CANCELLED]
    assert client._client.is_closed


@in_virtual_time
async def test_a_hook_may_wait_for_all_requests_without_waiting_for_its_own() -> None:
    """It waits for the others, and then its own request goes on."""
    clients: list[AsyncResilientClient] = []

    async def hook(request: httpx.Request) -> None:
        if request.url.path == "/waits":
            await clients[0].wait_for_all_requests()

    async with new_client(event_hooks={"request": [hook]}) as client:
        clients.append(client)
        other = await client.get("http://a.test/other")
        async with asyncio.timeout(5):
            await (await client.get("http://a.test/waits"))
        assert other.done()


@in_virtual_time
async def test_a_result_pushed_out_of_the_ledger_still_reaches_who_waits_for_it() -> None:
    """A waiter knows the request, not only its name."""

    async def slow(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1)
        return httpx.Response(200)

    transport = httpx.MockTransport(slow)
    async with AsyncResilientClient(transport=transport, max_results=1) as client:
        waits = []
        for number in range(3):
            await client.get("http://a.test/", RequestContext(request_id=str(number)))
            waits.append(asyncio.create_task(client.wait_for_request(str(number))))
        results = await asyncio.gather(*waits)
        assert [result.request_id for result in results] == ["0", "1", "2"]


@dataclasses.dataclass(frozen=True)
class Tenancy(RequestContext):
    """A context of the user's own."""

    tenant: str = "none"


@in_virtual_time
async def test_a_context_of_the_users_own_class_keeps_its_fields() -> None:
    """Through every step, and in every event."""
    seen: list[str] = []
    async with new_client() as client:
        client.add_event_callback(EventType.SUCCESS, lambda e: seen.append(e.context.tenant))  # type: ignore[attr-defined]  # the subclass has it
        await client.get("http://a.test/", Tenancy(tenant="acme"))
        await client.wait_for_all_requests()
    assert seen == ["acme"]
    assert Tenancy(tenant="acme").increment_attempt().reset_attempts().tenant == "acme"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("context", {"Accept": "*/*"}),
        ("content", iter([b"a"])),
        ("content", bytearray(b"a")),
        ("content", 3),
    ],
)
@in_virtual_time
async def test_what_cannot_be_sent_is_refused_before_anything_is(option: str, value: Any) -> None:
    """With the option in the message."""
    async with new_client() as client:
        with pytest.raises(TypeError, match=option):
            await client.post("http://a.test/", **{option: value})
        assert client.statistics().submitted == 0


@pytest.mark.parametrize("option", [{"retries": 2}, {"random": 3}])
def test_what_a_client_does_not_take_is_refused_by_name(option: dict[str, Any]) -> None:
    """As our option, not as somebody else's argument."""
    with pytest.raises(TypeError, match=next(iter(option))):
        AsyncResilientClient(**option)


@in_virtual_time
async def test_a_new_context_has_the_clients_limits() -> None:
    """To name a request is not to lose them."""
    client = new_client(max_retries=7, base_delay=0.5)
    context = client.new_context("orders", {"service": ["users"]})
    assert (context.max_retries, context.base_delay) == (7, 0.5)
    assert (context.request_id, context.metadata) == ("orders", {"service": ["users"]})
    assert client.new_context().request_id != client.new_context().request_id
    await client.close()


@pytest.mark.filterwarnings("ignore:Setting per-request cookies:DeprecationWarning")
@in_virtual_time
async def test_every_kind_of_mutable_option_is_copied_at_the_submission() -> None:
    """Jars, files, extensions, time limits and iterators, as well as plain values."""
    sent: list[Any] = []

    def keep(request: httpx.Request) -> httpx.Response:
        sent.append(
            (
                request.headers.get("x-n"),
                request.headers.get("cookie"),
                request.extensions["timeout"]["read"],
                request.extensions["mine"],
                b"second" in request.content,
            )
        )
        raise httpx.ConnectError("refused", request=request)

    jar = httpx.Cookies({"session": "alice"})
    files = {"file": b"first"}
    mine = {"n": 1}
    timeout = httpx.Timeout(3.0)
    async with AsyncResilientClient(transport=httpx.MockTransport(keep)) as client:
        task = await client.put(
            "http://a.test/",
            RequestContext(max_retries=1),
            headers=iter([("X-N", "1")]),  # type: ignore[arg-type]  # httpx takes it once
            cookies=jar,
            files=files,
            extensions={"mine": mine},
            timeout=timeout,
        )
        jar.set("session", "bob")
        files["file"] = b"second"
        mine["n"] = 2
        timeout.read = 9.0
        with pytest.raises(httpx.ConnectError):
            await task
    assert sent == [("1", "session=alice", 3.0, {"n": 1}, False)] * 2


def test_the_package_is_imported_where_there_is_no_fork() -> None:
    """As on Windows."""
    program = "import asyncio, httpx, os; del os.register_at_fork; import typed_async_client"
    done = subprocess.run([sys.executable, "-c", program], check=False, env=dict(os.environ))
    assert done.returncode == 0
