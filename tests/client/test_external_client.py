"""A client that the user brings is used, watched, and left as it was."""

import copy
import pickle
from collections.abc import AsyncIterator
from typing import Any

import httpcore
import httpx
import pytest
from external_clients import BROUGHT, WAYS, Way

from typed_async_client import (
    AsyncEvent,
    AsyncResilientClient,
    ConnectError,
    EventType,
    RequestContext,
    ResultStatus,
    create_async_resilient_client,
)
from typed_async_client.testing import in_virtual_time

URL = "http://service.test/"

brought = pytest.mark.parametrize("way", BROUGHT, ids=str)


class Down:
    """An application that nobody can connect to, until it is up."""

    def __init__(self, way: Way, refusals: int = 1_000) -> None:
        self.attempts = 0
        self._library = way.library
        self._refusals = refusals

    def __call__(self, request: Any) -> Any:
        """Count, and refuse."""
        self.attempts += 1
        if self.attempts <= self._refusals:
            raise self._library.ConnectError("refused", request=request)
        return self._library.Response(200, headers={"X-Up": "yes"}, text="up")


def over(way: Way, application: Any, **options: Any) -> Any:
    """Give a client of the way's library, as a user makes it."""
    return way.library.AsyncClient(transport=way.library.MockTransport(application), **options)


@brought
async def test_the_very_client_that_is_brought_is_used_and_stays_open(way: Way) -> None:
    """Whoever made it closes it."""
    async with over(way, Down(way, refusals=0)) as theirs:
        async with AsyncResilientClient(http_client=theirs) as client:
            assert client._client is theirs
            response = await (await client.get(URL))
            assert type(response) is way.library.Response
        assert not theirs.is_closed
        assert (await theirs.get(URL)).text == "up"
    assert theirs.is_closed


@brought
@pytest.mark.parametrize("method", ["GET", "POST"])
@in_virtual_time
async def test_a_connect_failure_is_retried_for_every_method(way: Way, method: str) -> None:
    """Our hooks in the client tell that nothing else was sent."""
    down = Down(way, refusals=2)
    async with over(way, down) as theirs, AsyncResilientClient(http_client=theirs) as client:
        response = await (await client.request_async(method, URL, RequestContext(request_id="r")))
        assert response.text == "up"
        result = client.get_result("r")
    assert result is not None
    assert (result.attempts, down.attempts) == (3, 3)


@pytest.mark.parametrize("way", WAYS, ids=str)
@in_virtual_time
async def test_a_spent_connect_failure_is_caught_by_every_name(way: Way) -> None:
    """Ours, httpx's, httpcore's, and those of the library that the client is of."""
    async with way.client(transport=Down(way)) as client:
        with pytest.raises(ConnectError, match=r"cannot connect to service\.test:80") as raised:
            await (await client.post(URL))
    error = raised.value
    assert isinstance(error, httpx.ConnectError)
    assert isinstance(error, httpcore.ConnectError)
    assert isinstance(error, way.library.ConnectError)
    assert type(error.__cause__) is way.library.ConnectError
    assert error.__notes__ == ["no connection after 3 attempts"]


@pytest.mark.parametrize("way", WAYS, ids=str)
@in_virtual_time
async def test_a_spent_connect_failure_survives_pickling_and_copying(way: Way) -> None:
    """With its class, its words, its notes and its request."""
    async with way.client(transport=Down(way)) as client:
        with pytest.raises(ConnectError) as raised:
            await (await client.post(URL))
    error = raised.value
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert (str(twin), twin.args, twin.__notes__) == (str(error), error.args, error.__notes__)
        assert type(twin.request) is way.library.Request
        assert twin.request.url == URL


