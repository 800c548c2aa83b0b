"""Engines of other libraries under our client: the same faults, the same endings."""

import asyncio
import dataclasses
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from external_clients import BACKENDS, ClientSetup
from fault_handlers import (
    answer_then,
    close_after_client_hello,
    reset_after_client_hello,
    wait_until,
)
from fault_scenarios import BODY, Scenario, run_scenario
from h2_servers import hypercorn_url
from leak_checks import no_leaks
from proxy_handlers import basic_auth, forward_proxy, tunnel_proxy
from test_fault_table import CASES
from tls_contexts import (
    ca_file,
    client_certificate_files,
    expired,
    requiring_client_certificate,
    server_context,
    wrong_host,
)

from typed_async_client import (
    AsyncResilientClient,
    ConnectError,
    EventType,
    RequestContext,
    ResultStatus,
)
from typed_async_client.testing import (
    FaultServer,
    answer,
    drop,
    each_request,
    reset,
    stall,
)

on_each_engine = pytest.mark.parametrize("setup", BACKENDS, ids=str)

CONTEXT = RequestContext(request_id="r", max_retries=2, base_delay=0.001)


@pytest.fixture(autouse=True)
def _without_authorities_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pyreqwest reads these whatever it is told, and is told not to."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


# The table of faults

DIFFERENCES: dict[tuple[str, str], dict[str, Any]] = {
    ("aiohttp", "a pool without a free connection"): {"raised": httpx.ConnectTimeout},
    ("aiohttp", "a body cut by RST"): {"raised": httpx.RemoteProtocolError},
    ("aiohttp", "a chunk cut by RST"): {"raised": httpx.RemoteProtocolError},
    ("aiohttp", "a line end in a header"): {"raised": ValueError},
    ("aiohttp", "a zero byte in a header"): {"raised": ValueError},
    ("aiohttp", "a proxy that says nothing"): {"raised": httpx.ConnectTimeout},
    ("pyreqwest", "a pool without a free connection"): {"raised": httpx.ReadTimeout},
    ("pyreqwest", "a line end in a header"): {"raised": ValueError, "accepted": 0},
    ("pyreqwest", "a zero byte in a header"): {"raised": ValueError, "accepted": 0},
}
"""Where an engine sees a fault otherwise than our pool does; each is one attempt all the same."""

OTHERWISE_ON_PYREQWEST = {
    "a head of 300 kB": "it is no fault to pyreqwest",
    "RST at once": "pyreqwest may see it before it has a connection, and then it is tried again",
}
"""What the table cannot tell of it."""


@on_each_engine
@pytest.mark.parametrize(("scenario", "method"), CASES.values(), ids=CASES.keys())
async def test_a_fault_ends_as_it_does_on_our_own_pool(
    scenario: Scenario, method: str, setup: ClientSetup
) -> None:
    """Its class, its events, its attempts, and what the server saw of it."""
    assert setup.backend is not None
    if setup.backend == "pyreqwest" and scenario.name in OTHERWISE_ON_PYREQWEST:
        pytest.skip(OTHERWISE_ON_PYREQWEST[scenario.name])
    options = {"verify": True, **scenario.client, "transport": setup.backend}
    expected = dataclasses.replace(
        scenario.expected,
        foreign_cause=None,
        connects=0,  # an engine has no trace to tell them
        **DIFFERENCES.get((setup.backend, scenario.name), {}),
    )
    ending = await run_scenario(dataclasses.replace(scenario, client=options), method)
    assert dataclasses.replace(ending, foreign_cause=None) == expected


# Retries


@on_each_engine
@pytest.mark.parametrize("refusals", [1, 2])
@pytest.mark.parametrize(
    ("method", "body"),
    [("GET", b""), ("POST", BODY), ("POST", None)],
    ids=["GET", "POST", "pieces"],
)
async def test_a_port_that_opens_is_reached_with_one_retry_for_each_refusal(
    setup: ClientSetup, method: str, body: bytes | None, refusals: int
) -> None:
    """A body that can be read only once has not begun to be read."""

    async def pieces() -> AsyncIterator[bytes]:
        yield BODY[:3]
        yield BODY[3:]

    async with FaultServer(answer(), refusing=True) as server, setup.client() as client:

        async def open_in_time(event: Any) -> None:
            if event.context.current_attempt == refusals:
                await server.open()

        client.add_event_callback(EventType.RETRY, open_in_time)
        content = pieces() if body is None else body
        task = await client.request_async(method, server.url, CONTEXT, content=content)
        assert (await task).text == "ok"
        result = client.get_result("r")
        assert result is not None
        assert result.attempts == refusals + 1
        assert [seen.body for seen in server.requests] == [BODY if body is None else body]


