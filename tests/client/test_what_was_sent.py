"""A connect failure is believed only while nothing of the attempt was sent.

The same for a client of our own making, and for one that is brought along.
"""

from collections.abc import AsyncIterator, Generator
from typing import Any

import pytest
from external_clients import WAYS, Way

from typed_async_client import ConnectError, RequestContext
from typed_async_client.testing import in_virtual_time

URL = "http://pay.test/"

pytestmark = pytest.mark.parametrize("way", WAYS, ids=str)


class Counter:
    """An application that counts what it answers."""

    def __init__(self, way: Way, status: int = 200, **headers: str) -> None:
        self.seen: list[str] = []
        self._library = way.library
        self._status = status
        self._headers = headers

    def __call__(self, request: Any) -> Any:
        """Count, and answer."""
        self.seen.append(f"{request.method} {request.url.host}")
        if request.url.host == "dead.test":
            raise self._library.ConnectError("refused", request=request)
        return self._library.Response(self._status, headers=self._headers)


async def pay(way: Way, transport: Any, expected: type[Exception], **options: Any) -> None:
    """Send one POST that must fail with that very class of error."""
    async with way.client(transport=transport, **options) as client:
        task = await client.post(URL, RequestContext(max_retries=2), content=b"5")
        with pytest.raises(expected) as raised:
            await task
        assert type(raised.value) is expected


@in_virtual_time
async def test_a_response_hook_that_cannot_connect_repeats_nothing(way: Way) -> None:
    """An audit service that is down is no reason to pay again."""
    counter = Counter(way)

    async def audit(_: Any) -> None:
        raise way.library.ConnectError("the audit service is down")

    await pay(way, counter, way.library.ConnectError, event_hooks={"response": [audit]})
    assert counter.seen == ["POST pay.test"]


@in_virtual_time
async def test_a_group_of_errors_of_a_hook_is_not_taken_for_a_connect_failure(way: Way) -> None:
    """It reaches the caller as it is."""
    counter = Counter(way)

    async def audit(_: Any) -> None:
        raise ExceptionGroup("audit", [ValueError("no")])

    await pay(way, counter, ExceptionGroup, event_hooks={"response": [audit]})
    assert counter.seen == ["POST pay.test"]


@in_virtual_time
async def test_a_token_host_that_is_down_repeats_nothing(way: Way) -> None:
    """The request itself was answered, with a challenge."""
    counter = Counter(way, 401)

    def refresh(_: Any, request: Any) -> Generator[Any, Any, None]:
        response = yield request
        if response.status_code == 401:
            yield way.library.Request("POST", "http://dead.test/token")

    auth = type("Refresh", (way.library.Auth,), {"auth_flow": refresh})()
    await pay(way, counter, way.library.ConnectError, auth=auth)
    assert counter.seen == ["POST pay.test", "POST dead.test"]


@in_virtual_time
async def test_a_request_hook_that_fails_at_the_second_hop_repeats_nothing(way: Way) -> None:
    """The first hop was answered with a redirect."""
    counter = Counter(way, 303, location="http://next.test/")

    async def refuse(request: Any) -> None:
        if request.url.host == "next.test":
            raise way.library.ConnectError("not there")

    await pay(
        way,
        counter,
        way.library.ConnectError,
        follow_redirects=True,
        event_hooks={"request": [refuse]},
    )
    assert counter.seen == ["POST pay.test"]


@in_virtual_time
async def test_an_application_in_process_runs_once_whatever_it_raises(way: Way) -> None:
    """Its own upstream may be down; the request had reached it."""
    runs: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        runs.append(scope["path"])
        raise way.library.ConnectError("the application's upstream is down")

    await pay(way, way.library.ASGITransport(app=app), way.library.ConnectError)
    assert runs == ["/"]


@in_virtual_time
async def test_a_body_that_fails_on_its_way_is_not_sent_anew(way: Way) -> None:
    """It is used up; a second attempt would send an empty one and call it a success."""
    bodies: list[bytes] = []

    async def keep(request: Any) -> Any:
        bodies.append(await request.aread())
        return way.library.Response(200)

    async def body() -> AsyncIterator[bytes]:
        yield b"first half, "
        raise way.library.ConnectError("where the second half comes from is down")

    async with way.client(transport=keep) as client:
        task = await client.post(URL, content=body())
        with pytest.raises(way.library.ConnectError) as raised:
            await task
    assert type(raised.value) is way.library.ConnectError
    assert bodies == []


@in_virtual_time
async def test_an_idempotent_request_is_made_anew_all_the_same(way: Way) -> None:
    """A GET whose redirect leads to a dead host may be repeated from its start."""
    counter = Counter(way, 302, location="http://dead.test/")
    async with way.client(transport=counter, follow_redirects=True) as client:
        task = await client.get(URL)
        with pytest.raises(ConnectError, match=r"cannot connect to dead\.test:80: refused"):
            await task
    assert counter.seen == ["GET pay.test", "GET dead.test"] * 3


@in_virtual_time
async def test_a_body_that_was_sent_to_an_earlier_hop_is_not_sent_anew_and_empty(way: Way) -> None:
    """A PUT is idempotent, but its generator is used up: the next attempt would store nothing."""
    stored: list[bytes] = []

    async def keep(request: Any) -> Any:
        if request.url.host == "dead.test":
            raise way.library.ConnectError("refused", request=request)
        stored.append(await request.aread())
        return way.library.Response(307, headers={"location": "http://dead.test/"})

    async def body() -> AsyncIterator[bytes]:
        yield b"the new content"

    async with way.client(transport=keep, follow_redirects=True) as client:
        task = await client.put(URL, content=body())
        with pytest.raises(way.library.HTTPError):
            await task
    assert stored == [b"the new content"]
