"""Faults of URLs, servers and proxies, and how they reach the caller."""

import asyncio
import dataclasses
import gzip
import socket
import zlib
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fault_handlers import (
    answer_then,
    close_without_reading,
    never_read,
    redirect_to,
    reject_upload_early,
    reset_connection,
    reset_mid_upload,
    reset_on_connect,
    respond_with,
    wait_until,
)
from fault_scenarios import (
    BODY,
    Scenario,
    answered,
    cases_by_id,
    during_upload,
    endless_body,
    run_scenario,
    through_proxy,
    timed_out,
    unreached,
)

import typed_async_client
from typed_async_client import AsyncResilientClient, EventType
from typed_async_client.testing import FaultServer, Wire, answer, drop, half_body, reset, stall

pytestmark = pytest.mark.usefixtures("http11")

_HEAD = b"HTTP/1.1 200 OK\r\n"
_HALF_HEAD = _HEAD + b"Content-Le"
_LONG_HEAD = _HEAD + b"X-Long: " + 300_000 * b"a" + b"\r\n\r\n"
_TWO_LENGTHS = _HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"
_HALF_BODY = _HEAD + b"Content-Length: 10\r\n\r\nhalf."
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
_GZIPPED = _HEAD + b"Content-Encoding: gzip\r\n\r\n"
_WRONG_CHECKSUM = gzip.compress(BODY)[:-8] + bytes(8)


class BodyFailedError(Exception):
    """Raised by a request body of these tests."""


async def one_shot_body() -> AsyncIterator[bytes]:
    """Yield ten bytes, once."""
    yield BODY


async def failing_body() -> AsyncIterator[bytes]:
    """Yield five bytes, then raise."""
    yield BODY[:5]
    raise BodyFailedError("no more data")


async def leave_an_idle_connection(client: AsyncResilientClient, server: FaultServer) -> None:
    """Complete a request, so that its connection is idle."""
    await (await client.get(server.url))


async def take_the_only_connection(client: AsyncResilientClient, server: FaultServer) -> None:
    """Start a request and wait until the server has read it."""
    await client.get(server.url, timeout=None)
    await wait_until(lambda: bool(server.requests))