@brought
@in_virtual_time
async def test_a_timeout_of_its_library_ends_as_one(way: Way) -> None:
    """It is told by name, so that no library needs to be installed."""
    attempts: list[str] = []

    def slow(request: Any) -> None:
        attempts.append(request.method)
        raise way.library.ReadTimeout("slow", request=request)

    async with over(way, slow) as theirs, AsyncResilientClient(http_client=theirs) as client:
        task = await client.get(URL, RequestContext(request_id="r"))
        with pytest.raises(way.library.ReadTimeout):
            await task
        result = client.get_result("r")
    assert result is not None
    assert (result.status, attempts) == (ResultStatus.TIMEOUT, ["GET"])


@brought
async def test_what_a_callback_does_to_a_response_is_seen_by_nobody_else(way: Way) -> None:
    """An event carries a copy of the response, whichever library's it is."""
    seen: list[AsyncEvent] = []

    def spoil(event: AsyncEvent) -> None:
        event.data.headers["X-Up"] = "spoilt"
        event.data.request.headers["X-Sent"] = "spoilt"
        seen.append(event)

    async with (
        over(way, Down(way, refusals=0)) as theirs,
        AsyncResilientClient(http_client=theirs) as client,
    ):
        client.add_event_callback(EventType.SUCCESS, spoil)
        response = await (await client.get(URL))
        await client.wait_for_all_requests()
    assert type(seen[0].data) is way.library.Response
    assert seen[0].data.text == "up"
    assert response.headers["X-Up"] == "yes"
    assert "X-Sent" not in response.request.headers


@brought
async def test_cookies_of_its_library_are_copied_when_a_request_is_submitted(way: Way) -> None:
    """What the caller changes later is not sent."""
    sent: list[str] = []

    def note(request: Any) -> Any:
        sent.append(request.headers["Cookie"])
        return way.library.Response(200)

    async with over(way, note) as theirs, AsyncResilientClient(http_client=theirs) as client:
        cookies = way.library.Cookies({"a": "1"})
        task = await client.get(URL, cookies=cookies)
        cookies.set("a", "2")
        with pytest.deprecated_call():
            await task
    assert sent == ["a=1"]


# Hooks


@brought
async def test_the_hooks_of_the_user_stay_in_place_and_in_order(way: Way) -> None:
    """While ours are there, and after they have gone."""
    calls: list[str] = []

    def hook(name: str) -> Any:
        async def note(_: Any) -> None:
            calls.append(name)

        return note

    given = {
        "request": [hook("request 1"), hook("request 2")],
        "response": [hook("response 1"), hook("response 2")],
    }
    async with over(way, Down(way, refusals=0), event_hooks=given) as theirs:
        async with AsyncResilientClient(http_client=theirs) as client:
            await (await client.get(URL))
            assert theirs.event_hooks != given
        assert theirs.event_hooks == given
    assert calls == ["request 1", "request 2", "response 1", "response 2"]


@brought
@in_virtual_time
async def test_two_resilient_clients_over_one_client_do_not_count_twice(way: Way) -> None:
    """A POST of either has made one hop, and is retried when nobody answers."""
    down = Down(way)
    async with (
        over(way, down) as theirs,
        AsyncResilientClient(http_client=theirs) as first,
        AsyncResilientClient(http_client=theirs) as second,
    ):
        for client in (first, second, first):
            task = await client.post(URL)
            with pytest.raises(ConnectError):
                await task
        assert down.attempts == 9
        await first.close()
        with pytest.raises(ConnectError):
            await (await second.post(URL))
        assert down.attempts == 12
        await second.close()
        assert theirs.event_hooks == {"request": [], "response": []}


@brought
@pytest.mark.parametrize("place", ["assigned", "put first"])
@in_virtual_time
async def test_a_hook_that_comes_later_does_not_come_between(way: Way, place: str) -> None:
    """Hooks that replace ours, or stand before them, may fail without a second send."""
    application = Down(way, refusals=0)

    async def audit(_: Any) -> None:
        raise way.library.ConnectError("the audit service is down")

    async with (
        over(way, application) as theirs,
        AsyncResilientClient(http_client=theirs) as client,
    ):
        await (await client.post(URL))
        if place == "assigned":
            theirs.event_hooks = {"response": [audit]}
        else:
            theirs.event_hooks["response"].insert(0, audit)
        with pytest.raises(way.library.ConnectError):
            await (await client.post(URL))
    assert application.attempts == 2
    assert theirs.event_hooks["response"] == [audit]


