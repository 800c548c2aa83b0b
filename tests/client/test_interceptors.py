"""Interceptors: a chain that is one middleware, and can change while requests are running."""

import asyncio
from typing import Any

import httpx
import pytest
from middleware_kit import App, watched_client

from typed_async_client import InterceptedRequest, InterceptorChain, ResilientTransport
from typed_async_client.testing import in_virtual_time

URL = "https://api.test/items"


class Tagging:
    """Tags requests and responses, and notes the order."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    async def intercept_request(self, context: Any) -> Any:
        """Add a header."""
        self.log.append(f"{self.name} request")
        context.headers[f"X-{self.name}"] = "1"
        return context

    def intercept_response(self, response: Any) -> Any:
        """Add a header."""
        self.log.append(f"{self.name} response")
        response.headers[f"X-{self.name}"] = "1"
        return response


@in_virtual_time
async def test_requests_pass_in_order_and_responses_in_reverse() -> None:
    """Async methods and plain ones; around retries, as one middleware."""
    log: list[str] = []
    chain = InterceptorChain([Tagging("a", log)])
    chain.add_interceptor(Tagging("b", log))
    app = App(httpx.ConnectError("refused"))
    async with watched_client(app, [chain]) as watched:
        response = await watched.client.request("GET", URL, headers={"X-Given": "1"})
        assert await watched.kinds() == ["retry", "success"]
    assert log == ["a request", "b request", "b response", "a response"]
    for name in ("x-a", "x-b", "x-given"):
        assert [request.headers[name] for request in app.requests] == ["1", "1"]
    assert (response.headers["x-a"], response.headers["x-b"]) == ("1", "1")


@in_virtual_time
async def test_an_interceptor_changes_the_method_and_the_url() -> None:
    """What else the request asks for is in its call."""

    class Moving:
        def intercept_request(self, context: InterceptedRequest) -> InterceptedRequest:
            assert context.call.options["content"] == b"x"
            context.method, context.url = "PUT", "https://other.test/"
            return context

        def intercept_response(self, response: httpx.Response) -> httpx.Response:
            return response

    app = App()
    async with watched_client(app, [InterceptorChain([Moving()])]) as watched:
        await watched.client.request("POST", URL, content=b"x")
    [request] = app.requests
    assert (request.method, str(request.url), request.content) == (
        "PUT",
        "https://other.test/",
        b"x",
    )


@in_virtual_time
async def test_a_request_that_has_begun_keeps_its_interceptors() -> None:
    """Removed and added meanwhile: the next request passes the new ones."""
    log: list[str] = []
    first, second = Tagging("a", log), Tagging("b", log)
    chain = InterceptorChain([first])

    async def app(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1.0)
        return httpx.Response(200)

    async with watched_client(app, [chain]) as watched:
        task = await watched.client.get(URL)
        await asyncio.sleep(0.5)
        chain.remove_interceptor(first)
        chain.add_interceptor(second)
        await task
        await watched.client.request("GET", URL)
    assert log == ["a request", "a response", "b request", "b response"]


async def test_a_chain_can_be_used_by_hand() -> None:
    """It has the methods of a protocol that other clients have, too."""
    log: list[str] = []
    chain = InterceptorChain([Tagging("a", log), Tagging("b", log)])
    request = httpx.Request("GET", URL)
    assert await chain.process_request(request) is request
    response = httpx.Response(200)
    assert await chain.process_response(response) is response
    assert log == ["a request", "b request", "b response", "a response"]


async def test_a_chain_works_in_a_transport() -> None:
    """There, it sees the requests of httpx."""
    log: list[str] = []
    transport = ResilientTransport(
        httpx.MockTransport(lambda request: httpx.Response(200, json=dict(request.headers))),
        middleware=[InterceptorChain([Tagging("a", log)])],
    )
    async with httpx.AsyncClient(transport=transport) as client:
        response = await client.get(URL)
    assert response.json()["x-a"] == response.headers["x-a"] == "1"


@pytest.mark.parametrize(
    ("method", "result", "message"),
    [
        ("intercept_request", None, r"Wrong.intercept_request\(\) returned None"),
        ("intercept_response", None, r"Wrong.intercept_response\(\) returned None"),
        ("intercept_request", "text", r"must return the context that it was given, got str"),
        ("intercept_response", "text", "must return a response, got str"),
    ],
)
@in_virtual_time
async def test_what_an_interceptor_must_not_return_is_named(
    method: str, result: Any, message: str
) -> None:
    """Above all None, if it forgets to return."""

    class Wrong:
        def intercept_request(self, context: Any) -> Any:
            return result if method == "intercept_request" else context

        def intercept_response(self, response: Any) -> Any:
            return result if method == "intercept_response" else response

    async with watched_client(App(), [InterceptorChain([Wrong()])]) as watched:
        with pytest.raises(TypeError, match=message):
            await watched.client.request("GET", URL)
        assert await watched.kinds() == ["error"]


def test_what_is_no_interceptor_is_refused() -> None:
    """When it is added, not when it is called; an unknown one can't be removed."""

    class Half:
        def intercept_request(self, context: Any) -> Any:
            return context

    half: Any = Half()
    kind: Any = Tagging
    with pytest.raises(TypeError, match=r"Half has no method intercept_response\(\)"):
        InterceptorChain([half])
    with pytest.raises(TypeError, match="Tagging is a class: pass an instance"):
        InterceptorChain([kind])
    with pytest.raises(ValueError, match="Tagging isn't in the chain"):
        InterceptorChain().remove_interceptor(Tagging("a", []))