ADDRESSES = (
    unreached("a host label of 64 letters", httpx.ConnectError, url=f"http://{64 * 'a'}.invalid/"),
    unreached("an empty host label", httpx.ConnectError, url="http://nohost..invalid/"),
    unreached(
        "a scheme that is not HTTP", httpx.UnsupportedProtocol, url="ftp://127.0.0.1/", connects=0
    ),
)
CONNECTIONS = (
    unreached("a refused port", typed_async_client.ConnectError, refusing=True, attempts=3),
    timed_out(
        "a pool without a free connection",
        httpx.PoolTimeout,
        connects=0,
        handler=stall,
        client={"limits": httpx.Limits(max_connections=1)},
        before=take_the_only_connection,
    ),
    Scenario("RST on connect", httpx.ReadError, handler=reset_on_connect, read=0),
    Scenario(
        "a close before the request is read", httpx.ReadError, handler=close_without_reading, read=0
    ),
    Scenario(
        "FIN on a reused connection",
        httpx.RemoteProtocolError,
        connects=0,
        read=2,
        handler=answer_then(drop),
        methods=("POST",),
        before=leave_an_idle_connection,
    ),
    Scenario(
        "RST on a reused connection",
        httpx.ReadError,
        connects=0,
        read=2,
        handler=answer_then(reset),
        methods=("POST",),
        before=leave_an_idle_connection,
    ),
)
ANSWERS = (
    answered("no fault"),
    answered("status 503", handler=answer(503)),
    Scenario("FIN instead of a response", httpx.RemoteProtocolError, handler=drop),
    Scenario("RST instead of a response", httpx.ReadError, handler=reset),
    timed_out("no response", httpx.ReadTimeout, handler=stall),
    Scenario(
        "a response that is not HTTP",
        httpx.RemoteProtocolError,
        handler=respond_with(b"220 mail.example ESMTP\r\n\r\n", Wire.stall),
    ),
    Scenario(
        "a head truncated by FIN", httpx.RemoteProtocolError, handler=respond_with(_HALF_HEAD)
    ),
    Scenario(
        "a head truncated by RST",
        httpx.ReadError,
        handler=respond_with(_HALF_HEAD, reset_connection),
    ),
    Scenario(
        "a head of 300 kB", httpx.RemoteProtocolError, handler=respond_with(_LONG_HEAD, Wire.stall)
    ),
    Scenario("two Content-Lengths", httpx.RemoteProtocolError, handler=respond_with(_TWO_LENGTHS)),
)
BODIES = (
    answered("a body that ends with the connection", handler=respond_with(_HEAD + b"\r\nwhole.")),
    Scenario("a body truncated by FIN", httpx.RemoteProtocolError, handler=half_body),
    Scenario(
        "a body truncated by RST",
        httpx.ReadError,
        handler=respond_with(_HALF_BODY, reset_connection),
    ),
    timed_out(
        "a body that stalls", httpx.ReadTimeout, handler=respond_with(_HALF_BODY, Wire.stall)
    ),
    Scenario(
        "a chunk truncated by FIN",
        httpx.RemoteProtocolError,
        handler=respond_with(_CHUNKED + b"a\r\nhalf."),
    ),
    Scenario(
        "a chunk truncated by RST",
        httpx.ReadError,
        handler=respond_with(_CHUNKED + b"a\r\nhalf.", reset_connection),
    ),
    Scenario(
        "no last chunk",
        httpx.RemoteProtocolError,
        handler=respond_with(_CHUNKED + b"5\r\nhalf.\r\n"),
    ),
    Scenario(
        "a chunk without a size",
        httpx.RemoteProtocolError,
        handler=respond_with(_CHUNKED + b"xyz\r\n", Wire.stall),
    ),
    Scenario(
        "a body that is not gzip",
        httpx.DecodingError,
        cause=zlib.error,
        handler=respond_with(_GZIPPED + BODY),
    ),
    Scenario(
        "gzip with a wrong checksum",
        httpx.DecodingError,
        cause=zlib.error,
        handler=respond_with(_GZIPPED + _WRONG_CHECKSUM),
    ),
)
REQUESTS = (
    during_upload(
        "a body longer than its Content-Length",
        httpx.LocalProtocolError,
        request=lambda: {"headers": {"Content-Length": "5"}},
    ),
    during_upload(
        "a body shorter than its Content-Length",
        httpx.LocalProtocolError,
        request=lambda: {"headers": {"Content-Length": "15"}},
    ),
    during_upload(
        "a body that raises", BodyFailedError, request=lambda: {"content": failing_body()}
    ),
    during_upload(
        "an upload that is never read",
        httpx.WriteTimeout,
        kind=EventType.TIMEOUT,
        timeout=0.2,
        handler=never_read,
        request=lambda: {"content": endless_body()},
    ),
    during_upload(
        "an upload interrupted by RST",
        httpx.ReadError,
        handler=reset_mid_upload,
        request=lambda: {"content": endless_body()},
    ),
    during_upload(
        "an upload rejected early",
        None,
        kind=EventType.SUCCESS,
        handler=reject_upload_early,
        request=lambda: {"content": bytes(1_000_000)},
    ),
)
REDIRECTS = (
    Scenario(
        "an invalid URL as Location",
        httpx.RemoteProtocolError,
        handler=redirect_to("http://[::1/"),
    ),
    Scenario("nonsense as Location", httpx.InvalidURL, handler=redirect_to("x:y@:z")),
    Scenario(
        "a Location that is not HTTP",
        httpx.UnsupportedProtocol,
        handler=redirect_to("ftp://127.0.0.1/"),
        client={"follow_redirects": True},
    ),
    Scenario(
        "a redirect loop",
        httpx.TooManyRedirects,
        handler=redirect_to("/"),
        read=21,
        client={"follow_redirects": True},
    ),
    Scenario(
        "a redirect of a body that was consumed",
        typed_async_client.RequestBodyConsumedError,
        methods=("POST",),
        handler=redirect_to("/", status=307),
        client={"follow_redirects": True},
        request=lambda: {"content": one_shot_body()},
    ),
)
PROXIES = (
    unreached(
        "a proxy that refuses the connection",
        typed_async_client.ConnectError,
        refusing=True,
        attempts=3,
        is_proxy=True,
        url="http://origin.invalid/",
    ),
    through_proxy(
        "a tunnel whose proxy refuses the connection",
        typed_async_client.ConnectError,
        refusing=True,
        attempts=3,
        accepted=0,
        read=0,
    ),
    through_proxy("a proxy that requires authentication", httpx.ProxyError, handler=answer(407)),
    through_proxy("a proxy that cannot reach the origin", httpx.ProxyError, handler=answer(502)),
    through_proxy("a proxy that closes", httpx.RemoteProtocolError, handler=drop),
    through_proxy("a proxy that resets", httpx.ReadError, handler=reset),
    through_proxy(
        "a silent proxy",
        httpx.ReadTimeout,
        kind=EventType.TIMEOUT,
        timeout=0.2,
        handler=stall,
    ),
)

