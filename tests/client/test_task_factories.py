"""Every request ends as it should, whatever the event loop's task factory does with its coroutine."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncResilientClient, RequestContext, ResultStatus

Factory = Callable[..., Any]


def wrapping(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
) -> "asyncio.Task[Any]":
    """Await the coroutine in another one, as Sentry, ddtrace and aiomonitor do."""

    async def traced() -> Any:
        return await coroutine

    return asyncio.Task(traced(), loop=loop, **options)


def lazy(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
) -> "asyncio.Task[Any]":
    """Create the task that asyncio itself would create."""
    return asyncio.Task(coroutine, loop=loop, **options)


FACTORIES: dict[str, Factory | None] = {"none": None, "lazy": lazy, "wrapping": wrapping}
if sys.version_info >= (3, 12):
    FACTORIES["eager"] = asyncio.eager_task_factory


class Recorded:
    """A client with two permits, and the terminal events of its requests."""

    def __init__(self, handler: Callable[[httpx.Request], Any]) -> None:
        transport = httpx.MockTransport(handler)
        self.client = AsyncResilientClient(transport=transport, max_concurrent_requests=2)
        self.events: list[str] = []
        for kind in ("success", "error", "cancelled", "timeout"):
            self.client.add_event_callback(kind, lambda event: self.events.append(event.event_type))

    async def settled(self) -> list[str]:
        """Wait for every event, and check that all permits are free."""
        await self.client.wait_for_all_requests()
        async with asyncio.timeout(20):
            for _ in range(2):
                await self.client._engine.wait_for_admission()
        statistics = self.client.statistics()
        assert (statistics.active, self.client.active_tasks_count) == (0, 0)
        return self.events


@pytest.fixture(name="factory", params=FACTORIES)
def _factory(request: pytest.FixtureRequest) -> Factory | None:
    return FACTORIES[request.param]


async def test_requests_succeed(factory: Factory | None) -> None:
    """Each has one event and one result, and gives its permit back."""
    asyncio.get_running_loop().set_task_factory(factory)
    recorded = Recorded(lambda _: httpx.Response(200))
    async with recorded.client as client:
        for number in range(5):
            task = await client.get("http://a.test/", RequestContext(request_id=str(number)))
            assert (await task).status_code == 200
            result = client.get_result(str(number))
            assert result is not None
            assert result.status is ResultStatus.SUCCESS
        assert await recorded.settled() == ["success"] * 5


async def test_a_failure_that_nobody_awaits_is_recorded_and_logged_once(
    factory: Factory | None, caplog: pytest.LogCaptureFixture
) -> None:
    """And asyncio doesn't add "Task exception was never retrieved"."""
    asyncio.get_running_loop().set_task_factory(factory)

    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset")

    recorded = Recorded(fail)
    async with recorded.client as client:
        await client.get("http://a.test/")
        assert await recorded.settled() == ["error"]
    assert [record.name for record in caplog.records] == ["typed_async_client"]


@pytest.mark.parametrize("iterations", range(4))
async def test_a_request_cancelled_at_any_moment_ends_as_cancelled(
    factory: Factory | None, iterations: int
) -> None:
    """Before its first step too, when its coroutine never runs; no warning is emitted."""
    asyncio.get_running_loop().set_task_factory(factory)

    async def stall(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    recorded = Recorded(stall)
    async with recorded.client as client:
        task = await client.get("http://a.test/", RequestContext(request_id="r"))
        for _ in range(iterations):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        result = client.get_result("r")
        assert result is not None
        assert result.status is ResultStatus.CANCELLED
        assert await recorded.settled() == ["cancelled"]


async def test_a_factory_that_refuses_fails_the_submission() -> None:
    """The request has ended, and its permit is free."""
    loop = asyncio.get_running_loop()

    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no more tasks")

    recorded = Recorded(lambda _: httpx.Response(200))
    async with recorded.client as client:
        await client._initialize_client()
        loop.set_task_factory(refuse)
        with pytest.raises(RuntimeError, match="no more tasks"):
            await client.get("http://a.test/", RequestContext(request_id="r"))
        loop.set_task_factory(None)
        assert await recorded.settled() == ["cancelled"]


async def test_the_factory_may_change_while_requests_run() -> None:
    """Each request keeps the task that it was created with."""
    loop = asyncio.get_running_loop()
    go_on = asyncio.Event()

    async def wait(_: httpx.Request) -> httpx.Response:
        await go_on.wait()
        return httpx.Response(200)

    recorded = Recorded(wait)
    async with recorded.client as client:
        tasks = []
        factories: tuple[Factory | None, ...] = (wrapping, None)
        for factory in factories:
            loop.set_task_factory(factory)
            tasks.append(await client.get("http://a.test/"))
        loop.set_task_factory(FACTORIES["lazy"])
        go_on.set()
        assert [response.status_code for response in await asyncio.gather(*tasks)] == [200, 200]
        assert await recorded.settled() == ["success"] * 2


WITH_SENTRY = """
import asyncio
import httpx
import sentry_sdk
from sentry_sdk.integrations.asyncio import AsyncioIntegration
from typed_async_client import AsyncResilientClient

async def main():
    sentry_sdk.init(
        dsn="https://key@sentry.test/1",
        default_integrations=False,
        integrations=[AsyncioIntegration()],
        traces_sample_rate=1.0,
        transport=lambda envelope: None,
    )
    assert "sentry" in repr(asyncio.get_running_loop().get_task_factory())
    transport = httpx.MockTransport(lambda request: httpx.Response(200))
    async with AsyncResilientClient(transport=transport) as client:
        response = await (await client.get("http://a.test/"))
        print(response.status_code, client.statistics().succeeded)

asyncio.run(main())
"""


def test_requests_succeed_under_the_asyncio_integration_of_sentry() -> None:
    """It wraps every coroutine that becomes a task; in its own process, since it stays active."""
    completed = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", WITH_SENTRY],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert completed.stdout.strip() == "200 1", completed.stderr
