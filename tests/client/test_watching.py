"""Callbacks never block, fail or delay a request, whatever they do."""

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
    """An error outside the ``Exception`` hierarchy."""


async def refuse_once(request: httpx.Request) -> httpx.Response:
    """Take 0.1 seconds, and refuse the first attempt of every third request."""
    await asyncio.sleep(0.1)
    attempts = request.extensions["attempts"]
    attempts.append(1)
    if len(attempts) == 1 and request.extensions["number"] % 3 == 0:
        raise httpx.ConnectError("refused", request=request)
    return httpx.Response(200, headers={"X-Value": "original"})


def new_client(**options: Any) -> AsyncResilientClient:
    """Create a client that sends to ``refuse_once``."""
    return AsyncResilientClient(
        transport=httpx.MockTransport(refuse_once), base_delay=0.1, random=lambda: 0.5, **options
    )


async def submit(client: AsyncResilientClient, number: int) -> asyncio.Task[httpx.Response]:
    """Submit a request with a number."""
    context = RequestContext(request_id=str(number), base_delay=0.1)
    return await client.get(
        "http://a.test/", context, extensions={"number": number, "attempts": []}
    )


class Hostile:
    """Every kind of callback that could do harm."""

    def __init__(self, client: AsyncResilientClient) -> None:
        self.client = client
        self.resubmitted = 0

    def raising(self, event: AsyncEvent) -> None:
        """Raise immediately."""
        raise ValueError(event.event_type)

    async def raising_later(self, _: AsyncEvent) -> None:
        """Raise after waiting, outside the ``Exception`` hierarchy."""
        await asyncio.sleep(0.01)
        raise Broken

    async def sleeping(self, _: AsyncEvent) -> None:
        """Take ten seconds for each event."""
        await asyncio.sleep(10)

    async def endless(self, _: AsyncEvent) -> None:
        """Never return."""
        await asyncio.Event().wait()

    async def re_entering(self, event: AsyncEvent) -> None:
        """Make a request with the same client, and wait for its response."""
        if event.event_type is EventType.SUCCESS and self.resubmitted < 50:
            self.resubmitted += 1
            await (await submit(self.client, 1_000_000 + self.resubmitted))

    def removing_itself(self, event: AsyncEvent) -> None:
        """Remove this callback when it is first called."""
        self.client.remove_event_callback(event.event_type, self.removing_itself)

    def changing_the_event(self, event: AsyncEvent) -> None:
        """Change everything in the event."""
        event.context.metadata["changed"] = True
        if event.data is not None and event.event_type is EventType.SUCCESS:
            event.data.headers["X-Value"] = "changed"

    @property
    def all(self) -> list[Any]:
        """All of them."""
        return [
            self.raising,
            self.raising_later,
            self.sleeping,
            self.endless,
            self.re_entering,
            self.removing_itself,
            self.changing_the_event,
        ]


@pytest.mark.parametrize("name", [callback.__name__ for callback in Hostile(None).all])  # type: ignore[arg-type]  # only for the names
@in_virtual_time
async def test_no_callback_delays_or_fails_a_request(name: str) -> None:
    """A hundred requests take as long as without it, even with the smallest queue."""
    async with new_client(event_queue_size=1) as client:
        for kind in EventType:
            client.add_event_callback(kind, getattr(Hostile(client), name))
        start = asyncio.get_running_loop().time()
        tasks = [await submit(client, number) for number in range(100)]
        responses = await asyncio.gather(*tasks)
        assert asyncio.get_running_loop().time() - start == pytest.approx(0.3)
        assert {response.headers["x-value"] for response in responses} == {"original"}
        assert {result.attempts for result in client.get_all_results().values()} == {1, 2}


@pytest.mark.bulk
@in_virtual_time
async def test_ten_thousand_requests_with_every_callback_have_ten_thousand_terminal_events() -> (
    None
):
    """Each request has exactly one, and one result, even with the smallest queue."""
    terminal_events: Counter[str] = Counter()
    async with new_client(event_queue_size=1, max_results=20_000) as client:
        for kind in EventType:
            for callback in Hostile(client).all:
                client.add_event_callback(kind, callback)
            if kind.is_terminal:
                client.add_event_callback(
                    kind, lambda event: terminal_events.update([event.context.request_id])
                )
        for number in range(10_000):
            task = await submit(client, number)
            if number % 10 == 0:
                task.cancel()
        results = await client.wait_for_all_requests()
        counts = client.statistics()
        submitted_here = {
            name: count for name, count in terminal_events.items() if int(name) < 1_000_000
        }
        assert submitted_here == {str(number): 1 for number in range(10_000)}
        assert len(results) == counts.submitted == sum(terminal_events.values())
        assert counts.cancelled == 1000
        assert counts.active == 0
        assert counts.events_published == (
            counts.events_delivered + counts.events_dropped + counts.events_waiting
        )


@in_virtual_time
async def test_closing_waits_for_callbacks_no_longer_than_the_grace_period() -> None:
    """Then those still running are cancelled, and no task is left."""
    async with new_client(grace=3.0) as client:
        client.add_event_callback(EventType.SUCCESS, Hostile(client).endless)
        await (await submit(client, 1))
        start = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() == pytest.approx(start + 3.0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert client.statistics().callbacks_failed == 1


@in_virtual_time
async def test_a_callback_may_close_the_client() -> None:
    """It isn't cancelled by this."""
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
async def test_waiting_for_all_requests_includes_slow_callbacks() -> None:
    """For up to the grace period."""
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
async def test_a_callback_sees_the_context_variables_of_the_submitting_code() -> None:
    """Even if that code has changed them since."""
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user")
    seen: dict[str, str] = {}

    def immediate(event: AsyncEvent) -> None:
        seen[f"sync {event.context.request_id}"] = user.get()

    async def later(event: AsyncEvent) -> None:
        await asyncio.sleep(0.1)
        seen[f"async {event.context.request_id}"] = user.get()

    async with new_client() as client:
        client.add_event_callback(EventType.SUCCESS, immediate)
        client.add_event_callback(EventType.SUCCESS, later)
        for number in range(100):
            user.set(f"user {number}")
            await submit(client, number)
        user.set("nobody")
        await client.wait_for_all_requests()
    assert seen == {
        f"{kind} {number}": f"user {number}" for kind in ("sync", "async") for number in range(100)
    }


@in_virtual_time
async def test_a_retry_event_is_published_before_the_backoff() -> None:
    """It has the delay, its source, the cause, and the number of the failed attempt."""
    retries: list[tuple[float, Any]] = []
    async with new_client() as client:
        client.add_event_callback(
            EventType.RETRY,
            lambda event: retries.append((asyncio.get_running_loop().time(), event.data)),
        )
        await (await submit(client, 3))
        await client.wait_for_all_requests()
    ((at, details),) = retries
    assert at == 0.1
    assert (details.attempt, details.delay, details.source) == (1, 0.1, "backoff")
    assert isinstance(details.cause, httpx.ConnectError)


@in_virtual_time
async def test_a_failing_callback_is_logged_once_with_its_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A hundred failures count as a hundred in the statistics, with one log record."""
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
async def test_callbacks_are_registered_by_type_or_name_and_removed_once() -> None:
    """An unknown event type raises."""
    client = new_client()
    seen: list[AsyncEvent] = []
    client.add_event_callback("retry", seen.append)
    assert client.remove_event_callback(EventType.RETRY, seen.append) is True
    assert client.remove_event_callback(EventType.RETRY, seen.append) is False
    with pytest.raises(ValueError, match="retries"):
        client.add_event_callback("retries", seen.append)
    await client.close()
