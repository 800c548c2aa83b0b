"""External clients with real servers."""

import asyncio
import ssl
from typing import Any

import httpx
import pytest
from external_clients import EXTERNAL, ClientSetup
from fault_handlers import redirect_to, wait_until
from leak_checks import no_leaks
from tls_contexts import client_context, server_context

from typed_async_client import (
    ConnectError,
    DeadlineExceededError,
    EventType,
    RequestContext,
    Resilience,
    ResultStatus,
)
from typed_async_client.testing import (
    FaultServer,
    SeenRequest,
    Wire,
    answer,
    drop,
    each_request,
    reset,
    stall,
)

pytestmark = pytest.mark.parametrize("setup", EXTERNAL, ids=str)

CONTEXT = RequestContext(request_id="r", max_retries=2, base_delay=0.001)


async def pieces() -> Any:
    """Yield a body in two parts."""
    yield b"pay "
    yield b"5"


@pytest.mark.parametrize(
    ("method", "body"),
    [("GET", None), ("POST", b"pay 5"), ("POST", pieces)],
    ids=["no body", "bytes", "iterator"],
)
async def test_a_refused_connection_is_retried_until_the_port_opens(
    setup: ClientSetup, method: str, body: Any
) -> None:
    """A body that can only be read once hasn't been touched by then."""
    async with (
        FaultServer(answer(), refusing=True) as server,
        setup.client(trust_env=False) as client,
    ):

        async def open_at_second_attempt(event: Any) -> None:
            if event.context.current_attempt == 2:
                await server.open()

        client.add_event_callback(EventType.RETRY, open_at_second_attempt)
        content = body() if callable(body) else body
        task = await client.request_async(method, server.url, CONTEXT, content=content)
        assert (await task).text == "ok"
        result = client.get_result("r")
        assert result is not None
        assert result.attempts == 3
        assert [seen.body for seen in server.requests] == [b"pay 5" if body else b""]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_closed_port_is_retried_max_retries_times(setup: ClientSetup, method: str) -> None:
    """The error contains the operating system's message."""
    async with (
        FaultServer(answer(), refusing=True) as server,
        setup.client(trust_env=False) as client,
    ):
        task = await client.request_async(method, server.url, CONTEXT)
        with pytest.raises(ConnectError, match="Connection refused") as raised:
            await task
    assert isinstance(raised.value, setup.library.ConnectError)
    assert raised.value.__notes__ == ["no connection after 3 attempts"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_rejected_certificate_is_not_retried(setup: ClientSetup, method: str) -> None:
    """It will be the same a second later."""
    async with (
        FaultServer(answer(), tls=server_context()) as server,
        setup.client(verify=ssl.create_default_context(), trust_env=False) as client,
    ):
        task = await client.request_async(method, server.url, CONTEXT)
        with pytest.raises(setup.library.ConnectError, match="certificate verify failed") as raised:
            await task
        result = client.get_result("r")
        assert not isinstance(raised.value, ConnectError)
        assert result is not None
        assert (result.status, result.attempts) == (ResultStatus.ERROR, 1)


async def test_an_unmapped_error_of_the_client_becomes_one_of_httpx(setup: ClientSetup) -> None:
    """Both libraries raise an ExceptionGroup for a port out of range, here that of a redirect."""
    async with (
        FaultServer(redirect_to("http://127.0.0.1:99999/")) as server,
        setup.client(trust_env=False) as client,
    ):
        task = await client.get(server.url, CONTEXT, follow_redirects=True)
        with pytest.raises(httpx.ConnectError) as raised:
            await task
        result = client.get_result("r")
    assert type(raised.value.__cause__) is ExceptionGroup
    assert result is not None
    assert result.attempts == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("handler", "error", "status"),
    [
        (stall, "ReadTimeout", ResultStatus.TIMEOUT),
        (reset, "ReadError", ResultStatus.ERROR),
        (drop, "RemoteProtocolError", ResultStatus.ERROR),
    ],
    ids=["stall", "reset", "drop"],
)
async def test_a_request_that_was_sent_is_not_retried(
    setup: ClientSetup, method: str, handler: Any, error: str, status: ResultStatus
) -> None:
    """The error is one of the client's library."""
    async with FaultServer(handler) as server, setup.client(trust_env=False) as client:
        task = await client.request_async(method, server.url, CONTEXT, timeout=0.2)
        with pytest.raises(getattr(setup.library, error)):
            await task
        result = client.get_result("r")
        assert result is not None
        assert (result.status, result.attempts) == (status, 1)
        assert len(server.requests) == 1


async def test_the_external_clients_ssl_context_is_used(setup: ClientSetup) -> None:
    """The TLS options are those of the external client."""
    async with (
        FaultServer(answer(), tls=server_context()) as server,
        setup.client(verify=client_context(), trust_env=False) as client,
    ):
        assert (await (await client.get(server.url))).text == "ok"


async def test_closing_our_client_cancels_its_requests_and_leaks_nothing(
    setup: ClientSetup,
) -> None:
    """Its requests are cancelled; their sockets are closed by the external client."""
    async with no_leaks(), FaultServer(stall) as server:
        async with setup.client(trust_env=False) as client:
            await client.get(server.url, CONTEXT)
            await wait_until(lambda: bool(server.requests))
            await client.close()
            result = client.get_result("r")
        assert result is not None
        assert result.status is ResultStatus.CANCELLED


@pytest.mark.parametrize("policies", ["plain", "standard"])
async def test_a_deadline_gives_the_connection_back_to_the_pool(
    setup: ClientSetup, policies: str
) -> None:
    """The pool has one, which one request holds and seven wait for; a later one gets it."""
    chosen = Resilience.standard() if policies == "standard" else None
    library = setup.library
    options = {"limits": library.Limits(max_connections=1), "timeout": 5.0, "trust_env": False}

    async def respond(request: SeenRequest, wire: Wire) -> None:
        await (wire.stall() if request.target.endswith("slow") else wire.answer(200, b"ok"))

    async with FaultServer(each_request(respond)) as server, setup.client(**options) as client:
        slow = [
            client.request("GET", server.url + "slow", resilience=chosen, deadline=0.2)
            for _ in range(8)
        ]
        ended = await asyncio.gather(*slow, return_exceptions=True)
        assert all(isinstance(each, DeadlineExceededError) for each in ended)
        response = await client.request("GET", server.url, resilience=chosen)
        assert response.text == "ok"
