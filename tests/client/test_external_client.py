"""An external client sends the requests and is left as it was."""

import copy
import pickle
from collections.abc import AsyncIterator
from typing import Any

import httpcore
import httpx
import pytest
from external_clients import ALL_CLIENTS, EXTERNAL, ClientSetup

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

each_library = pytest.mark.parametrize("setup", EXTERNAL, ids=str)


class Down:
    """A handler that refuses a number of connections before it responds."""

    def __init__(self, setup: ClientSetup, refusals: int = 1_000) -> None:
        self.attempts = 0
        self._library = setup.library
        self._refusals = refusals

    def __call__(self, request: Any) -> Any:
        """Count the attempt, and refuse or respond."""
        self.attempts += 1
        if self.attempts <= self._refusals:
            raise self._library.ConnectError("refused", request=request)
        return self._library.Response(200, headers={"X-Up": "yes"}, text="up")


def external_client(setup: ClientSetup, handler: Any, **options: Any) -> Any:
    """Create a client of the library, as a user does."""
    return setup.library.AsyncClient(transport=setup.library.MockTransport(handler), **options)


@each_library
async def test_the_external_client_is_used_and_stays_open(setup: ClientSetup) -> None:
    """Whoever created it closes it."""
    async with external_client(setup, Down(setup, refusals=0)) as external:
        async with AsyncResilientClient(http_client=external) as client:
            assert client._client is external
            response = await (await client.get(URL))
            assert type(response) is setup.library.Response
        assert not external.is_closed
        assert (await external.get(URL)).text == "up"
    assert external.is_closed


@each_library
@pytest.mark.parametrize("method", ["GET", "POST"])
@in_virtual_time
async def test_a_connect_failure_is_retried_for_every_method(
    setup: ClientSetup, method: str
) -> None:
    """Our hooks in the client show that nothing else was sent."""
    down = Down(setup, refusals=2)
    async with (
        external_client(setup, down) as external,
        AsyncResilientClient(http_client=external) as client,
    ):
        response = await (await client.request_async(method, URL, RequestContext(request_id="r")))
        assert response.text == "up"
        result = client.get_result("r")
    assert result is not None
    assert (result.attempts, down.attempts) == (3, 3)


@pytest.mark.parametrize("setup", ALL_CLIENTS, ids=str)
@in_virtual_time
async def test_the_connect_error_is_caught_as_the_error_of_every_library(
    setup: ClientSetup,
) -> None:
    """As ours, httpx's, httpcore's, and that of the client's library."""
    async with setup.client(transport=Down(setup)) as client:
        with pytest.raises(ConnectError, match=r"cannot connect to service\.test:80") as raised:
            await (await client.post(URL))
    error = raised.value
    assert isinstance(error, httpx.ConnectError)
    assert isinstance(error, httpcore.ConnectError)
    assert isinstance(error, setup.library.ConnectError)
    assert type(error.__cause__) is setup.library.ConnectError
    assert error.__notes__ == ["no connection after 3 attempts"]


@pytest.mark.parametrize("setup", ALL_CLIENTS, ids=str)
@in_virtual_time
async def test_the_connect_error_can_be_pickled_and_copied(setup: ClientSetup) -> None:
    """It keeps its class, message, notes and request."""
    async with setup.client(transport=Down(setup)) as client:
        with pytest.raises(ConnectError) as raised:
            await (await client.post(URL))
    error = raised.value
    for restored in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(restored) is type(error)
        assert (str(restored), restored.args, restored.__notes__) == (
            str(error),
            error.args,
            error.__notes__,
        )
        assert type(restored.request) is setup.library.Request
        assert restored.request.url == URL


@each_library
@in_virtual_time
async def test_a_timeout_error_of_the_clients_library_is_a_timeout(setup: ClientSetup) -> None:
    """It is recognized by its class name, so the library needn't be installed."""
    attempts: list[str] = []

    def slow(request: Any) -> None:
        attempts.append(request.method)
        raise setup.library.ReadTimeout("slow", request=request)

    async with (
        external_client(setup, slow) as external,
        AsyncResilientClient(http_client=external) as client,
    ):
        task = await client.get(URL, RequestContext(request_id="r"))
        with pytest.raises(setup.library.ReadTimeout):
            await task
        result = client.get_result("r")
    assert result is not None
    assert (result.status, attempts) == (ResultStatus.TIMEOUT, ["GET"])


@each_library
async def test_changes_to_an_events_response_do_not_affect_the_callers(setup: ClientSetup) -> None:
    """An event carries a copy of the response, whichever library it is from."""
    seen: list[AsyncEvent] = []

    def change(event: AsyncEvent) -> None:
        event.data.headers["X-Up"] = "changed"
        event.data.request.headers["X-Sent"] = "changed"
        seen.append(event)

    async with (
        external_client(setup, Down(setup, refusals=0)) as external,
        AsyncResilientClient(http_client=external) as client,
    ):
        client.add_event_callback(EventType.SUCCESS, change)
        response = await (await client.get(URL))
        await client.wait_for_all_requests()
    assert type(seen[0].data) is setup.library.Response
    assert seen[0].data.text == "up"
    assert response.headers["X-Up"] == "yes"
    assert "X-Sent" not in response.request.headers


@each_library
async def test_cookies_of_the_clients_library_are_copied_on_submission(setup: ClientSetup) -> None:
    """Later changes by the caller aren't sent."""
    sent: list[str] = []

    def record(request: Any) -> Any:
        sent.append(request.headers["Cookie"])
        return setup.library.Response(200)

    async with (
        external_client(setup, record) as external,
        AsyncResilientClient(http_client=external) as client,
    ):
        cookies = setup.library.Cookies({"a": "1"})
        task = await client.get(URL, cookies=cookies)
        cookies.set("a", "2")
        with pytest.deprecated_call():
            await task
    assert sent == ["a=1"]


