"""``ResilientTransport`` on real sockets, under plain clients and async ones."""

import asyncio
import functools
import itertools
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpcore
import httpx
import pytest
from both_clients import KINDS, mounted, request_by
from fault_handlers import until
from leftovers import leaving_nothing
from tls_contexts import trusted, trusting

import typed_async_client
from typed_async_client import (
    AsyncEvent,
    AsyncPoolTransport,
    EventType,
    RequestContext,
    ResilientTransport,
)
from typed_async_client.testing import (
    FaultServer,
    SeenRequest,
    Wire,
    answer,
    drop,
    each_request,
    stall,
)
from typed_async_client.transports.resilient import ATTEMPTS

METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]
HASTY: dict[str, Any] = {"base_delay": 0.01, "max_delay": 0.05}

pytestmark = pytest.mark.parametrize("kind", KINDS)


def opening(server: FaultServer, kind: str, *, after: int, told: list[AsyncEvent]) -> Any:
    """Make an ``on_event`` that keeps events, and opens a port after so many retries."""
    loop = asyncio.get_running_loop()

    def on_event(event: AsyncEvent) -> Any:
        told.append(event)
        if event.event_type is EventType.RETRY and event.attempts == after:
            if kind == "async":
                return server.open()
            asyncio.run_coroutine_threadsafe(server.open(), loop).result(10.0)
        return None

    return on_event


@pytest.mark.parametrize("method", METHODS)
async def test_a_port_that_opens_in_time_is_reached_and_asked_once(kind: str, method: str) -> None:
    """Refused twice, then served: whatever the method, since nothing was sent."""
    told: list[AsyncEvent] = []
    async with FaultServer(answer(200, b""), refusing=True) as server:
        on_event = opening(server, kind, after=2, told=told)
        transport = ResilientTransport(max_retries=5, on_event=on_event, **HASTY)
        response = await request_by(
            kind, method, server.url, client=mounted(transport), content=b"body"
        )
        assert [request.method for request in server.requests] == [method]
        assert [request.body for request in server.requests] == [b"body"]
    record = response.extensions[ATTEMPTS]
    assert record.attempts == 3
    assert [retry.attempt for retry in record.retries] == [1, 2]
    assert [event.event_type.value for event in told] == ["retry", "retry", "success"]
    assert [event.seq for event in told] == [0, 1, 2]
    assert {event.context.request_id for event in told} == {record.request_id}


async def test_a_body_that_is_made_on_the_way_arrives_whole(kind: str) -> None:
    """No refused attempt has begun to read it."""

    def pieces() -> Iterator[bytes]:
        yield from (b"made ", b"on the way")

    async def async_pieces() -> AsyncIterator[bytes]:
        for piece in pieces():
            yield piece

    async with FaultServer(answer(), refusing=True) as server:
        on_event = opening(server, kind, after=1, told=[])
        transport = ResilientTransport(on_event=on_event, **HASTY)
        content = pieces() if kind == "plain" else async_pieces()
        await request_by(kind, "POST", server.url, client=mounted(transport), content=content)
        assert [request.body for request in server.requests] == [b"made on the way"]


async def test_a_port_that_stays_closed_ends_in_an_error_of_both_libraries(kind: str) -> None:
    """After three attempts, with the last failure as its cause; it pickles."""
    async with FaultServer(answer(), refusing=True) as server:
        transport = ResilientTransport(max_retries=2, **HASTY)
        with pytest.raises(typed_async_client.ConnectError) as raised:
            await request_by(kind, "GET", server.url, client=mounted(transport))
        assert str(server.port) in str(raised.value)
    assert isinstance(raised.value, httpx.ConnectError)
    assert isinstance(raised.value, httpcore.ConnectError)
    assert isinstance(raised.value.__cause__, httpx.ConnectError)
    assert raised.value.__notes__ == ["no connection after 3 attempts"]
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


