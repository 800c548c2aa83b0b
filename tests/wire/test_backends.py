"""Our client over other libraries' backends: faults have the same effect as with our pool."""

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

each_backend = pytest.mark.parametrize("setup", BACKENDS, ids=str)

CONTEXT = RequestContext(request_id="r", max_retries=2, base_delay=0.001)


@pytest.fixture(autouse=True)
def _no_ca_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pyreqwest reads these variables even if ``trust_env`` is false."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


# Faults

DIFFERENCES: dict[tuple[str, str], dict[str, Any]] = {
    ("aiohttp", "a pool without a free connection"): {"raised": httpx.ConnectTimeout},
    ("aiohttp", "a body truncated by RST"): {"raised": httpx.RemoteProtocolError},
    ("aiohttp", "a chunk truncated by RST"): {"raised": httpx.RemoteProtocolError},
    ("aiohttp", "a silent proxy"): {"raised": httpx.ConnectTimeout},
    ("pyreqwest", "a pool without a free connection"): {"raised": httpx.ReadTimeout},
}
"""Faults that a backend reports differently than our pool; each is still one attempt."""

SKIPPED_ON_PYREQWEST = {
    "a head of 300 kB": "pyreqwest accepts it",
    "RST on connect": "pyreqwest may see it as a connect failure, which is retried",
}
"""Scenarios without one predictable effect, with the reason."""


@each_backend
@pytest.mark.parametrize(("scenario", "method"), CASES.values(), ids=CASES.keys())
async def test_a_fault_has_the_same_effect_as_with_our_pool(
    scenario: Scenario, method: str, setup: ClientSetup
) -> None:
    """The error's class, the events, the attempts, and what the server saw."""
    assert setup.backend is not None
    if setup.backend == "pyreqwest" and scenario.name in SKIPPED_ON_PYREQWEST:
        pytest.skip(SKIPPED_ON_PYREQWEST[scenario.name])
    options = {"verify": True, **scenario.client, "transport": setup.backend}
    expected = dataclasses.replace(
        scenario.expected,
        foreign_cause=None,
        connects=0,  # other backends don't support httpcore's trace
        **DIFFERENCES.get((setup.backend, scenario.name), {}),
    )
    observation = await run_scenario(dataclasses.replace(scenario, client=options), method)
    assert dataclasses.replace(observation, foreign_cause=None) == expected


# Retries


@each_backend
@pytest.mark.parametrize("refusals", [1, 2])
@pytest.mark.parametrize(
    ("method", "body"),
    [("GET", b""), ("POST", BODY), ("POST", None)],
    ids=["GET", "POST", "iterator"],
)
async def test_a_refused_connection_is_retried_until_the_port_opens(
    setup: ClientSetup, method: str, body: bytes | None, refusals: int
) -> None:
    """A body that can only be read once hasn't been touched by then."""

    async def pieces() -> AsyncIterator[bytes]:
        yield BODY[:3]
        yield BODY[3:]

    async with FaultServer(answer(), refusing=True) as server, setup.client() as client:

        async def open_port(event: Any) -> None:
            if event.context.current_attempt == refusals:
                await server.open()

        client.add_event_callback(EventType.RETRY, open_port)
        content = pieces() if body is None else body
        task = await client.request_async(method, server.url, CONTEXT, content=content)
        assert (await task).text == "ok"
        result = client.get_result("r")
        assert result is not None
        assert result.attempts == refusals + 1
        assert [seen.body for seen in server.requests] == [BODY if body is None else body]


@each_backend
async def test_the_connect_error_contains_the_systems_reason(setup: ClientSetup) -> None:
    """Its chain of causes leads to httpx's error, the backend's and the system's."""
    async with FaultServer(answer(), refusing=True) as server, setup.client() as client:
        task = await client.post(server.url, CONTEXT)
        with pytest.raises(ConnectError, match=r"127\.0\.0\.1:\d+: Connection refused") as raised:
            await task
    httpx_error = raised.value.__cause__
    assert type(httpx_error) is httpx.ConnectError
    backend_error = httpx_error.__cause__
    assert backend_error is not None
    assert type(backend_error).__module__.partition(".")[0] == setup.backend
    assert isinstance(backend_error.__cause__, ConnectionRefusedError)


@each_backend
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_unknown_host_is_not_retried(setup: ClientSetup, method: str) -> None:
    """It will still be unknown a second later."""
    await assert_one_attempt(setup, method, "http://no..host.invalid/")


