"""Connect errors of an attempt that has already sent something, with every kind of client.

Only idempotent requests are retried after one.
"""

from collections.abc import AsyncIterator, Generator
from typing import Any

import pytest
from external_clients import ALL_CLIENTS, ClientSetup

from typed_async_client import ConnectError, RequestContext
from typed_async_client.testing import in_virtual_time

URL = "http://pay.test/"

pytestmark = pytest.mark.parametrize("setup", ALL_CLIENTS, ids=str)


class RecordingHandler:
    """A handler that records the requests it receives."""

    def __init__(self, setup: ClientSetup, status: int = 200, **headers: str) -> None:
        self.received: list[str] = []
        self._library = setup.library
        self._status = status
        self._headers = headers

    def __call__(self, request: Any) -> Any:
        """Record the request, and respond or refuse."""
        self.received.append(f"{request.method} {request.url.host}")
        if request.url.host == "dead.test":
            raise self._library.ConnectError("refused", request=request)
        return self._library.Response(self._status, headers=self._headers)


async def pay(
    setup: ClientSetup, transport: Any, expected: type[Exception], **options: Any
) -> None:
    """Send one POST, which must fail with exactly that class of error."""
    async with setup.client(transport=transport, **options) as client:
        task = await client.post(URL, RequestContext(max_retries=2), content=b"5")
        with pytest.raises(expected) as raised:
            await task
        assert type(raised.value) is expected


@in_virtual_time
async def test_a_connect_error_of_a_response_hook_is_not_retried(setup: ClientSetup) -> None:
    """If an audit service is down, the payment must not be repeated."""
    handler = RecordingHandler(setup)

    async def audit(_: Any) -> None:
        raise setup.library.ConnectError("the audit service is down")

    await pay(setup, handler, setup.library.ConnectError, event_hooks={"response": [audit]})
    assert handler.received == ["POST pay.test"]


@in_virtual_time
async def test_an_exception_group_of_a_hook_is_not_a_connect_failure(setup: ClientSetup) -> None:
    """It is raised unchanged."""
    handler = RecordingHandler(setup)

    async def audit(_: Any) -> None:
        raise ExceptionGroup("audit", [ValueError("no")])

    await pay(setup, handler, ExceptionGroup, event_hooks={"response": [audit]})
    assert handler.received == ["POST pay.test"]


@in_virtual_time
async def test_a_connect_failure_of_a_token_request_is_not_retried(setup: ClientSetup) -> None:
    """The request itself received a response, which was a challenge."""
    handler = RecordingHandler(setup, 401)

    def refresh(_: Any, request: Any) -> Generator[Any, Any, None]:
        response = yield request
        if response.status_code == 401:
            yield setup.library.Request("POST", "http://dead.test/token")

    auth = type("Refresh", (setup.library.Auth,), {"auth_flow": refresh})()
    await pay(setup, handler, setup.library.ConnectError, auth=auth)
    assert handler.received == ["POST pay.test", "POST dead.test"]


@in_virtual_time
async def test_an_error_of_a_request_hook_on_the_second_hop_is_not_retried(
    setup: ClientSetup,
) -> None:
    """The first hop received a redirect."""
    handler = RecordingHandler(setup, 303, location="http://next.test/")

    async def refuse(request: Any) -> None:
        if request.url.host == "next.test":
            raise setup.library.ConnectError("not there")

    await pay(
        setup,
        handler,
        setup.library.ConnectError,
        follow_redirects=True,
        event_hooks={"request": [refuse]},
    )
    assert handler.received == ["POST pay.test"]


@in_virtual_time
async def test_an_asgi_application_runs_once_whatever_it_raises(setup: ClientSetup) -> None:
    """Its upstream may be down, but it has received the request."""
    runs: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        runs.append(scope["path"])
        raise setup.library.ConnectError("the application's upstream is down")

    await pay(setup, setup.library.ASGITransport(app=app), setup.library.ConnectError)
    assert runs == ["/"]


@in_virtual_time
async def test_a_body_that_raises_while_being_sent_is_not_sent_again(setup: ClientSetup) -> None:
    """It is exhausted: a second attempt would send an empty body and succeed."""
    bodies: list[bytes] = []

    async def record(request: Any) -> Any:
        bodies.append(await request.aread())
        return setup.library.Response(200)

    async def body() -> AsyncIterator[bytes]:
        yield b"first half, "
        raise setup.library.ConnectError("the source of the second half is down")

    async with setup.client(transport=record) as client:
        task = await client.post(URL, content=body())
        with pytest.raises(setup.library.ConnectError) as raised:
            await task
    assert type(raised.value) is setup.library.ConnectError
    assert bodies == []


@in_virtual_time
async def test_an_idempotent_request_is_retried_from_its_first_hop(setup: ClientSetup) -> None:
    """A GET whose redirect leads to a dead host may be sent again."""
    handler = RecordingHandler(setup, 302, location="http://dead.test/")
    async with setup.client(transport=handler, follow_redirects=True) as client:
        task = await client.get(URL)
        with pytest.raises(ConnectError, match=r"cannot connect to dead\.test:80: refused"):
            await task
    assert handler.received == ["GET pay.test", "GET dead.test"] * 3


@in_virtual_time
async def test_a_body_that_was_consumed_by_an_earlier_hop_is_not_sent_again(
    setup: ClientSetup,
) -> None:
    """A PUT is idempotent, but another attempt would send an empty body."""
    stored: list[bytes] = []

    async def record(request: Any) -> Any:
        if request.url.host == "dead.test":
            raise setup.library.ConnectError("refused", request=request)
        stored.append(await request.aread())
        return setup.library.Response(307, headers={"location": "http://dead.test/"})

    async def body() -> AsyncIterator[bytes]:
        yield b"the new content"

    async with setup.client(transport=record, follow_redirects=True) as client:
        task = await client.put(URL, content=body())
        with pytest.raises(setup.library.HTTPError):
            await task
    assert stored == [b"the new content"]