@pytest.mark.parametrize(
    ("handler", "error", "read"),
    [(drop, httpx.RemoteProtocolError, 20.0), (stall, httpx.ReadTimeout, 0.05)],
)
async def test_what_may_have_been_processed_is_not_sent_again(
    kind: str, handler: Any, error: type[Exception], read: float
) -> None:
    """A lost response and a slow one raise httpx's own errors, after one attempt."""
    async with FaultServer(handler) as server:
        with pytest.raises(error) as raised:
            await request_by(
                kind,
                "POST",
                server.url,
                client=mounted(ResilientTransport(**HASTY)),
                timeout=httpx.Timeout(20.0, read=read),
            )
        assert type(raised.value) is error
        await until(lambda: bool(server.requests))
        assert len(server.requests) == 1


async def test_a_refused_certificate_is_not_tried_again(kind: str) -> None:
    """It would be refused again."""
    told: list[AsyncEvent] = []
    async with FaultServer(answer(), tls=trusted()) as server:
        transport = ResilientTransport(on_event=told.append, **HASTY)
        with pytest.raises(httpx.ConnectError):
            await request_by(kind, "GET", server.url, client=mounted(transport))
    assert [(event.event_type.value, event.attempts) for event in told] == [("error", 1)]


async def test_one_hop_of_a_chain_of_redirects_is_tried_again_alone(kind: str) -> None:
    """The hop before it was answered, and is not asked a second time."""
    async with FaultServer(answer(), refusing=True) as second:

        async def redirect(_: SeenRequest, wire: Wire) -> None:
            await wire.answer(302, b"", f"Location: {second.url}")

        async with FaultServer(each_request(redirect)) as first:
            on_event = opening(second, kind, after=2, told=[])
            transport = ResilientTransport(max_retries=3, on_event=on_event, **HASTY)
            response = await request_by(
                kind, "GET", first.url, client=mounted(transport), follow_redirects=True
            )
            assert (len(first.requests), len(second.requests)) == (1, 1)
    assert response.extensions[ATTEMPTS].attempts == 3
    assert response.history[0].extensions[ATTEMPTS].attempts == 1


async def test_a_domain_may_have_retries_of_its_own(kind: str) -> None:
    """Mounted for one host, it leaves the others to the client's own transport."""
    told: list[AsyncEvent] = []
    async with FaultServer(answer(), refusing=True) as server:
        on_event = opening(server, kind, after=1, told=told)
        flaky = ResilientTransport(on_event=on_event, **HASTY)
        client = {"mounts": {f"all://localhost:{server.port}": flaky}}
        with pytest.raises(httpx.ConnectError):
            await request_by(kind, "GET", server.url, client=client)
        assert told == []
        flaky = ResilientTransport(on_event=on_event, **HASTY)
        url = f"http://localhost:{server.port}/"
        response = await request_by(
            kind, "GET", url, client={"mounts": {f"all://localhost:{server.port}": flaky}}
        )
        assert response.extensions[ATTEMPTS].attempts == 2


async def test_extensions_pass_in_both_directions(kind: str) -> None:
    """The timeout and the name for TLS reach the wire, and what the wire tells comes back."""
    async with FaultServer(answer(), tls=trusted()) as server:
        inner: Any = (
            httpx.AsyncHTTPTransport(verify=trusting())
            if kind == "async"
            else httpx.HTTPTransport(verify=trusting())
        )
        seen: list[str] = []

        def trace(name: str, _: Any) -> None:
            seen.append(name)

        async def async_trace(name: str, info: Any) -> None:
            trace(name, info)

        response = await request_by(
            kind,
            "GET",
            f"https://127.0.0.1:{server.port}/",
            client=mounted(ResilientTransport(inner)),
            extensions={
                "sni_hostname": "localhost",
                "trace": async_trace if kind == "async" else trace,
            },
        )
    assert response.extensions["http_version"] == b"HTTP/1.1"
    assert response.extensions["reason_phrase"] == b"OK"
    assert "network_stream" in response.extensions
    assert "http11.send_request_headers.started" in seen


