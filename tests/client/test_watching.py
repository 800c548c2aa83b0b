"""Watching never blocks, fails or slows a request, whatever the callbacks do."""

import asyncio
import contextvars
import logging
from collections import Counter
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncEvent, AsyncResilientClient, EventType, RequestContext
from typed_async_client.testing import in_virtual_time


class Broken(BaseException):
    """An error outside the Exception tree."""


async def refuse_once(request: httpx.Request) -> httpx.Response:
    """Take a tenth of a second; refuse the first attempt of every third request."""
    await asyncio.sleep(0.1)
    tries = request.extensions["tries"]
    tries.append(1)
    if len(tries) == 1 and request.extensions["number"] % 3 == 0:
        raise httpx.ConnectError("refused", request=request)
    return httpx.Response(200, headers={"X-Secret": "kept"})


def new_client(**options: Any) -> AsyncResilientClient:
    """Make a client over that transport."""
    return AsyncResilientClient(
        transport=httpx.MockTransport(refuse_once), base_delay=0.1, random=lambda: 0.5, **options
    )


async def submit(client: AsyncResilientClient, number: int) -> asyncio.Task[httpx.Response]:
    """Submit a request of that number."""
    context = RequestContext(request_id=str(number), base_delay=0.1)
    return await client.get("http://a.test/", context, extensions={"number": number, "tries": []})


class Hostile:
    """Every kind of callback that could hurt."""

    def __init__(self, client: AsyncResilientClient) -> None:
        self.client = client
        self.resubmitted = 0

    def raising(self, event: AsyncEvent) -> None:
        """Fail at once."""
        raise ValueError(event.event_type)

    async def raising_later(self, _: AsyncEvent) -> None:
        """Fail after a wait, outside the Exception tree."""
        await asyncio.sleep(0.01)
        raise Broken

    async def sleeping(self, _: AsyncEvent) -> None:
        """Take ten seconds for each event."""
        await asyncio.sleep(10)

    async def endless(self, _: AsyncEvent) -> None:
        """Never return."""
        await asyncio.Event().wait()

    async def re_entering(self, event: AsyncEvent) -> None:
        """Use the client that it watches, and wait for the answer."""
        if event.event_type is EventType.SUCCESS and self.resubmitted < 50:
            self.resubmitted += 1
            await (await submit(self.client, 1_000_000 + self.resubmitted))

    def removing_itself(self, event: AsyncEvent) -> None:
        """Leave at the first call."""
        self.client.remove_event_callback(event.event_type, self.removing_itself)

    def vandal(self, event: AsyncEvent) -> None:
        """Change all that it is given."""
        event.context.metadata["stolen"] = True
        if event.data is not None and event.event_type is EventType.SUCCESS:
            event.data.headers["X-Secret"] = "changed"

    @property
    def all(self) -> list[Any]:
        """Give all of them."""
        return [
            self.raising,
            self.raising_later,
            self.sleeping,
            self.endless,
            self.re_entering,
            self.removing_itself,
            self.vandal,
        ]


@pytest.mark.parametrize("name", [callback.__name__ for callback in Hostile(None).all])  # type: ignore[arg-type]  # only the names are wanted
@in_virtual_time
async def test_no_callback_delays_or_fails_a_request(name: str) -> None:
    """A hundred requests take as long as without it, at the smallest queue."""
    async with new_client(event_queue_size=1) as client:
        for kind in EventType:
            client.add_event_callback(kind, getattr(Hostile(client), name))
        begun = asyncio.get_running_loop().time()
        tasks = [await submit(client, number) for number in range(100)]
        responses = await asyncio.gather(*tasks)
        assert asyncio.get_running_loop().time() - begun == pytest.approx(0.3)
        assert {response.headers["x-secret"] for response in responses} == {"kept"}
        assert {result.attempts for result in client.get_all_results().values()} == {1, 2}


@pytest.mark.bulk
@in_virtual_time
async def test_ten_thousand_requests_under_all_of_them_have_ten_thousand_ends() -> None:
    """Each exactly one terminal event and one result, at the smallest queue."""
    ends: Counter[str] = Counter()
    async with new_client(event_queue_size=1, max_results=20_000) as client:
        for kind in EventType:
            for callback in Hostile(client).all:
                client.add_event_callback(kind, callback)
            if kind.is_terminal:
                client.add_event_callback(
                    kind, lambda event: ends.update([event.context.request_id])
                )
        for number in range(10_000):
            task = await submit(client, number)
            if number % 10 == 0:
                task.cancel()
        results = await client.wait_for_all_requests()
        told = client.statistics()
        ours = {name: count for name, count in ends.items() if int(name) < 1_000_000}
        assert ours == {str(number): 1 for number in range(10_000)}
        assert len(results) == told.submitted == sum(ends.values())
        assert told.cancelled == 1000
        assert told.active == 0
        assert told.events_published == (
            told.events_delivered + told.events_dropped + told.events_waiting
        )


