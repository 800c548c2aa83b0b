"""``ResilientTransport`` on real sockets, with sync and async clients."""

import asyncio
import functools
import itertools
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpcore
import httpx
import pytest
from client_kinds import KINDS, options_for, send_request
from fault_handlers import wait_until
from leak_checks import no_leaks
from tls_contexts import client_context, server_context

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
SHORT_DELAYS: dict[str, Any] = {"base_delay": 0.01, "max_delay": 0.05}

pytestmark = pytest.mark.parametrize("kind", KINDS)


def opens_port(server: FaultServer, kind: str, *, after: int, events: list[AsyncEvent]) -> Any:
    """Create an ``on_event`` that records events, and opens a port after some retries."""
    loop = asyncio.get_running_loop()

    def on_event(event: AsyncEvent) -> Any:
        events.append(event)
        if event.event_type is EventType.RETRY and event.attempts == after:
            if kind == "async":
                return server.open()
            asyncio.run_coroutine_threadsafe(server.open(), loop).result(10.0)
        return None

    return on_event


@pytest.mark.parametrize("method", METHODS)
async def test_a_port_that_opens_in_time_receives_one_request(kind: str, method: str) -> None:
    """Refused twice, then answered: whatever the method, since nothing was sent."""
    events: list[AsyncEvent] = []
    async with FaultServer(answer(200, b""), refusing=True) as server:
        on_event = opens_port(server, kind, after=2, events=events)
        transport = ResilientTransport(max_retries=5, on_event=on_event, **SHORT_DELAYS)
        response = await send_request(
            kind, method, server.url, client=options_for(transport), content=b"body"
        )
        assert [request.method for request in server.requests] == [method]
        assert [request.body for request in server.requests] == [b"body"]
    history = response.extensions[ATTEMPTS]
    assert history.attempts == 3
    assert [record.number for record in history.records] == [1, 2, 3]
    assert [event.event_type.value for event in events] == ["retry", "retry", "success"]
    assert [event.seq for event in events] == [0, 1, 2]
    assert {event.context.request_id for event in events} == {history.request_id}


async def test_a_generated_body_arrives_in_full(kind: str) -> None:
    """No refused attempt has started to read it."""

    def pieces() -> Iterator[bytes]:
        yield from (b"generated ", b"body")

    async def async_pieces() -> AsyncIterator[bytes]:
        for piece in pieces():
            yield piece

    async with FaultServer(answer(), refusing=True) as server:
        on_event = opens_port(server, kind, after=1, events=[])
        transport = ResilientTransport(on_event=on_event, **SHORT_DELAYS)
        content = pieces() if kind == "sync" else async_pieces()
        await send_request(kind, "POST", server.url, client=options_for(transport), content=content)
        assert [request.body for request in server.requests] == [b"generated body"]


async def test_a_port_that_stays_closed_raises_an_error_of_both_libraries(kind: str) -> None:
    """After three attempts, with the last failure as its cause; it can be pickled."""
    async with FaultServer(answer(), refusing=True) as server:
        transport = ResilientTransport(max_retries=2, **SHORT_DELAYS)
        with pytest.raises(typed_async_client.ConnectError) as raised:
            await send_request(kind, "GET", server.url, client=options_for(transport))
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
async def test_a_request_that_may_have_been_processed_is_not_retried(
    kind: str, handler: Any, error: type[Exception], read: float
) -> None:
    """A lost or slow response raises httpx's own error, after one attempt."""
    async with FaultServer(handler) as server:
        with pytest.raises(error) as raised:
            await send_request(
                kind,
                "POST",
                server.url,
                client=options_for(ResilientTransport(**SHORT_DELAYS)),
                timeout=httpx.Timeout(20.0, read=read),
            )
        assert type(raised.value) is error
        await wait_until(lambda: bool(server.requests))
        assert len(server.requests) == 1


async def test_a_rejected_certificate_is_not_retried(kind: str) -> None:
    """It would be rejected again."""
    events: list[AsyncEvent] = []
    async with FaultServer(answer(), tls=server_context()) as server:
        transport = ResilientTransport(on_event=events.append, **SHORT_DELAYS)
        with pytest.raises(httpx.ConnectError):
            await send_request(kind, "GET", server.url, client=options_for(transport))
    assert [(event.event_type.value, event.attempts) for event in events] == [("error", 1)]


async def test_only_the_failed_hop_of_a_redirect_chain_is_retried(kind: str) -> None:
    """The hop before it was answered, and isn't sent again."""
    async with FaultServer(answer(), refusing=True) as second:

        async def redirect(_: SeenRequest, wire: Wire) -> None:
            await wire.answer(302, b"", f"Location: {second.url}")

        async with FaultServer(each_request(redirect)) as first:
            on_event = opens_port(second, kind, after=2, events=[])
            transport = ResilientTransport(max_retries=3, on_event=on_event, **SHORT_DELAYS)
            response = await send_request(
                kind, "GET", first.url, client=options_for(transport), follow_redirects=True
            )
            assert (len(first.requests), len(second.requests)) == (1, 1)
    assert response.extensions[ATTEMPTS].attempts == 3
    assert response.history[0].extensions[ATTEMPTS].attempts == 1