@on_each_engine
async def test_the_last_connect_failure_tells_the_systems_reason(setup: ClientSetup) -> None:
    """The chain leads from our error to the engine's, and to the system's behind it."""
    async with FaultServer(answer(), refusing=True) as server, setup.client() as client:
        task = await client.post(server.url, CONTEXT)
        with pytest.raises(ConnectError, match=r"127\.0\.0\.1:\d+: Connection refused") as raised:
            await task
    of_httpx = raised.value.__cause__
    assert type(of_httpx) is httpx.ConnectError
    of_engine = of_httpx.__cause__
    assert of_engine is not None
    assert type(of_engine).__module__.partition(".")[0] == setup.backend
    assert isinstance(of_engine.__cause__, ConnectionRefusedError)


@on_each_engine
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_unknown_host_is_looked_up_once(setup: ClientSetup, method: str) -> None:
    """It will be as unknown a second later."""
    await assert_one_attempt(setup, method, "http://no..host.invalid/")


@on_each_engine
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("tls", [server_context, expired, wrong_host])
async def test_a_refused_certificate_is_looked_at_once(
    setup: ClientSetup, method: str, tls: Any
) -> None:
    """It will be the same a second later; for the first, nobody vouches here."""
    async with FaultServer(answer(), tls=tls()) as server:
        error = await assert_one_attempt(setup, method, server.url)
        assert "certificate" in str(error)
        assert server.requests == []


async def assert_one_attempt(setup: ClientSetup, method: str, url: str) -> Exception:
    """Send a request that must fail to connect at the first attempt; give its error."""
    async with setup.client() as client:
        task = await client.request_async(method, url, CONTEXT)
        with pytest.raises(httpx.ConnectError) as raised:
            await task
        result = client.get_result("r")
    assert result is not None
    assert type(raised.value) is httpx.ConnectError
    assert (result.status, result.attempts) == (ResultStatus.ERROR, 1)
    return raised.value


@on_each_engine
async def test_a_handshake_with_who_speaks_no_tls_is_tried_once(setup: ClientSetup) -> None:
    """It is the wrong port, and will be it a second later."""

    async def answer_plainly(wire: Any) -> None:
        await wire.read(65536)
        await wire.answer(400, b"this is no TLS")
        await wire.stall()

    async with FaultServer(answer_plainly) as server:
        await assert_one_attempt(setup, "POST", server.url.replace("http:", "https:"))


@on_each_engine
@pytest.mark.parametrize("handler", [close_after_client_hello, reset_after_client_hello])
async def test_a_handshake_cut_short_is_tried_again(setup: ClientSetup, handler: Any) -> None:
    """The request has not begun to be sent."""
    async with FaultServer(handler) as server, setup.client() as client:
        task = await client.post(server.url.replace("http:", "https:"), CONTEXT, content=BODY)
        with pytest.raises(ConnectError):
            await task
        assert server.connections == 3


@on_each_engine
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
@pytest.mark.parametrize("handler", [drop, reset], ids=["drop", "reset"])
async def test_a_connection_lost_over_a_request_is_no_reason_to_send_it_again(
    setup: ClientSetup, method: str, handler: Any
) -> None:
    """Not even on a connection used before, and not even by the engine itself."""
    async with FaultServer(answer_then(handler)) as server, setup.client() as client:
        await (await client.get(server.url))
        task = await client.request_async(method, server.url, CONTEXT, content=b"5")
        with pytest.raises(httpx.TransportError):
            await task
        result = client.get_result("r")
        assert result is not None
        assert result.attempts == 1
        assert [seen.method for seen in server.requests] == ["GET", method]
        assert server.connections == 1


# Time


@on_each_engine
async def test_a_body_that_comes_slowly_but_steadily_is_read_to_its_end(setup: ClientSetup) -> None:
    """The timeout applies to each part, not to the whole body."""
    parts = 12

    async def dribble(request: Any, wire: Any) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % parts)
        for _ in range(parts):
            await asyncio.sleep(0.1)
            await wire.send(b".")

    async with FaultServer(each_request(dribble)) as server, setup.client(timeout=1.0) as client:
        assert (await (await client.get(server.url))).content == parts * b"."