# Hooks


@each_library
async def test_the_users_hooks_stay_in_place_and_in_order(setup: ClientSetup) -> None:
    """While our hooks are installed, and after they are removed."""
    calls: list[str] = []

    def hook(name: str) -> Any:
        async def record(_: Any) -> None:
            calls.append(name)

        return record

    hooks = {
        "request": [hook("request 1"), hook("request 2")],
        "response": [hook("response 1"), hook("response 2")],
    }
    async with external_client(setup, Down(setup, refusals=0), event_hooks=hooks) as external:
        async with AsyncResilientClient(http_client=external) as client:
            await (await client.get(URL))
            assert external.event_hooks != hooks
        assert external.event_hooks == hooks
    assert calls == ["request 1", "request 2", "response 1", "response 2"]


@each_library
@in_virtual_time
async def test_two_resilient_clients_with_the_same_external_client_count_separately(
    setup: ClientSetup,
) -> None:
    """A POST of either counts as one hop, so its connect failures are retried."""
    down = Down(setup)
    async with (
        external_client(setup, down) as external,
        AsyncResilientClient(http_client=external) as first,
        AsyncResilientClient(http_client=external) as second,
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
        assert external.event_hooks == {"request": [], "response": []}


@each_library
@pytest.mark.parametrize("place", ["assigned", "inserted first"])
@in_virtual_time
async def test_hooks_that_are_added_later_do_not_cause_a_second_send(
    setup: ClientSetup, place: str
) -> None:
    """Even if they replace ours, or run before them and raise."""
    handler = Down(setup, refusals=0)

    async def audit(_: Any) -> None:
        raise setup.library.ConnectError("the audit service is down")

    async with (
        external_client(setup, handler) as external,
        AsyncResilientClient(http_client=external) as client,
    ):
        await (await client.post(URL))
        if place == "assigned":
            external.event_hooks = {"response": [audit]}
        else:
            external.event_hooks["response"].insert(0, audit)
        with pytest.raises(setup.library.ConnectError):
            await (await client.post(URL))
    assert handler.attempts == 2
    assert external.event_hooks["response"] == [audit]


@each_library
@in_virtual_time
async def test_a_body_set_by_a_hook_that_is_added_later_is_watched(setup: ClientSetup) -> None:
    """Our hook is moved to the end before each attempt, so it sees that body being sent."""
    handler = Down(setup, refusals=0)

    async def broken(_: Any) -> AsyncIterator[bytes]:
        yield b"pay "
        raise setup.library.ConnectError("the source of the rest is down")

    body = type("Broken", (setup.library.AsyncByteStream,), {"__aiter__": broken})

    async def replace_body(request: Any) -> None:
        request.stream = body()
        del request._content

    async with (
        external_client(setup, handler) as external,
        AsyncResilientClient(http_client=external) as client,
    ):
        await (await client.post(URL))
        external.event_hooks["request"].append(replace_body)
        task = await client.post(URL, RequestContext(request_id="r"), content=b"pay 5")
        with pytest.raises(setup.library.ConnectError):
            await task
        result = client.get_result("r")
    assert result is not None
    assert (result.attempts, handler.attempts) == (1, 1)


@each_library
async def test_a_request_made_with_the_external_client_directly_is_not_watched(
    setup: ClientSetup,
) -> None:
    """The external client can still be used directly, and its bodies are unchanged."""
    seen: list[str] = []

    async def body() -> Any:
        yield b"direct"

    async def record(_: Any, request: Any) -> Any:
        seen.append(type(request.stream).__name__)
        return setup.library.Response(200)

    base = setup.library.AsyncBaseTransport
    transport = type("Recording", (base,), {"handle_async_request": record})()
    async with (
        setup.library.AsyncClient(transport=transport) as external,
        AsyncResilientClient(http_client=external) as client,
    ):
        await (await client.post(URL, content=body()))
        await external.post(URL, content=body())
    assert [name == "WatchedBody" for name in seen] == [True, False]


class Wrapped:
    """A client that has only a ``request`` method, and no hooks."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def request(self, method: str, url: Any, **options: Any) -> Any:
        """Send the request."""
        return await self._client.request(method, url, **options)


@each_library
@pytest.mark.parametrize(("method", "attempts"), [("GET", 3), ("PUT", 3), ("POST", 1)])
@in_virtual_time
async def test_without_hooks_only_idempotent_requests_are_retried(
    setup: ClientSetup, method: str, attempts: int
) -> None:
    """The request may have been redirected before the connect failure."""
    down = Down(setup)
    async with (
        external_client(setup, down) as external,
        AsyncResilientClient(http_client=Wrapped(external)) as client,
    ):
        task = await client.request_async(method, URL)
        with pytest.raises(setup.library.ConnectError):
            await task
    assert down.attempts == attempts


# Invalid arguments


async def test_options_together_with_an_external_client_raise() -> None:
    """They would have no effect."""
    async with httpx.AsyncClient() as external:
        with pytest.raises(ValueError, match="pass limits, timeout to it"):
            AsyncResilientClient(http_client=external, timeout=5.0, limits=httpx.Limits())
        assert (
            create_async_resilient_client(http_client=external, max_retries=5)._client is external
        )


@pytest.mark.parametrize(
    "client", [httpx.Client(), object(), 5], ids=lambda client: type(client).__name__
)
def test_a_client_without_an_async_request_method_raises(client: Any) -> None:
    """A synchronous client would send, and only then fail."""
    with pytest.raises(TypeError, match=r"async request\(\) of an httpx.AsyncClient"):
        AsyncResilientClient(http_client=client)
