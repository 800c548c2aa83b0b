"""Middleware of ``ResilientTransport``: requests of httpx in, responses with open bodies out."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from middleware_sending import ATTEMPTS, URL, Sending, Server, passing

from typed_async_client import Bulkhead, BulkheadFullError, RequestBodyConsumedError, Resilience

pytestmark = pytest.mark.parametrize("kind", ["sync", "async"])


async def test_the_request_ends_with_the_body(kind: str) -> None:
    """Also around retries; the response that a middleware gets knows its request and attempts."""
    seen: list[Any] = []

    def looking(request: httpx.Request) -> Any:
        response = yield request
        seen.append((response.request is request, response.is_closed, sending.kinds))
        seen.append(response.extensions[ATTEMPTS].attempts)
        return response

    sending = Sending(kind, Server(httpx.ConnectError("refused")), looking, passing, base_delay=0.0)
    response = await sending.open()
    assert seen == [(True, False, ["retry"]), 2]
    assert sending.kinds == ["retry"]
    assert await sending.read(response) == b"parts"
    assert sending.kinds == ["retry", "success"]
    assert response.extensions[ATTEMPTS].attempts == 2


async def test_a_body_that_breaks_is_an_error_of_the_request(kind: str) -> None:
    """The reader has the error, and so has the only terminal event."""
    server = Server()
    server.broken = httpx.ReadError("cut")
    sending = Sending(kind, server, passing)
    response = await sending.open()
    with pytest.raises(httpx.ReadError) as raised:
        await sending.read(response)
    assert sending.kinds == ["error"]
    assert sending.events[-1].error is raised.value


async def test_a_body_that_is_closed_ends_the_request(kind: str) -> None:
    """Unread: its connection is free, and its permit is given back."""
    server = Server()
    policies = Resilience(bulkhead=Bulkhead(max_concurrent=1, max_wait=0.0))
    sending = Sending(kind, server, passing, resilience=policies)
    response = await sending.open()
    with pytest.raises(BulkheadFullError):
        await sending.open()
    await sending.close(response)
    assert server.bodies[0].is_closed
    await sending.read(await sending.open())
    assert sending.kinds == ["rejected", "success", "success"]


async def test_responses_that_a_middleware_drops_are_discarded(kind: str) -> None:
    """It asks again, and returns the second response; or makes one, or raises."""

    def twice(request: httpx.Request) -> Any:
        yield request
        return (yield request)

    def replacing(request: httpx.Request) -> Any:
        yield request
        return httpx.Response(203, text="own")

    def failing(request: httpx.Request) -> Any:
        yield request
        raise ValueError("no")

    server = Server()
    sending = Sending(kind, server, twice)
    response = await sending.open()
    assert [body.is_closed for body in server.bodies] == [True, False]
    assert response.extensions[ATTEMPTS].attempts == 2
    await sending.read(response)
    replaced = Sending(kind, server, replacing)
    assert await replaced.read(await replaced.open()) == b"own"
    failed = Sending(kind, server, failing)
    with pytest.raises(ValueError, match="no"):
        await failed.open()
    assert all(body.is_closed for body in server.bodies)
    assert (sending.kinds, replaced.kinds, failed.kinds) == (["success"], ["success"], ["error"])


async def test_a_middleware_may_wrap_the_body(kind: str) -> None:
    """A response that it has made from another one ends the request when it ends itself."""

    class Upper(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __init__(self, inner: httpx.Response) -> None:
            self.inner = inner

        def __iter__(self) -> Iterator[bytes]:
            yield from (part.upper() for part in self.inner.iter_bytes())

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for part in self.inner.aiter_bytes():
                yield part.upper()

        def close(self) -> None:
            self.inner.close()

        async def aclose(self) -> None:
            await self.inner.aclose()

    def upper(request: httpx.Request) -> Any:
        response = yield request
        return httpx.Response(response.status_code, stream=Upper(response))

    server = Server()
    sending = Sending(kind, server, upper)
    response = await sending.open()
    assert sending.kinds == []
    assert not server.bodies[0].is_closed
    assert await sending.read(response) == b"PARTS"
    assert sending.kinds == ["success"]


async def test_a_middleware_may_read_the_body(kind: str) -> None:
    """The client then finds it in memory; the request ends when the middleware returns."""
    server = Server()

    def reading(request: httpx.Request) -> Any:
        response = yield request
        if kind == "sync":
            assert response.read() == b"parts"
        assert sending.kinds == []
        return response

    sending = Sending(kind, server, reading)
    response = await sending.open()
    assert sending.kinds == (["success"] if kind == "sync" else [])
    assert await sending.read(response) == b"parts"
    assert sending.kinds == ["success"]


async def test_another_request_is_sent_in_its_place(kind: str) -> None:
    """It keeps the timeouts and the options of the request, unless it brings its own."""

    def moving(request: httpx.Request) -> Any:
        return (yield httpx.Request("PUT", "https://other.test/", content=b"x"))

    server = Server()
    policies = Resilience(automatic_key=True)
    sending = Sending(kind, server, moving, resilience=policies)
    await sending.read(await sending.open("POST", timeout=3.0))
    [request] = server.requests
    assert (request.method, str(request.url)) == ("PUT", "https://other.test/")
    assert request.extensions["timeout"]["read"] == 3.0
    assert (sending.events[-1].method, sending.events[-1].url) == ("POST", URL)


async def test_all_calls_belong_to_one_request(kind: str) -> None:
    """One id and one history, whatever is retried; a call has retries of its own."""

    def again(request: httpx.Request) -> Any:
        try:
            yield request
        except httpx.ConnectError:
            return (yield request)
        raise AssertionError

    refused = [httpx.ConnectError("refused")] * 3
    sending = Sending(kind, Server(*refused), again, base_delay=0.0, max_retries=1)
    response = await sending.open()
    await sending.read(response)
    assert sending.kinds == ["retry", "retry", "success"]
    assert len({event.context.request_id for event in sending.events}) == 1
    history = response.extensions[ATTEMPTS]
    assert [record.number for record in history.records] == [1, 2, 3, 4]
    assert history.request_id == sending.events[0].context.request_id


async def test_each_call_sends_the_same_key(kind: str) -> None:
    """One key for the request, which the policies have made."""

    def again(request: httpx.Request) -> Any:
        yield request
        return (yield request)

    server = Server()
    policies = Resilience(automatic_key=True)
    sending = Sending(kind, server, again, resilience=policies)
    await sending.read(await sending.open("POST", content=b"x"))
    keys = {request.headers["idempotency-key"] for request in server.requests}
    assert (len(keys), len(server.requests)) == (1, 2)


async def test_a_body_that_can_be_read_once_is_sent_once(kind: str) -> None:
    """A second call would send its rest, or nothing."""

    def sync_parts() -> Iterator[bytes]:
        yield b"x"

    async def parts() -> AsyncIterator[bytes]:
        yield b"x"

    def twice(request: httpx.Request) -> Any:
        yield request
        return (yield request)

    server = Server()
    sending = Sending(kind, server, twice)
    content: Any = sync_parts() if kind == "sync" else parts()
    with pytest.raises(RequestBodyConsumedError, match="an earlier call has sent it"):
        await sending.open("POST", content=content)
    assert len(server.requests) == 1
    assert sending.kinds == ["error"]
    assert server.bodies[0].is_closed


async def test_what_is_no_response_or_request_is_refused(kind: str) -> None:
    """With a message that names the middleware."""

    def nothing(request: httpx.Request) -> Any:
        yield request

    def wrong(_: httpx.Request) -> Any:
        return (yield None)

    server = Server()
    for middleware, message in (
        (nothing, "got NoneType: return its"),
        (wrong, "takes the Request"),
    ):
        sending = Sending(kind, server, middleware)
        with pytest.raises(TypeError, match=message):
            await sending.open()
        assert sending.kinds == ["error"]
    assert all(body.is_closed for body in server.bodies)


async def test_the_other_kind_of_client_is_refused_before_anything_is_sent(kind: str) -> None:
    """A transport for both kinds of client has middleware for one."""
    server = Server()
    other = "async" if kind == "sync" else "sync"
    sending = Sending(other, server, passing)
    sending.kind = kind
    with pytest.raises(TypeError, match="is async, which" if kind == "sync" else "isn't async"):
        await sending.open()
    assert (server.requests, sending.kinds) == ([], [])