async def test_a_domain_can_have_its_own_retry_policy(kind: str) -> None:
    """Mounted for one host, it leaves others to the client's own transport."""
    events: list[AsyncEvent] = []
    async with FaultServer(answer(), refusing=True) as server:
        on_event = opens_port(server, kind, after=1, events=events)
        flaky = ResilientTransport(on_event=on_event, **SHORT_DELAYS)
        client = {"mounts": {f"all://localhost:{server.port}": flaky}}
        with pytest.raises(httpx.ConnectError):
            await send_request(kind, "GET", server.url, client=client)
        assert events == []
        flaky = ResilientTransport(on_event=on_event, **SHORT_DELAYS)
        url = f"http://localhost:{server.port}/"
        response = await send_request(
            kind, "GET", url, client={"mounts": {f"all://localhost:{server.port}": flaky}}
        )
        assert response.extensions[ATTEMPTS].attempts == 2


async def test_extensions_are_passed_in_both_directions(kind: str) -> None:
    """SNI hostname and trace reach the inner transport, and its extensions are returned."""
    async with FaultServer(answer(), tls=server_context()) as server:
        inner: Any = (
            httpx.AsyncHTTPTransport(verify=client_context())
            if kind == "async"
            else httpx.HTTPTransport(verify=client_context())
        )
        seen: list[str] = []

        def trace(name: str, _: Any) -> None:
            seen.append(name)

        async def async_trace(name: str, info: Any) -> None:
            trace(name, info)

        response = await send_request(
            kind,
            "GET",
            f"https://127.0.0.1:{server.port}/",
            client=options_for(ResilientTransport(inner)),
            extensions={
                "sni_hostname": "localhost",
                "trace": async_trace if kind == "async" else trace,
            },
        )
    assert response.extensions["http_version"] == b"HTTP/1.1"
    assert response.extensions["reason_phrase"] == b"OK"
    assert "network_stream" in response.extensions
    assert "http11.send_request_headers.started" in seen


async def test_a_context_passed_with_a_request_sets_its_id_and_limits(kind: str) -> None:
    """Its id is in the event, and its limits take precedence."""
    events: list[AsyncEvent] = []
    context = RequestContext(max_retries=0, request_id="orders-17", metadata={"shop": "paris"})
    async with FaultServer(answer(), refusing=True) as server:
        with pytest.raises(typed_async_client.ConnectError):
            await send_request(
                kind,
                "GET",
                server.url,
                client=options_for(ResilientTransport(on_event=events.append)),
                extensions={"request_context": context},
            )
    (event,) = events
    assert (event.context.request_id, event.attempts) == ("orders-17", 1)
    assert event.context.metadata == {"shop": "paris"}


async def test_a_callback_that_raises_does_not_affect_the_request(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its error is logged once, by the logger of the package."""
    count = itertools.count()

    def broken(_: AsyncEvent) -> None:
        next(count)
        raise RuntimeError("the callback is broken")

    async with FaultServer(answer(200, b"ok")) as server:
        transport = ResilientTransport(on_event=broken)
        response = await send_request(kind, "GET", server.url, client=options_for(transport))
    assert response.text == "ok"
    assert next(count) == 1
    assert [record.name for record in caplog.records if record.levelname == "ERROR"] == [
        "typed_async_client"
    ]


async def test_nothing_is_left_open_after_a_client_closes(kind: str) -> None:
    """The transports that it created are closed with it."""
    async with no_leaks(), FaultServer(answer()) as server:
        await send_request(kind, "GET", server.url, client=options_for(ResilientTransport()))


async def test_an_async_callback_is_rejected_by_a_sync_client_before_sending(
    kind: str,
) -> None:
    """An async client calls it."""
    events: list[AsyncEvent] = []

    async def callback(event: AsyncEvent) -> None:
        events.append(event)

    async with FaultServer(answer()) as server:
        pending = send_request(
            kind, "GET", server.url, client=options_for(ResilientTransport(on_event=callback))
        )
        if kind == "async":
            await pending
            assert [event.event_type for event in events] == [EventType.SUCCESS]
        else:
            with pytest.raises(TypeError, match="on_event is async"):
                await pending
            assert server.requests == []


@pytest.mark.parametrize(
    ("transport", "supported"),
    [(httpx.HTTPTransport, "sync"), (AsyncPoolTransport, "async")],
)
async def test_a_transport_for_the_other_kind_of_client_is_rejected(
    kind: str, transport: Any, supported: str
) -> None:
    """The message contains its class."""
    async with FaultServer(answer()) as server:
        pending = send_request(
            kind, "GET", server.url, client=options_for(ResilientTransport(transport()))
        )
        if kind == supported:
            assert (await pending).status_code == 200
        else:
            with pytest.raises(TypeError, match=transport.__name__):
                await pending
            assert server.requests == []


async def test_a_callback_that_turns_out_to_be_async_is_rejected_or_logged(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An async ``__call__`` is detected before sending, a partial only when it's called."""

    class AsyncCallback:
        async def __call__(self, _: AsyncEvent) -> None:
            pass

    callback = AsyncCallback()
    async with FaultServer(answer()) as server:
        for on_event in (callback, functools.partial(callback)):
            pending = send_request(
                kind, "GET", server.url, client=options_for(ResilientTransport(on_event=on_event))
            )
            if kind == "sync" and on_event is callback:
                with pytest.raises(TypeError, match="on_event is async"):
                    await pending
            else:
                assert (await pending).status_code == 200
    logged = [record for record in caplog.records if record.name == "typed_async_client"]
    assert len(logged) == (1 if kind == "sync" else 0)


async def test_a_transport_is_closed_even_if_closing_is_cancelled(kind: str) -> None:
    """Slow callbacks mustn't keep the connections open."""
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
