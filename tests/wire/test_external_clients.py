"""Clients that the user brings, on ports that really refuse."""

import ssl
from typing import Any

import httpx
import pytest
from external_clients import EXTERNAL, ClientSetup
from fault_handlers import wait_until
from leak_checks import no_leaks
from tls_contexts import client_context, server_context

from typed_async_client import ConnectError, EventType, RequestContext, ResultStatus
from typed_async_client.testing import FaultServer, answer, drop, reset, stall

pytestmark = pytest.mark.parametrize("setup", EXTERNAL, ids=str)

CONTEXT = RequestContext(request_id="r", max_retries=2, base_delay=0.001)


async def pieces() -> Any:
    """Give a body in two parts, once."""
    yield b"pay "
    yield b"5"


@pytest.mark.parametrize(
    ("method", "body"),
    [("GET", None), ("POST", b"pay 5"), ("POST", pieces)],
    ids=["no body", "bytes", "iterator"],
)
async def test_a_port_that_opens_is_reached_with_one_retry_for_each_refusal(
    setup: ClientSetup, method: str, body: Any
) -> None:
    """A body that can be read only once has not begun to be read."""
    async with (
        FaultServer(answer(), refusing=True) as server,
        setup.client(trust_env=False) as client,
    ):

        async def open_at_the_second(event: Any) -> None:
            if event.context.current_attempt == 2:
                await server.open()

        client.add_event_callback(EventType.RETRY, open_at_the_second)
        content = body() if callable(body) else body
        task = await client.request_async(method, server.url, CONTEXT, content=content)
        assert (await task).text == "ok"
        result = client.get_result("r")
        assert result is not None
        assert result.attempts == 3
        assert [seen.body for seen in server.requests] == [b"pay 5" if body else b""]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_closed_port_is_tried_max_retries_plus_one_times(
    setup: ClientSetup, method: str
) -> None:
    """And the operating system's own words tell why."""
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
async def test_a_refused_certificate_is_looked_at_once(setup: ClientSetup, method: str) -> None:
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


async def test_a_raw_error_that_the_client_lets_out_becomes_httpxs(setup: ClientSetup) -> None:
    """A port out of range is a group of errors to either library."""
    async with setup.client(trust_env=False) as client:
        task = await client.post("http://127.0.0.1:99999/", CONTEXT)
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
async def test_what_was_sent_is_sent_once(
    setup: ClientSetup, method: str, handler: Any, error: str, status: ResultStatus
) -> None:
    """The error is its library's own."""
    async with FaultServer(handler) as server, setup.client(trust_env=False) as client:
        task = await client.request_async(method, server.url, CONTEXT, timeout=0.2)
        with pytest.raises(getattr(setup.library, error)):
            await task
        result = client.get_result("r")
        assert result is not None
        assert (result.status, result.attempts) == (status, 1)
        assert len(server.requests) == 1


async def test_a_trusted_certificate_is_no_obstacle(setup: ClientSetup) -> None:
    """The options of the client are the user's, and in force."""
    async with (
        FaultServer(answer(), tls=server_context()) as server,
        setup.client(verify=client_context(), trust_env=False) as client,
    ):
        assert (await (await client.get(server.url))).text == "ok"


async def test_closing_ours_cancels_what_runs_and_leaves_nothing(setup: ClientSetup) -> None:
    """The requests of ours end; their sockets are the user's client's to close."""
    async with no_leaks(), FaultServer(stall) as server:
        async with setup.client(trust_env=False) as client:
            await client.get(server.url, CONTEXT)
            await wait_until(lambda: bool(server.requests))
            await client.close()
            result = client.get_result("r")
        assert result is not None
        assert result.status is ResultStatus.CANCELLED