@each_backend
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("tls", [server_context, expired, wrong_host])
async def test_a_rejected_certificate_is_not_retried(
    setup: ClientSetup, method: str, tls: Any
) -> None:
    """It will be the same a second later. The client doesn't trust the tests' CA."""
    async with FaultServer(answer(), tls=tls()) as server:
        error = await assert_one_attempt(setup, method, server.url)
        assert "certificate" in str(error)
        assert server.requests == []


async def assert_one_attempt(setup: ClientSetup, method: str, url: str) -> Exception:
    """Send a request that must fail to connect without a retry, and return its error."""
    async with setup.client() as client:
        task = await client.request_async(method, url, CONTEXT)
        with pytest.raises(httpx.ConnectError) as raised:
            await task
        result = client.get_result("r")
    assert result is not None
    assert type(raised.value) is httpx.ConnectError
    assert (result.status, result.attempts) == (ResultStatus.ERROR, 1)
    return raised.value


@each_backend
async def test_a_handshake_with_a_server_without_tls_is_not_retried(setup: ClientSetup) -> None:
    """It is the wrong port, and will still be wrong a second later."""

    async def answer_without_tls(wire: Any) -> None:
        await wire.read(65536)
        await wire.answer(400, b"this is not TLS")
        await wire.stall()

    async with FaultServer(answer_without_tls) as server:
        await assert_one_attempt(setup, "POST", server.url.replace("http:", "https:"))


@each_backend
@pytest.mark.parametrize("handler", [close_after_client_hello, reset_after_client_hello])
async def test_an_interrupted_handshake_is_retried(setup: ClientSetup, handler: Any) -> None:
    """Nothing of the request was sent."""
    async with FaultServer(handler) as server, setup.client() as client:
        task = await client.post(server.url.replace("http:", "https:"), CONTEXT, content=BODY)
        with pytest.raises(ConnectError):
            await task
        assert server.connections == 3


@each_backend
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
@pytest.mark.parametrize("handler", [drop, reset], ids=["drop", "reset"])
async def test_a_request_is_not_resent_when_its_connection_is_lost(
    setup: ClientSetup, method: str, handler: Any
) -> None:
    """Not even on a reused connection, and not by the backend itself either."""
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


# Bodies


@each_backend
async def test_a_slow_but_steady_body_is_read_completely(setup: ClientSetup) -> None:
    """The timeout applies to each read, not to the whole body."""
    parts = 12

    async def dribble(request: Any, wire: Any) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % parts)
        for _ in range(parts):
            await asyncio.sleep(0.1)
            await wire.send(b".")

    async with FaultServer(each_request(dribble)) as server, setup.client(timeout=1.0) as client:
        assert (await (await client.get(server.url))).content == parts * b"."


@each_backend
async def test_a_large_body_arrives_completely(setup: ClientSetup) -> None:
    """It is sent in parts, and has the announced length."""
    async with FaultServer(answer()) as server, setup.client() as client:
        body = bytes(range(256)) * 4096
        await (await client.post(server.url, content=body))
        (seen,) = server.requests
        assert seen.body == body
        assert seen.headers["content-length"] == str(len(body))
        assert "transfer-encoding" not in seen.headers


# Cancelling and closing


@each_backend
@pytest.mark.parametrize("stage", ["before", "connect", "head", "body"])
async def test_a_request_cancelled_at_any_stage_ends_once_and_leaks_nothing(
    setup: ClientSetup, stage: str
) -> None:
    """One CANCELLED event, one result, no task and no socket."""
    await warm_up(setup)
    async with (
        no_leaks(),
        FaultServer(half_body_then_stall if stage == "body" else stall) as server,
    ):
        events: Counter[str] = Counter()
        async with setup.client() as client:
            for kind in EventType:
                client.add_event_callback(
                    kind, lambda event: events.update([event.event_type.value])
                )
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
        assert events == {"cancelled": 1}


async def half_body_then_stall(wire: Any) -> None:
    """Send the headers and a part of the body, then stall."""
    await wire.read_request()
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
    await wire.stall()


@each_backend
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34])
async def test_closing_with_requests_in_flight_leaks_nothing(
    setup: ClientSetup, turns: int
) -> None:
    """Each request has a result, and the transport is closed."""
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
    """Let the backend create what it keeps for the lifetime of the process."""
    async with FaultServer(answer()) as server, setup.client() as client:
        await (await client.get(server.url))


# Options


@each_backend
async def test_cookies_are_left_to_httpx(setup: ClientSetup) -> None:
    """The backend stores none, so a cookie deleted from the client isn't sent again."""
    async with FaultServer(answer(200, b"", "Set-Cookie: a=1", "Set-Cookie: b=2")) as server:
        url = server.url.replace(
            "127.0.0.1", "localhost"
        )  # some backends have no cookies for IP addresses
        async with setup.client() as client:
            response = await (await client.get(url))
            assert dict(response.cookies) == {"a": "1", "b": "2"}
            await (await client.get(url))
            client._client.cookies.clear()
            await (await client.get(url))
        sent = [seen.headers.get("cookie") for seen in server.requests]
        assert sent == [None, "a=1; b=2", None]