@in_virtual_time
async def test_closing_waits_for_callbacks_no_longer_than_the_grace() -> None:
    """Those that still run are cancelled then, and none is left."""
    async with new_client(grace=3.0) as client:
        client.add_event_callback(EventType.SUCCESS, Hostile(client).endless)
        await (await submit(client, 1))
        begun = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() == pytest.approx(begun + 3.0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert client.statistics().callbacks_failed == 1


@in_virtual_time
async def test_a_callback_may_close_the_client() -> None:
    """It is not cancelled by the closing that it asked for."""
    done: list[str] = []
    client = new_client()

    async def close(_: AsyncEvent) -> None:
        await client.close()
        done.append("closed")

    client.add_event_callback(EventType.SUCCESS, close)
    await (await submit(client, 1))
    await asyncio.sleep(5)
    assert done == ["closed"]
    assert client.is_closed


@in_virtual_time
async def test_a_slow_callback_ends_before_the_wait_for_all_does() -> None:
    """Within the grace time, what it counts is counted."""
    written: list[str] = []

    async def write(event: AsyncEvent) -> None:
        await asyncio.sleep(0.5)
        written.append(event.context.request_id)

    async with new_client() as client:
        client.add_event_callback(EventType.SUCCESS, write)
        for number in range(10):
            await submit(client, number)
        await client.wait_for_all_requests()
        assert len(written) == 10


@in_virtual_time
async def test_a_callback_reads_the_context_variables_of_whoever_submitted() -> None:
    """Also after the submitter has gone on with other values."""
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user")
    seen: dict[str, str] = {}

    def plain(event: AsyncEvent) -> None:
        seen[f"plain {event.context.request_id}"] = user.get()

    async def later(event: AsyncEvent) -> None:
        await asyncio.sleep(0.1)
        seen[f"async {event.context.request_id}"] = user.get()

    async with new_client() as client:
        client.add_event_callback(EventType.SUCCESS, plain)
        client.add_event_callback(EventType.SUCCESS, later)
        for number in range(100):
            user.set(f"user {number}")
            await submit(client, number)
        user.set("nobody")
        await client.wait_for_all_requests()
    assert seen == {
        f"{kind} {number}": f"user {number}" for kind in ("plain", "async") for number in range(100)
    }


@in_virtual_time
async def test_a_retry_is_announced_before_its_wait() -> None:
    """With delay, source, cause and the number of the attempt that failed."""
    told: list[tuple[float, Any]] = []
    async with new_client() as client:
        client.add_event_callback(
            EventType.RETRY,
            lambda event: told.append((asyncio.get_running_loop().time(), event.data)),
        )
        await (await submit(client, 3))
        await client.wait_for_all_requests()
    ((at, details),) = told
    assert at == 0.1
    assert (details.attempt, details.delay, details.source) == (1, 0.1, "backoff")
    assert isinstance(details.cause, httpx.ConnectError)


@in_virtual_time
async def test_a_broken_callback_is_logged_once_with_its_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A hundred failures are a hundred in the statistics and one line in the log."""
    with caplog.at_level(logging.ERROR, logger="typed_async_client"):
        async with new_client() as client:
            client.add_event_callback(EventType.SUCCESS, Hostile(client).raising)
            for number in range(100):
                await submit(client, number)
            await client.wait_for_all_requests()
            assert client.statistics().callbacks_failed == 100
    assert len(caplog.records) == 1
    assert "Hostile.raising" in caplog.text


@in_virtual_time
async def test_a_callback_is_registered_by_name_and_removed_once() -> None:
    """An unknown kind of event is refused."""
    client = new_client()
    seen: list[AsyncEvent] = []
    client.add_event_callback("retry", seen.append)  # type: ignore[arg-type]  # a string serves too
    assert client.remove_event_callback(EventType.RETRY, seen.append) is True
    assert client.remove_event_callback(EventType.RETRY, seen.append) is False
    with pytest.raises(ValueError, match="retries"):
        client.add_event_callback("retries", seen.append)  # type: ignore[arg-type]  # the typo is the test
    await client.close()