@on_each_engine
async def test_a_large_body_arrives_whole(setup: ClientSetup) -> None:
    """It goes out in parts, and is as long as it said."""
    async with FaultServer(answer()) as server, setup.client() as client:
        body = bytes(range(256)) * 4096
        await (await client.post(server.url, content=body))
        (seen,) = server.requests
        assert seen.body == body
        assert seen.headers["content-length"] == str(len(body))
        assert "transfer-encoding" not in seen.headers


# Cancelling and closing


@on_each_engine
@pytest.mark.parametrize("stage", ["before", "connect", "head", "body"])
async def test_a_request_cancelled_in_any_stage_has_one_end_and_leaves_nothing(
    setup: ClientSetup, stage: str
) -> None:
    """One CANCELLED event, one result, no task and no socket."""
    await warm_up(setup)
    async with (
        no_leaks(),
        FaultServer(half_body_then_stall if stage == "body" else stall) as server,
    ):
        ends: Counter[str] = Counter()
        async with setup.client() as client:
            for kind in EventType:
                client.add_event_callback(kind, lambda event: ends.update([event.event_type.value]))
            url = server.url.replace("http:", "https:") if stage == "connect" else server.url
            task = await client.get(url, CONTEXT)
            if stage == "connect":
                await wait_until(lambda: server.connections == 1)
            elif stage != "before":
                await wait_until(lambda: bool(server.requests))
                await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()
            result = client.get_result("r")
            assert result is not None
            assert result.status is ResultStatus.CANCELLED
            assert result.attempts == (0 if stage == "before" else 1)
            await client.wait_for_all_requests()
        assert ends == {"cancelled": 1}


async def half_body_then_stall(wire: Any) -> None:
    """Answer with a head and a part of the body, then say nothing."""
    await wire.read_request()
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
    await wire.stall()


@on_each_engine
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34])
async def test_closing_with_requests_under_way_leaves_nothing(
    setup: ClientSetup, turns: int
) -> None:
    """Each has its end, and the transport its own."""
    await warm_up(setup)
    async with no_leaks(), FaultServer(stall) as server, FaultServer(answer()) as other:
        async with setup.client() as client:
            for _ in range(10):
                await client.get(server.url)
                await client.get(other.url)
            for _ in range(turns):
                await asyncio.sleep(0)
        results = client.get_all_results().values()
        assert len(results) == 20
        assert {result.status for result in results} <= {
            ResultStatus.CANCELLED,
            ResultStatus.SUCCESS,
        }


async def warm_up(setup: ClientSetup) -> None:
    """Have the engine make what it keeps for the life of the process."""
    async with FaultServer(answer()) as server, setup.client() as client:
        await (await client.get(server.url))


# Options


@on_each_engine
async def test_cookies_are_httpxs_affair(setup: ClientSetup) -> None:
    """The engine keeps none: what is deleted from the client is sent no more."""
    async with FaultServer(answer(200, b"", "Set-Cookie: a=1", "Set-Cookie: b=2")) as server:
        url = server.url.replace("127.0.0.1", "localhost")  # an address has no cookies everywhere
        async with setup.client() as client:
            response = await (await client.get(url))
            assert dict(response.cookies) == {"a": "1", "b": "2"}
            await (await client.get(url))
            client._client.cookies.clear()
            await (await client.get(url))
        sent = [seen.headers.get("cookie") for seen in server.requests]
        assert sent == [None, "a=1; b=2", None]


@on_each_engine
async def test_no_header_is_added_to_httpxs(setup: ClientSetup) -> None:
    """What the client leaves out stays out."""
    async with FaultServer(answer()) as server, setup.client() as client:
        del client._client.headers["accept-encoding"]
        await (await client.post(server.url, content=BODY))
        (seen,) = server.requests
        assert "content-type" not in seen.headers
        assert seen.headers["user-agent"] == f"python-httpx/{httpx.__version__}"