@each_backend
async def test_no_header_is_added_to_those_of_httpx(setup: ClientSetup) -> None:
    """Headers that the client doesn't send aren't added by the backend."""
    async with FaultServer(answer()) as server, setup.client() as client:
        del client._client.headers["accept-encoding"]
        await (await client.post(server.url, content=BODY))
        (seen,) = server.requests
        assert "content-type" not in seen.headers
        assert seen.headers["user-agent"] == f"python-httpx/{httpx.__version__}"


@each_backend
async def test_a_ca_from_a_file_is_trusted(setup: ClientSetup, tmp_path: Path) -> None:
    """With ``verify=False``, certificates aren't checked."""
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
@each_backend
async def test_a_client_certificate_is_presented(setup: ClientSetup, tmp_path: Path) -> None:
    """To a server that requires one."""
    tls = requiring_client_certificate(ssl.TLSVersion.TLSv1_3)
    async with FaultServer(answer(), tls=tls) as server:
        cert = client_certificate_files(tmp_path)
        async with setup.client(cert=cert, verify=False) as client:
            assert (await (await client.get(server.url))).text == "ok"


@each_backend
@pytest.mark.parametrize(("idle", "connections"), [(None, 1), (0, 3)])
async def test_connections_are_kept_alive_unless_that_is_disabled(
    setup: ClientSetup, idle: int | None, connections: int
) -> None:
    """With ``max_keepalive_connections=0``, each request has a new connection."""
    limits = httpx.Limits(max_keepalive_connections=idle)
    async with FaultServer(answer()) as server, setup.client(limits=limits) as client:
        for _ in range(3):
            await (await client.get(server.url))
        assert server.connections == connections


@pytest.mark.parametrize("http1", [True, False])
async def test_pyreqwest_supports_http2(tmp_path: Path, *, http1: bool) -> None:
    """Aiohttp doesn't."""
    pytest.importorskip("pyreqwest", reason="pyreqwest is not installed")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["http_version"].encode()})

    options: Any = {"transport": "pyreqwest", "http1": http1, "http2": True, "verify": False}
    async with hypercorn_url(app, tmp_path) as url, AsyncResilientClient(**options) as client:
        response = await (await client.get(url))
        assert (response.text, response.http_version) == ("2", "HTTP/2")


@each_backend
async def test_proxy_credentials_are_sent(setup: ClientSetup, tmp_path: Path) -> None:
    """For forwarded requests and for tunnels."""
    required = basic_auth("user", "secret")
    async with (
        FaultServer(answer(200, b"http")) as http,
        FaultServer(answer(200, b"https"), tls=server_context()) as https,
        FaultServer(forward_proxy(required_auth=required)) as forward,
        FaultServer(tunnel_proxy(required_auth=required)) as tunnel,
    ):
        for origin, proxy in ((http, forward), (https, tunnel)):
            url = proxy.url.replace("//", "//user:secret@")
            async with setup.client(proxy=url, verify=False) as client:
                response = await (await client.get(origin.url))
            assert response.status_code == 200
            assert len(origin.requests) == len(proxy.requests) == 1


@each_backend
async def test_environment_proxies_are_used_only_with_trust_env(
    setup: ClientSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By httpx's rules, not the backend's."""
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        for trust_env, count in ((False, 0), (True, 1)):
            async with setup.client(trust_env=trust_env) as client:
                assert (await (await client.get(server.url))).text == "ok"
            assert len(proxy.requests) == count


@each_backend
async def test_connections_are_limited(setup: ClientSetup) -> None:
    """``max_connections`` is respected, and None means no limit."""
    peak: list[int] = []
    open_now: set[str] = set()
    release = asyncio.Event()

    async def hold(request: Any, wire: Any) -> None:
        open_now.add(request.target)
        peak.append(len(open_now))
        await release.wait()
        open_now.discard(request.target)
        await wire.answer()

    async with FaultServer(each_request(hold)) as server:
        for limit, expected in ((2, 2), (None, 6)):
            peak.clear()
            release.clear()
            limits = httpx.Limits(max_connections=limit)
            async with setup.client(limits=limits) as client:
                tasks = [await client.get(f"{server.url}{number}") for number in range(6)]
                await wait_until(lambda: len(open_now) == expected)  # noqa: B023 - awaited here
                release.set()
                await asyncio.gather(*tasks)
            assert max(peak) == expected