async def test_a_context_brought_with_a_request_names_it_and_bounds_it(kind: str) -> None:
    """Its id is in the record, its limits win."""
    told: list[AsyncEvent] = []
    context = RequestContext(max_retries=0, request_id="orders-17", metadata={"shop": "paris"})
    async with FaultServer(answer(), refusing=True) as server:
        with pytest.raises(typed_async_client.ConnectError):
            await request_by(
                kind,
                "GET",
                server.url,
                client=mounted(ResilientTransport(on_event=told.append)),
                extensions={"request_context": context},
            )
    (event,) = told
    assert (event.context.request_id, event.attempts) == ("orders-17", 1)
    assert event.context.metadata == {"shop": "paris"}


async def test_a_watcher_that_fails_harms_nobody(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged by name, once."""
    count = itertools.count()

    def broken(_: AsyncEvent) -> None:
        next(count)
        raise RuntimeError("the watcher is broken")

    async with FaultServer(answer(200, b"ok")) as server:
        transport = ResilientTransport(on_event=broken)
        response = await request_by(kind, "GET", server.url, client=mounted(transport))
    assert response.text == "ok"
    assert next(count) == 1
    assert [record.name for record in caplog.records if record.levelname == "ERROR"] == [
        "typed_async_client"
    ]


async def test_nothing_is_left_when_a_client_closes(kind: str) -> None:
    """The transports that it made itself are closed with it."""
    async with leaving_nothing(), FaultServer(answer()) as server:
        await request_by(kind, "GET", server.url, client=mounted(ResilientTransport()))


async def test_an_async_watcher_is_refused_by_a_plain_client_before_anything_is_sent(
    kind: str,
) -> None:
    """An async client runs it."""
    told: list[AsyncEvent] = []

    async def watch(event: AsyncEvent) -> None:
        told.append(event)

    async with FaultServer(answer()) as server:
        asked = request_by(
            kind, "GET", server.url, client=mounted(ResilientTransport(on_event=watch))
        )
        if kind == "async":
            await asked
            assert [event.event_type for event in told] == [EventType.SUCCESS]
        else:
            with pytest.raises(TypeError, match="on_event is async"):
                await asked
            assert server.requests == []


@pytest.mark.parametrize(
    ("transport", "served"),
    [(httpx.HTTPTransport, "plain"), (AsyncPoolTransport, "async")],
)
async def test_a_transport_for_the_other_kind_of_client_is_named(
    kind: str, transport: Any, served: str
) -> None:
    """With what to put in its place."""
    async with FaultServer(answer()) as server:
        asked = request_by(kind, "GET", server.url, client=mounted(ResilientTransport(transport())))
        if kind == served:
            assert (await asked).status_code == 200
        else:
            with pytest.raises(TypeError, match=transport.__name__):
                await asked
            assert server.requests == []


async def test_a_watcher_that_turns_out_to_be_async_is_refused_or_logged(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An object that is called like a coroutine function is seen before, a partial only when called."""

    class Watcher:
        async def __call__(self, _: AsyncEvent) -> None:
            pass

    watch = Watcher()
    async with FaultServer(answer()) as server:
        for on_event in (watch, functools.partial(watch)):
            asked = request_by(
                kind, "GET", server.url, client=mounted(ResilientTransport(on_event=on_event))
            )
            if kind == "plain" and on_event is watch:
                with pytest.raises(TypeError, match="on_event is async"):
                    await asked
            else:
                assert (await asked).status_code == 200
    logged = [record for record in caplog.records if record.name == "typed_async_client"]
    assert len(logged) == (1 if kind == "plain" else 0)


async def test_a_transport_is_closed_though_its_closing_is_cancelled(kind: str) -> None:
    """Callbacks that take their time must not keep the connections open."""
    closed: list[str] = []

    class Inner(httpx.MockTransport):
        async def aclose(self) -> None:
            closed.append(kind)

    async def slow(_: AsyncEvent) -> None:
        await asyncio.Event().wait()

    transport = ResilientTransport(Inner(lambda _: httpx.Response(200)), on_event=slow)
    await transport.handle_async_request(httpx.Request("GET", "http://any.test/"))
    closing = asyncio.create_task(transport.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing})
    assert closed == [kind]