@on_each_engine
async def test_an_authority_given_as_a_file_is_trusted(setup: ClientSetup, tmp_path: Path) -> None:
    """And nobody is, where nobody was asked for."""
    verify: Any = ca_file(tmp_path)
    if setup.backend == "aiohttp":
        verify = httpx.create_ssl_context(verify=False)
        verify.load_verify_locations(ca_file(tmp_path))
    for option in (verify, False):
        async with (
            FaultServer(answer(), tls=server_context()) as server,
            setup.client(verify=option) as client,
        ):
            assert (await (await client.get(server.url))).text == "ok"


@pytest.mark.filterwarnings("ignore:`cert=...` is deprecated:DeprecationWarning")
@on_each_engine
async def test_a_certificate_of_the_client_is_shown(setup: ClientSetup, tmp_path: Path) -> None:
    """To a server that asks for it."""
    tls = requiring_client_certificate(ssl.TLSVersion.TLSv1_3)
    async with FaultServer(answer(), tls=tls) as server:
        cert = client_certificate_files(tmp_path)
        async with setup.client(cert=cert, verify=False) as client:
            assert (await (await client.get(server.url))).text == "ok"


@on_each_engine
@pytest.mark.parametrize(("idle", "connections"), [(None, 1), (0, 3)])
async def test_a_connection_is_kept_alive_where_it_may_be(
    setup: ClientSetup, idle: int | None, connections: int
) -> None:
    """``max_keepalive_connections=0`` is a connection for each request."""
    limits = httpx.Limits(max_keepalive_connections=idle)
    async with FaultServer(answer()) as server, setup.client(limits=limits) as client:
        for _ in range(3):
            await (await client.get(server.url))
        assert server.connections == connections


@pytest.mark.parametrize("http1", [True, False])
async def test_pyreqwest_speaks_http2_where_it_is_asked_to(tmp_path: Path, *, http1: bool) -> None:
    """Aiohttp refuses to."""
    pytest.importorskip("pyreqwest", reason="pyreqwest is not installed")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["http_version"].encode()})

    options: Any = {"transport": "pyreqwest", "http1": http1, "http2": True, "verify": False}
    async with hypercorn_url(app, tmp_path) as url, AsyncResilientClient(**options) as client:
        response = await (await client.get(url))
        assert (response.text, response.http_version) == ("2", "HTTP/2")


@on_each_engine
async def test_a_proxy_is_used_with_its_password(setup: ClientSetup, tmp_path: Path) -> None:
    """For plain requests and for tunnels."""
    wanted = basic_auth("user", "secret")
    async with (
        FaultServer(answer(200, b"plain")) as plain,
        FaultServer(answer(200, b"tls"), tls=server_context()) as tls,
        FaultServer(forward_proxy(required_auth=wanted)) as forward,
        FaultServer(tunnel_proxy(required_auth=wanted)) as tunnel,
    ):
        for origin, proxy in ((plain, forward), (tls, tunnel)):
            url = proxy.url.replace("//", "//user:secret@")
            async with setup.client(proxy=url, verify=False) as client:
                response = await (await client.get(origin.url))
            assert response.status_code == 200
            assert len(origin.requests) == len(proxy.requests) == 1


@on_each_engine
async def test_proxies_of_the_environment_count_where_the_environment_does(
    setup: ClientSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is httpx's rules that tell, and not the engine's own."""
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        for trust_env, through in ((False, 0), (True, 1)):
            async with setup.client(trust_env=trust_env) as client:
                assert (await (await client.get(server.url))).text == "ok"
            assert len(proxy.requests) == through


@on_each_engine
async def test_connections_are_counted(setup: ClientSetup) -> None:
    """``max_connections`` is respected, and None means no limit."""
    peak: list[int] = []
    open_now: set[str] = set()
    go_on = asyncio.Event()

    async def note(request: Any, wire: Any) -> None:
        open_now.add(request.target)
        peak.append(len(open_now))
        await go_on.wait()
        open_now.discard(request.target)
        await wire.answer()

    async with FaultServer(each_request(note)) as server:
        for limit, expected in ((2, 2), (None, 6)):
            peak.clear()
            go_on.clear()
            limits = httpx.Limits(max_connections=limit)
            async with setup.client(limits=limits) as client:
                tasks = [await client.get(f"{server.url}{number}") for number in range(6)]
                await wait_until(lambda: len(open_now) == expected)  # noqa: B023 - awaited here
                go_on.set()
                await asyncio.gather(*tasks)
            assert max(peak) == expected