@brought
@in_virtual_time
async def test_a_body_that_a_later_hook_puts_in_is_watched_as_well(way: Way) -> None:
    """Ours is the last hook again before each attempt; a body that has begun is not sent anew."""
    application = Down(way, refusals=0)

    async def broken(_: Any) -> AsyncIterator[bytes]:
        yield b"pay "
        raise way.library.ConnectError("where the rest comes from is down")

    body = type("Broken", (way.library.AsyncByteStream,), {"__aiter__": broken})

    async def put_in(request: Any) -> None:
        request.stream = body()
        del request._content

    async with (
        over(way, application) as theirs,
        AsyncResilientClient(http_client=theirs) as client,
    ):
        await (await client.post(URL))
        theirs.event_hooks["request"].append(put_in)
        task = await client.post(URL, RequestContext(request_id="r"), content=b"pay 5")
        with pytest.raises(way.library.ConnectError):
            await task
        result = client.get_result("r")
    assert result is not None
    assert (result.attempts, application.attempts) == (1, 1)


@brought
async def test_a_request_of_the_user_beside_ours_is_not_counted(way: Way) -> None:
    """The client may go on being used by hand; its streams are its own."""
    seen: list[str] = []

    async def body() -> Any:
        yield b"by hand"

    async def note(_: Any, request: Any) -> Any:
        seen.append(type(request.stream).__name__)
        return way.library.Response(200)

    base = way.library.AsyncBaseTransport
    transport = type("Noting", (base,), {"handle_async_request": note})()
    async with (
        way.library.AsyncClient(transport=transport) as theirs,
        AsyncResilientClient(http_client=theirs) as client,
    ):
        await (await client.post(URL, content=body()))
        await theirs.post(URL, content=body())
    assert [name == "WatchedBody" for name in seen] == [True, False]


class Wrapped:
    """What sends for us without a word of how: a client with nothing but ``request``."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def request(self, method: str, url: Any, **options: Any) -> Any:
        """Send."""
        return await self._client.request(method, url, **options)


@brought
@pytest.mark.parametrize(("method", "attempts"), [("GET", 3), ("PUT", 3), ("POST", 1)])
@in_virtual_time
async def test_a_client_without_hooks_is_believed_for_idempotent_methods_alone(
    way: Way, method: str, attempts: int
) -> None:
    """It may have been redirected before it failed to connect; a POST is not sent again."""
    down = Down(way)
    async with (
        over(way, down) as theirs,
        AsyncResilientClient(http_client=Wrapped(theirs)) as client,
    ):
        task = await client.request_async(method, URL)
        with pytest.raises(way.library.ConnectError):
            await task
    assert down.attempts == attempts


# What is refused


async def test_options_beside_a_client_are_refused_by_name() -> None:
    """They would be nobody's."""
    async with httpx.AsyncClient() as theirs:
        with pytest.raises(ValueError, match="pass limits, timeout to it"):
            AsyncResilientClient(http_client=theirs, timeout=5.0, limits=httpx.Limits())
        assert create_async_resilient_client(http_client=theirs, max_retries=5)._client is theirs


@pytest.mark.parametrize(
    "client", [httpx.Client(), object(), 5], ids=lambda client: type(client).__name__
)
def test_what_cannot_be_awaited_is_refused(client: Any) -> None:
    """A plain client would send, and only then fail."""
    with pytest.raises(TypeError, match=r"async request\(\) of an httpx.AsyncClient"):
        AsyncResilientClient(http_client=client)
