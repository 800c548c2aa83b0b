"""Every fault that a plain server, a proxy or an address can make, and what its caller sees."""

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


class SpoiltBodyError(Exception):
    """What the body of a caller of ours fails with."""


async def one_shot_body() -> AsyncIterator[bytes]:
    """Give ten bytes, once."""
    yield BODY


async def spoilt_body() -> AsyncIterator[bytes]:
    """Give five bytes, then fail."""
    yield BODY[:5]
    raise SpoiltBodyError("no more of it")


async def one_request_before(client: AsyncResilientClient, server: FaultServer) -> None:
    """Leave an idle connection behind."""
    await (await client.get(server.url))


async def take_the_only_connection(client: AsyncResilientClient, server: FaultServer) -> None:
    """Have a request under way that the server has read."""
    await client.get(server.url, timeout=None)
    await wait_until(lambda: bool(server.requests))


ADDRESSES = (
    unreached(
        "a port out of range",
        httpx.ConnectError,
        url="http://127.0.0.1:99999/",
    ),
    unreached("a label of 64 letters", httpx.ConnectError, url=f"http://{64 * 'a'}.invalid/"),
    unreached("an empty label", httpx.ConnectError, url="http://nohost..invalid/"),
    unreached(
        "a scheme that is not HTTP", httpx.UnsupportedProtocol, url="ftp://127.0.0.1/", connects=0
    ),
    unreached("a relative address", httpx.UnsupportedProtocol, url="/orders", connects=0),
    unreached("an address that is none", httpx.InvalidURL, url="http://[::1/", connects=0),
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
    Scenario("RST at once", httpx.ReadError, handler=reset_on_connect, read=0),
    Scenario(
        "a close with the request unread", httpx.ReadError, handler=close_without_reading, read=0
    ),
    Scenario(
        "FIN on a connection used again",
        httpx.RemoteProtocolError,
        connects=0,
        read=2,
        handler=answer_then(drop),
        methods=("POST",),
        before=one_request_before,
    ),
    Scenario(
        "RST on a connection used again",
        httpx.ReadError,
        connects=0,
        read=2,
        handler=answer_then(reset),
        methods=("POST",),
        before=one_request_before,
    ),
)
ANSWERS = (
    answered("no fault"),
    answered("a server that is overloaded", handler=answer(503)),
    Scenario("FIN instead of an answer", httpx.RemoteProtocolError, handler=drop),
    Scenario("RST instead of an answer", httpx.ReadError, handler=reset),
    timed_out("no answer", httpx.ReadTimeout, handler=stall),
    Scenario(
        "an answer that is not HTTP",
        httpx.RemoteProtocolError,
        handler=respond_with(b"220 mail.example ESMTP\r\n\r\n", Wire.stall),
    ),
    Scenario("a head cut by FIN", httpx.RemoteProtocolError, handler=respond_with(_HALF_HEAD)),
    Scenario(
        "a head cut by RST", httpx.ReadError, handler=respond_with(_HALF_HEAD, reset_connection)
    ),
    Scenario(
        "a head of 300 kB", httpx.RemoteProtocolError, handler=respond_with(_LONG_HEAD, Wire.stall)
    ),
    Scenario("two lengths", httpx.RemoteProtocolError, handler=respond_with(_TWO_LENGTHS)),
)
BODIES = (
    answered("a body that ends with the connection", handler=respond_with(_HEAD + b"\r\nwhole.")),
    Scenario("a body cut by FIN", httpx.RemoteProtocolError, handler=half_body),
    Scenario(
        "a body cut by RST", httpx.ReadError, handler=respond_with(_HALF_BODY, reset_connection)
    ),
    timed_out(
        "a body that stalls", httpx.ReadTimeout, handler=respond_with(_HALF_BODY, Wire.stall)
    ),
    Scenario(
        "a chunk cut by FIN",
        httpx.RemoteProtocolError,
        handler=respond_with(_CHUNKED + b"a\r\nhalf."),
    ),
    Scenario(
        "a chunk cut by RST",
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
        "a body that is no gzip",
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
    Scenario(
        "a line end in a header",
        httpx.LocalProtocolError,
        read=0,
        request=lambda: {"headers": {"X-Name": "a\r\nX-Other: b"}},
    ),
    Scenario(
        "a zero byte in a header",
        httpx.LocalProtocolError,
        read=0,
        request=lambda: {"headers": {"X-Name": "a\0b"}},
    ),
    during_upload(
        "a body longer than it says",
        httpx.LocalProtocolError,
        request=lambda: {"headers": {"Content-Length": "5"}},
    ),
    during_upload(
        "a body shorter than it says",
        httpx.LocalProtocolError,
        request=lambda: {"headers": {"Content-Length": "15"}},
    ),
    during_upload(
        "a body that fails to come", SpoiltBodyError, request=lambda: {"content": spoilt_body()}
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
        "an upload cut by RST",
        httpx.ReadError,
        handler=reset_mid_upload,
        request=lambda: {"content": endless_body()},
    ),
    during_upload(
        "an upload refused early",
        None,
        kind=EventType.SUCCESS,
        handler=reject_upload_early,
        request=lambda: {"content": bytes(1_000_000)},
    ),
)
REDIRECTS = (
    Scenario(
        "a location that is no address",
        httpx.RemoteProtocolError,
        handler=redirect_to("http://[::1/"),
    ),
    Scenario("a location that is nonsense", httpx.InvalidURL, handler=redirect_to("x:y@:z")),
    Scenario(
        "a location that is not HTTP",
        httpx.UnsupportedProtocol,
        handler=redirect_to("ftp://127.0.0.1/"),
        client={"follow_redirects": True},
    ),
    Scenario(
        "a circle of redirects",
        httpx.TooManyRedirects,
        handler=redirect_to("/"),
        read=21,
        client={"follow_redirects": True},
    ),
    Scenario(
        "a redirect of a body that is gone",
        httpx.StreamConsumed,
        methods=("POST",),
        handler=redirect_to("/", status=307),
        client={"follow_redirects": True},
        request=lambda: {"content": one_shot_body()},
        is_picklable=False,
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
    through_proxy("a proxy that wants a password", httpx.ProxyError, handler=answer(407)),
    through_proxy("a proxy that does not reach the origin", httpx.ProxyError, handler=answer(502)),
    through_proxy("a proxy that closes", httpx.RemoteProtocolError, handler=drop),
    through_proxy("a proxy that resets", httpx.ReadError, handler=reset),
    through_proxy(
        "a proxy that says nothing",
        httpx.ReadTimeout,
        kind=EventType.TIMEOUT,
        timeout=0.2,
        handler=stall,
    ),
)

CASES = cases_by_id(ADDRESSES + CONNECTIONS + ANSWERS + BODIES + REQUESTS + REDIRECTS + PROXIES)


@pytest.mark.parametrize(("scenario", "method"), CASES.values(), ids=CASES.keys())
async def test_a_fault_reaches_the_caller_as_the_table_tells(
    scenario: Scenario, method: str
) -> None:
    """Its class, its cause, its events, its status and its attempts are the scenario's."""
    assert await run_scenario(scenario, method) == scenario.expected


# What needs more than a scenario


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_unknown_host_is_looked_up_once(method: str) -> None:
    """It will be as unknown a second later."""
    host = "nohost.invalid"
    if not await _is_known_to_be_unknown(host):
        pytest.skip(f"no name server here says that {host} does not exist")
    scenario = unreached("unknown host", httpx.ConnectError, url=f"http://{host}/")
    assert await run_scenario(scenario, method) == scenario.expected


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_port_that_takes_no_more_connections_is_a_timeout(
    method: str, crowded_port: int
) -> None:
    """Nothing was sent, and yet it is not tried again: a timeout has used up its time."""
    scenario = timed_out("crowded", httpx.ConnectTimeout, accepted=0, read=0)
    scenario = dataclasses.replace(scenario, url=f"http://127.0.0.1:{crowded_port}/")
    assert await run_scenario(scenario, method) == scenario.expected


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_idle_connection_that_the_server_closed_is_replaced(method: str) -> None:
    """The next request has its answer in one attempt, on a connection of its own."""

    async def wait_for_the_close(client: AsyncResilientClient, server: FaultServer) -> None:
        response = await (await client.get(server.url))
        connection = response.extensions["network_stream"]
        await wait_until(lambda: bool(connection.get_extra_info("is_readable")))

    closing = answer_then(Wire.finish)
    scenario = answered("stale", handler=closing, before=wait_for_the_close, accepted=2, read=2)
    assert await run_scenario(scenario, method) == scenario.expected


@pytest.fixture
def crowded_port() -> Iterator[int]:
    """Give a port whose queue of connections is full, so that no further one is answered."""
    with socket.socket() as listening, socket.socket() as waiting:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting.connect(listening.getsockname())
        yield listening.getsockname()[1]


async def _is_known_to_be_unknown(host: str) -> bool:
    try:
        await asyncio.get_running_loop().getaddrinfo(host, 80)
    except socket.gaierror as error:
        return error.errno == socket.EAI_NONAME
    return False
