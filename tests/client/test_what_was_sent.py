"""A connect failure is believed only while nothing of the attempt was sent."""

from collections.abc import AsyncIterator, Generator
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncResilientClient, ConnectError, RequestContext
from typed_async_client.testing import in_virtual_time

URL = "http://pay.test/"


class Counter:
    """A transport that counts what it answers."""

    def __init__(self, status: int = 200, **headers: str) -> None:
        self.seen: list[str] = []
        self._answer = httpx.Response(status, headers=headers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Count, and answer."""
        self.seen.append(f"{request.method} {request.url.host}")
        if request.url.host == "dead.test":
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(self._answer.status_code, headers=self._answer.headers)


async def pay(counter: Any, expected: type[Exception], **options: Any) -> None:
    """Send one POST that must fail with that very class of error."""
    transport = counter if isinstance(counter, httpx.ASGITransport) else None
    async with AsyncResilientClient(
        transport=transport or httpx.MockTransport(counter), **options
    ) as client:
        task = await client.post(URL, RequestContext(max_retries=2), content=b"5")
        with pytest.raises(expected) as raised:
            await task
        assert type(raised.value) is expected


@in_virtual_time
async def test_a_response_hook_that_cannot_connect_repeats_nothing() -> None:
    """An audit service that is down is no reason to pay again."""
    counter = Counter()

    async def audit(_: httpx.Response) -> None:
        raise httpx.ConnectError("the audit service is down")

    await pay(counter, httpx.ConnectError, event_hooks={"response": [audit]})
    assert counter.seen == ["POST pay.test"]


@in_virtual_time
async def test_a_group_of_errors_of_a_hook_is_not_taken_for_a_connect_failure() -> None:
    """It reaches the caller as it is."""
    counter = Counter()

    async def audit(_: httpx.Response) -> None:
        raise ExceptionGroup("audit", [ValueError("no")])

    await pay(counter, ExceptionGroup, event_hooks={"response": [audit]})
    assert counter.seen == ["POST pay.test"]


class Refresh(httpx.Auth):
    """Asks another host for a token when it is turned away."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request; at 401, send one for a token."""
        response = yield request
        if response.status_code == 401:
            yield httpx.Request("POST", "http://dead.test/token")
            yield request


@in_virtual_time
async def test_a_token_host_that_is_down_repeats_nothing() -> None:
    """The request itself was answered, with a challenge."""
    counter = Counter(401)
    await pay(counter, httpx.ConnectError, auth=Refresh())
    assert counter.seen == ["POST pay.test", "POST dead.test"]


@in_virtual_time
async def test_a_request_hook_that_fails_at_the_second_hop_repeats_nothing() -> None:
    """The first hop was answered with a redirect."""
    counter = Counter(303, location="http://next.test/")

    async def refuse(request: httpx.Request) -> None:
        if request.url.host == "next.test":
            raise httpx.ConnectError("not there")

    await pay(counter, httpx.ConnectError, follow_redirects=True, event_hooks={"request": [refuse]})
    assert counter.seen == ["POST pay.test"]


@in_virtual_time
async def test_an_application_in_process_runs_once_whatever_it_raises() -> None:
    """Its own upstream may be down; the request had reached it."""
    runs: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        runs.append(scope["path"])
        raise httpx.ConnectError("the application's upstream is down")

    await pay(httpx.ASGITransport(app=app), httpx.ConnectError)
    assert runs == ["/"]


@in_virtual_time
async def test_a_body_that_fails_on_its_way_is_not_sent_anew() -> None:
    """It is used up; a second attempt would send an empty one and call it a success."""
    bodies: list[bytes] = []

    async def keep(request: httpx.Request) -> httpx.Response:
        bodies.append(await request.aread())
        return httpx.Response(200)

    async def body() -> AsyncIterator[bytes]:
        yield b"first half, "
        raise httpx.ConnectError("where the second half comes from is down")

    async with AsyncResilientClient(transport=httpx.MockTransport(keep)) as client:
        task = await client.post(URL, content=body())
        with pytest.raises(httpx.ConnectError) as raised:
            await task
    assert type(raised.value) is httpx.ConnectError
    assert bodies == []


@in_virtual_time
async def test_an_idempotent_request_is_made_anew_all_the_same() -> None:
    """A GET whose redirect leads to a dead host may be repeated from its start."""
    counter = Counter(302, location="http://dead.test/")
    transport = httpx.MockTransport(counter)
    async with AsyncResilientClient(transport=transport, follow_redirects=True) as client:
        task = await client.get(URL)
        with pytest.raises(ConnectError, match=r"cannot connect to dead\.test:80: refused"):
            await task
    assert counter.seen == ["GET pay.test", "GET dead.test"] * 3
