"""Middleware beside the options of httpx and of the client: hooks, auth, views, external clients."""

from typing import Any

import httpx
import pytest
from middleware_kit import App, tagging, watched_client

from typed_async_client import (
    AsyncResilientClient,
    Call,
    CallNext,
    create_async_resilient_client,
    simple_async_request,
)
from typed_async_client.testing import in_virtual_time

URL = "https://api.test/items"


@in_virtual_time
async def test_event_hooks_and_auth_act_on_each_attempt() -> None:
    """They are httpx's, inside of the retries; the middleware is called once."""
    log: list[str] = []

    class Token(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Any:
            log.append("auth")
            request.headers["Authorization"] = "token"
            yield request

    async def hook(_: httpx.Request) -> None:
        log.append("hook")

    app = App(httpx.ConnectError("refused"))
    options = {"auth": Token(), "event_hooks": {"request": [hook]}}
    async with watched_client(app, [tagging("m", log)], **options) as watched:
        await watched.client.request("GET", URL)
    assert log == ["m in", "auth", "hook", "auth", "hook", "m out"]
    assert app.requests[0].headers["authorization"] == "token"


@in_virtual_time
async def test_a_view_has_its_own_middleware() -> None:
    """It replaces the client's; a view that says nothing keeps it."""
    log: list[str] = []
    async with watched_client(App(), [tagging("a", log)]) as watched:
        client = watched.client
        await client.with_options(middleware=[tagging("b", log)]).request("GET", URL)
        await client.with_options(deadline=5.0).request("GET", URL)
        await client.with_options(middleware=[]).request("GET", URL)
    assert log == ["b in", "b out", "a in", "a out"]


@in_virtual_time
async def test_the_shortcuts_take_middleware() -> None:
    """As they take every option of a client."""
    log: list[str] = []
    options: dict[str, Any] = {
        "transport": httpx.MockTransport(App()),
        "middleware": [tagging("m", log)],
    }
    await simple_async_request("GET", URL, **options)
    async with create_async_resilient_client(**options) as client:
        await client.request("GET", URL)
    assert log == ["m in", "m out"] * 2


@in_virtual_time
async def test_options_are_checked_before_the_middleware_is_called() -> None:
    """An unknown option, or a body that can't be sent, is refused as it is without middleware."""
    log: list[str] = []
    async with watched_client(App(), [tagging("m", log)]) as watched:
        unknown: dict[str, Any] = {"header": {}}
        with pytest.raises(TypeError, match="did you mean 'headers'"):
            await watched.client.get(URL, **unknown)
        with pytest.raises(TypeError, match="not JSON serializable"):
            await watched.client.post(URL, json=object())
        assert await watched.kinds() == []
    assert log == []


@in_virtual_time
async def test_an_external_client_is_used_by_each_call() -> None:
    """With its own hooks; the options that a middleware changes are passed to it."""
    app = App(httpx.ConnectError("refused"))
    log: list[str] = []

    async def change(call: Call, call_next: CallNext) -> httpx.Response:
        return await call_next(call.with_header("X-Tenant", "blue"))

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(app)) as external,
        AsyncResilientClient(
            http_client=external, middleware=[tagging("m", log), change]
        ) as client,
    ):
        assert (await client.request("GET", URL)).status_code == 200
    assert [request.headers["x-tenant"] for request in app.requests] == ["blue", "blue"]
    assert log == ["m in", "m out"]


@in_virtual_time
async def test_a_response_of_its_own_has_a_request_beside_any_client() -> None:
    """One without a method to build requests, too; a request that it has is kept."""

    class Sending:
        async def request(self, method: str, url: str, **_: Any) -> httpx.Response:
            return httpx.Response(200, request=httpx.Request(method, url))

    async def cached(call: Call, call_next: CallNext) -> httpx.Response:
        if call.url == URL:
            return httpx.Response(200, text="cached")
        return await call_next(call)

    async with AsyncResilientClient(http_client=Sending(), middleware=[cached]) as client:
        first = await client.request("GET", URL, params={"page": 1})
        second = await client.request("GET", "https://other.test/")
    assert str(first.raise_for_status().url) == f"{URL}?page=1"
    assert str(second.url) == "https://other.test/"


@in_virtual_time
async def test_a_body_of_its_own_that_breaks_is_closed() -> None:
    """The error of the body is that of the request."""

    class Broken(httpx.AsyncByteStream):
        is_closed = False

        async def __aiter__(self) -> Any:
            yield b"part"
            raise httpx.ReadError("cut")

        async def aclose(self) -> None:
            self.is_closed = True

    body = Broken()

    async def streaming(_: Call, __: CallNext) -> httpx.Response:
        return httpx.Response(200, stream=body)

    async with watched_client(App(), [streaming]) as watched:
        with pytest.raises(httpx.ReadError, match="cut"):
            await watched.client.request("GET", URL)
        assert await watched.kinds() == ["error"]
    assert body.is_closed
