"""The client withstands what tasks, hooks, callbacks and values of the user may do."""

import asyncio
import contextlib
import dataclasses
import io
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
    """Create a client whose requests get a response immediately."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    return AsyncResilientClient(transport=transport, **options)


@in_virtual_time
async def test_a_client_survives_the_cancellation_of_every_task() -> None:
    """The monitor is one of them; without it, events are still delivered and waits end."""
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


class Unprintable:
    """A callback whose ``repr()`` raises."""

    def __call__(self, _: AsyncEvent) -> None:
        """Fail."""
        raise ValueError("no")

    def __repr__(self) -> str:
        """Fail as well."""
        raise ValueError("no")


class Uninspectable:
    """An object that raises when its class is inspected."""

    @property
    def __class__(self) -> Any:
        """Fail."""
        raise ValueError("no")

    @__class__.setter
    def __class__(self, _: Any) -> None:
        """Fail."""
        raise ValueError("no")


@pytest.mark.parametrize(
    "callback", [Unprintable(), lambda _: Uninspectable()], ids=["name", "value"]
)
@in_virtual_time
async def test_a_misbehaving_callback_does_not_affect_the_monitor(callback: Any) -> None:
    """It is counted as failed, and other callbacks receive every event."""
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
async def test_changes_to_the_callers_response_are_invisible_to_callbacks() -> None:
    """The event has a copy, made before the caller received the response."""
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
async def test_an_error_within_the_flow_is_not_reported_as_a_cancellation() -> None:
    """Here the caller's random function raises at the first retry."""

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
async def test_a_task_that_ends_without_a_terminal_event_gets_one_from_a_waiter() -> None:
    """An error outside the ``Exception`` hierarchy can end a task that way."""

    def exit_generator(_: httpx.Request) -> httpx.Response:
        raise GeneratorExit

    async with AsyncResilientClient(transport=httpx.MockTransport(exit_generator)) as client:
        task = await client.get("http://a.test/", RequestContext(request_id="r"))
        with contextlib.suppress(GeneratorExit):
            await task
        results = await client.wait_for_all_requests()
        assert results["r"].status is ResultStatus.CANCELLED
        assert client.active_tasks_count == 0


@in_virtual_time
async def test_a_task_factory_that_raises_leaks_nothing() -> None:
    """No request remains in flight, and no permit is lost."""
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
async def test_close_can_be_called_again_after_its_task_was_cancelled() -> None:
    """Every event is delivered, and the second call completes."""
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
async def test_a_hook_may_wait_for_all_other_requests() -> None:
    """It doesn't wait for its own request, which then continues."""
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
async def test_a_result_dropped_from_the_ledger_is_still_returned_to_a_waiter() -> None:
    """A waiter refers to the request itself, not only to its id."""

    async def slow(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1)
        return httpx.Response(200)

    transport = httpx.MockTransport(slow)
    async with AsyncResilientClient(transport=transport, max_results=1) as client:
        waiting = []
        for number in range(3):
            await client.get("http://a.test/", RequestContext(request_id=str(number)))
            waiting.append(asyncio.create_task(client.wait_for_request(str(number))))
        results = await asyncio.gather(*waiting)
        assert [result.request_id for result in results] == ["0", "1", "2"]


@dataclasses.dataclass(frozen=True)
class TenantContext(RequestContext):
    """A user-defined context."""

    tenant: str = "none"


@in_virtual_time
async def test_a_user_defined_context_keeps_its_fields() -> None:
    """In every copy of it, and in events."""
    seen: list[str] = []
    async with new_client() as client:
        client.add_event_callback(EventType.SUCCESS, lambda e: seen.append(e.context.tenant))  # type: ignore[attr-defined]  # of the subclass
        await client.get("http://a.test/", TenantContext(tenant="acme"))
        await client.wait_for_all_requests()
    assert seen == ["acme"]
    assert TenantContext(tenant="acme").increment_attempt().reset_attempts().tenant == "acme"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("context", {"Accept": "*/*"}),
        ("content", {"a": b"b"}),
        ("content", [b"a", "b"]),
        ("content", io.StringIO("a")),
        ("content", 3),
    ],
)
@in_virtual_time
async def test_an_invalid_option_raises_before_anything_is_sent(option: str, value: Any) -> None:
    """The message names the option."""
    async with new_client() as client:
        with pytest.raises(TypeError, match=option):
            await client.post("http://a.test/", **{option: value})
        assert client.statistics().submitted == 0


@pytest.mark.parametrize("option", [{"retries": 2}, {"random": 3}])
def test_an_invalid_client_option_raises_and_the_message_names_it(option: dict[str, Any]) -> None:
    """As an option of the client, not as an argument of some internal function."""
    with pytest.raises(TypeError, match=next(iter(option))):
        AsyncResilientClient(**option)


@in_virtual_time
async def test_a_new_context_has_the_clients_limits() -> None:
    """So that setting an id doesn't lose them."""
    client = new_client(max_retries=7, base_delay=0.5)
    context = client.new_context("orders", {"service": ["users"]})
    assert (context.max_retries, context.base_delay) == (7, 0.5)
    assert (context.request_id, context.metadata) == ("orders", {"service": ["users"]})
    assert client.new_context().request_id != client.new_context().request_id
    await client.close()


@pytest.mark.filterwarnings("ignore:Setting per-request cookies:DeprecationWarning")
@in_virtual_time
async def test_every_kind_of_mutable_option_is_copied_on_submission() -> None:
    """Cookies, files, extensions, timeouts and iterators."""
    sent: list[Any] = []

    def record(request: httpx.Request) -> httpx.Response:
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
    extension = {"n": 1}
    timeout = httpx.Timeout(3.0)
    async with AsyncResilientClient(transport=httpx.MockTransport(record)) as client:
        task = await client.put(  # type: ignore[call-overload]  # httpx accepts an iterator of headers
            "http://a.test/",
            RequestContext(max_retries=1),
            headers=iter([("X-N", "1")]),
            cookies=jar,
            files=files,
            extensions={"mine": extension},
            timeout=timeout,
        )
        jar.set("session", "bob")
        files["file"] = b"second"
        extension["n"] = 2
        timeout.read = 9.0
        with pytest.raises(httpx.ConnectError):
            await task
    assert sent == [("1", "session=alice", 3.0, {"n": 1}, False)] * 2


def test_the_package_can_be_imported_where_fork_is_not_available() -> None:
    """As on Windows."""
    program = "import asyncio, httpx, os; del os.register_at_fork; import typed_async_client"
    done = subprocess.run([sys.executable, "-c", program], check=False, env=dict(os.environ))
    assert done.returncode == 0