CASES = cases_by_id(ADDRESSES + CONNECTIONS + ANSWERS + BODIES + REQUESTS + REDIRECTS + PROXIES)


@pytest.mark.parametrize(("scenario", "method"), CASES.values(), ids=CASES.keys())
async def test_a_fault_has_the_expected_effect(scenario: Scenario, method: str) -> None:
    """On the error's class and cause, the events, and the result's status and attempts."""
    assert await run_scenario(scenario, method) == scenario.expected


# Faults that need more than a scenario


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_unknown_host_is_not_retried(method: str) -> None:
    """It will still be unknown a second later."""
    host = "nohost.invalid"
    if not await _is_reported_as_unknown(host):
        pytest.skip(f"no name server reports that {host} doesn't exist")
    scenario = unreached("unknown host", httpx.ConnectError, url=f"http://{host}/")
    assert await run_scenario(scenario, method) == scenario.expected


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_port_with_a_full_backlog_is_a_timeout(method: str, full_port: int) -> None:
    """It isn't retried, although nothing was sent, because the time is used up."""
    scenario = timed_out("full backlog", httpx.ConnectTimeout, accepted=0, read=0)
    scenario = dataclasses.replace(scenario, url=f"http://127.0.0.1:{full_port}/")
    assert await run_scenario(scenario, method) == scenario.expected


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_idle_connection_that_the_server_closed_is_replaced(method: str) -> None:
    """The next request succeeds with one attempt, on a new connection."""

    async def wait_until_closed(client: AsyncResilientClient, server: FaultServer) -> None:
        response = await (await client.get(server.url))
        connection = response.extensions["network_stream"]
        await wait_until(lambda: bool(connection.get_extra_info("is_readable")))

    close_idle = answer_then(Wire.finish)
    scenario = answered("stale", handler=close_idle, before=wait_until_closed, accepted=2, read=2)
    assert await run_scenario(scenario, method) == scenario.expected


@pytest.fixture
def full_port() -> Iterator[int]:
    """Yield a port whose backlog is full, so that no further connection is accepted."""
    with socket.socket() as listener, socket.socket() as pending:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        pending.connect(listener.getsockname())
        yield listener.getsockname()[1]


async def _is_reported_as_unknown(host: str) -> bool:
    try:
        await asyncio.get_running_loop().getaddrinfo(host, 80)
    except socket.gaierror as error:
        return error.errno == socket.EAI_NONAME
    return False
