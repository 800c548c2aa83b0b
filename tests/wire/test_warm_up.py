"""Connections that are opened before a request needs them; accepts and requests are counted."""

import asyncio
import pickle
import ssl
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fault_handlers import reset_on_connect, wait_until
from h2_servers import H2Wire, h2_client_context, h2_server
from h2_setups import ALL_SETUPS, H2Setup
from leak_checks import full_backlog
from pool_helpers import expected_statistics, new_transport, pool_client, wait_until_stale
from proxy_handlers import Socks5Proxy, forward_proxy, tunnel_proxy
from tls_contexts import client_context, server_context

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    DnsCache,
    InvalidURLError,
    ResilientTransport,
    WarmUpReport,
    refuse_private_addresses,
)
from typed_async_client.testing import FaultServer, Handler, Wire, answer, stall

pytestmark = pytest.mark.usefixtures("no_leaks")

FEW = httpx.Limits(max_connections=3, max_keepalive_connections=2)


def report_of(server: FaultServer, *, opened: int, missing: int = 0) -> WarmUpReport:
    """Return the report for a server without an error."""
    return WarmUpReport(origin=server.url.rstrip("/"), opened=opened, missing=missing)


# What is opened, and for whom


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.usefixtures("http11")
async def test_the_next_requests_use_the_connections(*, tls: bool) -> None:
    """The server sees no request before them, and no further connection."""
    context = server_context() if tls else None
    async with (
        FaultServer(answer(), tls=context) as server,
        AsyncResilientClient(verify=client_context()) as client,
    ):
        assert await client.warm_up([server.url], connections=3) == [report_of(server, opened=3)]
        await wait_until(lambda: server.connections == 3)
        assert server.requests == []
        tasks = [await client.get(server.url) for _ in range(3)]
        assert [(await task).status_code for task in tasks] == [200] * 3
        assert server.connections == 3


async def test_several_origins_are_warmed_at_the_same_time() -> None:
    """One report each, in the order of the URLs; the paths don't matter."""
    async with (
        FaultServer(answer()) as first,
        FaultServer(answer()) as second,
        AsyncResilientClient() as client,
    ):
        urls: list[httpx.URL | str] = [
            f"{second.url}a",
            first.url,
            httpx.URL(second.url),
            f"{second.url}b?c",
        ]
        assert await client.warm_up(urls) == [
            report_of(second, opened=1),
            report_of(first, opened=1),
        ]


async def test_a_relative_url_means_the_base_url() -> None:
    """As in a request."""
    async with (
        FaultServer(answer()) as server,
        AsyncResilientClient(base_url=f"{server.url}v1") as client,
    ):
        assert await client.warm_up(["/users"]) == [report_of(server, opened=1)]


async def test_idle_connections_count() -> None:
    """A second call opens what is missing, and one for which nothing is missing does nothing."""
    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        await client.request("GET", server.url)
        assert await client.warm_up([server.url], connections=2) == [report_of(server, opened=1)]
        assert await client.warm_up([server.url], connections=2) == [report_of(server, opened=0)]
        assert server.connections == 2


@ALL_SETUPS
async def test_one_connection_is_enough_for_http2(setup: H2Setup) -> None:
    """It is ready to be shared by concurrent requests."""
    async with setup.server() as server:
        transport = setup.transport()
        async with pool_client(transport) as client:
            for opened in (1, 0):
                reports = await transport.warm_up([server.url], connections=5)
                assert reports == [report_of(server, opened=opened)]
            responses = await asyncio.gather(*(client.get(server.url) for _ in range(10)))
            assert {response.http_version for response in responses} == {"HTTP/2"}
            assert transport.statistics() == expected_statistics(idle=1, opened=1)


async def test_a_server_without_http2_gets_as_many_as_asked_for() -> None:
    """Its protocol is known after the first one."""
    async with FaultServer(answer(), tls=server_context()) as server:
        transport = new_transport(tls=True, http2=True)
        async with pool_client(transport):
            reports = await transport.warm_up([server.url], connections=4)
            assert reports == [report_of(server, opened=4)]


async def test_a_request_may_join_an_http2_connection_that_is_being_opened() -> None:
    """It doesn't open another one."""
    async with h2_server() as server:
        transport = AsyncPoolTransport(http2=True, verify=h2_client_context())
        async with pool_client(transport) as client:
            warming = asyncio.ensure_future(transport.warm_up([server.url]))
            await wait_until(lambda: transport.statistics().connecting == 1)
            response = await client.get(server.url)
            assert await warming == [report_of(server, opened=1)]
            assert (response.http_version, server.connections) == ("HTTP/2", 1)


PROXIES: list[tuple[str, Callable[[], Handler], bool]] = [
    ("http", forward_proxy, False),
    ("http", tunnel_proxy, True),
    ("socks5", Socks5Proxy, False),
    ("socks5", Socks5Proxy, True),
]


@pytest.mark.parametrize(("scheme", "proxy_of", "tls"), PROXIES)
async def test_connections_are_opened_through_a_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, scheme: str, proxy_of: Callable[[], Handler], *, tls: bool
) -> None:
    """With the tunnel and the TLS handshake in it, and without a request."""
    async with (
        FaultServer(answer(), tls=server_context() if tls else None) as server,
        FaultServer(proxy_of()) as proxy,
    ):
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
        async with AsyncResilientClient(verify=client_context()) as client:
            reports = await client.warm_up([server.url], connections=2)
            assert reports == [report_of(server, opened=2)]
            assert (server.requests, proxy.connections) == ([], 2)
            tasks = [await client.get(server.url) for _ in range(2)]
            assert [(await task).status_code for task in tasks] == [200] * 2
            assert proxy.connections == 2


@pytest.mark.parametrize(("scheme", "proxy_of"), [("http", tunnel_proxy), ("socks5", Socks5Proxy)])
async def test_an_http2_connection_is_opened_through_a_proxy(
    scheme: str, proxy_of: Callable[[], Handler]
) -> None:
    """One, for as many requests as there are; a second call finds it."""
    async with h2_server() as server, FaultServer(proxy_of()) as proxy:
        transport = AsyncPoolTransport(
            http2=True, verify=h2_client_context(), proxy=f"{scheme}://127.0.0.1:{proxy.port}"
        )
        async with pool_client(transport) as client:
            for opened in (1, 0):
                reports = await transport.warm_up([server.url], connections=2)
                assert reports == [report_of(server, opened=opened)]
            responses = await asyncio.gather(*(client.get(server.url) for _ in range(5)))
            assert {response.http_version for response in responses} == {"HTTP/2"}
            assert proxy.connections == 1


async def test_a_request_that_joins_a_proxied_http2_connection_does_not_hold_up_the_warm_up() -> (
    None
):
    """The warm-up needs no stream, so it doesn't wait for one."""
    async with (
        h2_server(H2Wire.read_to_end, max_streams=1) as server,
        FaultServer(tunnel_proxy()) as proxy,
    ):
        transport = AsyncPoolTransport(
            http2=True, verify=h2_client_context(), proxy=f"http://127.0.0.1:{proxy.port}"
        )
        async with pool_client(transport) as client:
            warming = asyncio.ensure_future(transport.warm_up([server.url]))
            await wait_until(lambda: transport.statistics().connecting == 1)
            request = asyncio.ensure_future(client.get(server.url))
            assert await warming == [report_of(server, opened=1)]
            request.cancel()
            await asyncio.wait([request])


async def test_a_connection_with_connect_retries_is_opened() -> None:
    """Those are connections of httpcore."""
    async with FaultServer(answer()) as server:
        transport = AsyncPoolTransport(retries=1)
        async with pool_client(transport) as client:
            assert await transport.warm_up([server.url]) == [report_of(server, opened=1)]
            await client.get(server.url)
            assert server.connections == 1


async def test_a_connection_that_the_server_closes_while_it_is_idle_is_replaced() -> None:
    """Whatever the method, because nothing was sent on it."""
    warmed = asyncio.Event()

    async def close_first(wire: Wire) -> None:
        await warmed.wait()
        if server.connections > 1:
            await answer()(wire)

    async with FaultServer(close_first) as server:
        transport = new_transport()
        async with pool_client(transport) as client:
            assert await transport.warm_up([server.url]) == [report_of(server, opened=1)]
            warmed.set()
            await wait_until_stale(transport)
            response = await client.post(server.url, content=b"x")
            assert (response.status_code, len(server.requests)) == (200, 1)


async def test_an_idempotent_request_is_sent_again_if_the_server_closes_the_connection() -> None:
    """An early connection may be closed at any time, as a reused one may."""

    async def close_at_first_request(wire: Wire) -> None:
        if server.connections > 1:
            await answer()(wire)
        await wire.read_request()

    async with FaultServer(close_at_first_request) as server:
        transport = new_transport()
        async with pool_client(transport) as client:
            await transport.warm_up([server.url])
            response = await client.get(server.url)
            assert response.extensions["typed_async_client.resends"] == 1


async def test_names_are_resolved_with_the_cache() -> None:
    """The requests after it use the same answers."""
    async with FaultServer(answer()) as server:
        transport = AsyncPoolTransport(dns_cache=DnsCache(), force_close=True)
        async with pool_client(transport) as client:
            url = f"http://localhost:{server.port}/"
            (report,) = await transport.warm_up([url])
            assert report == WarmUpReport(origin=url.rstrip("/"), opened=1, missing=0)
            for connections in (1, 2):
                await client.get(url)
                assert server.connections == connections


# Limits


async def test_no_more_is_opened_than_the_pool_may_keep_idle() -> None:
    """What is missing is reported; it isn't an error."""
    async with FaultServer(answer()) as server, AsyncResilientClient(limits=FEW) as client:
        assert await client.warm_up([server.url], connections=10) == [
            report_of(server, opened=2, missing=8)
        ]
        pool = client.health().pool
        assert pool is not None
        assert (pool.idle, pool.closed) == (2, {})


async def test_connections_to_other_origins_stay_open() -> None:
    """They aren't closed to make room."""
    async with (
        FaultServer(answer()) as first,
        FaultServer(answer()) as second,
        AsyncResilientClient(limits=FEW) as client,
    ):
        await client.warm_up([first.url], connections=2)
        assert await client.warm_up([second.url]) == [report_of(second, opened=0, missing=1)]
        assert await client.warm_up([first.url], connections=2) == [report_of(first, opened=0)]


async def test_concurrent_calls_keep_the_limits_together() -> None:
    """What one of them is opening counts for the others."""
    async with FaultServer(answer()) as server:
        transport = AsyncPoolTransport(limits=FEW)
        async with pool_client(transport):
            calls = [transport.warm_up([server.url], connections=2) for _ in range(4)]
            reports = [report for (report,) in await asyncio.gather(*calls)]
            assert sum(report.opened for report in reports) == 2
            assert transport.statistics() == expected_statistics(idle=2, opened=2)


@pytest.mark.parametrize(
    "limits",
    [
        httpx.Limits(max_keepalive_connections=0),
        httpx.Limits(keepalive_expiry=0.0),
    ],
)
async def test_nothing_is_opened_if_nothing_may_be_idle(limits: httpx.Limits) -> None:
    """It would be closed at once."""
    async with FaultServer(answer()) as server, AsyncResilientClient(limits=limits) as client:
        assert await client.warm_up([server.url]) == [report_of(server, opened=0, missing=1)]
        assert server.connections == 0


async def test_a_pool_that_is_in_use_opens_no_more() -> None:
    """Requests that wait for a connection get the next one."""
    limits = httpx.Limits(max_connections=1)
    async with FaultServer(stall) as server:
        transport = AsyncPoolTransport(limits=limits)
        async with pool_client(transport) as client:
            requests = [asyncio.ensure_future(client.get(server.url)) for _ in range(2)]
            await wait_until(lambda: transport.statistics().waiting == 1)
            reports = await transport.warm_up([server.url])
            assert reports == [report_of(server, opened=0, missing=1)]
            for request in requests:
                request.cancel()
            await asyncio.wait(requests)


async def test_a_request_that_waits_gets_a_connection_that_was_opened_early() -> None:
    """It came while all others were in use."""
    async with FaultServer(answer()) as server:
        transport = AsyncPoolTransport(limits=httpx.Limits(max_connections=1))
        async with pool_client(transport) as client:
            warming = asyncio.ensure_future(transport.warm_up([server.url]))
            await wait_until(lambda: transport.statistics().connecting == 1)
            assert (await client.get(server.url)).status_code == 200
            assert await warming == [report_of(server, opened=1)]
            assert server.connections == 1


async def test_each_origin_gets_a_connection_before_one_gets_its_second() -> None:
    """If there isn't room for all of them."""
    limits = httpx.Limits(max_keepalive_connections=3)
    async with (
        FaultServer(answer()) as first,
        FaultServer(answer()) as second,
        AsyncResilientClient(limits=limits) as client,
    ):
        assert await client.warm_up([first.url, second.url], connections=3) == [
            report_of(first, opened=2, missing=1),
            report_of(second, opened=1, missing=2),
        ]


# Failures, cancellation, closing


async def test_a_failure_is_reported_and_not_raised() -> None:
    """It doesn't affect the other origins, and says what an error of a request would say."""
    async with (
        FaultServer(answer()) as good,
        FaultServer(answer(), refusing=True) as bad,
        AsyncResilientClient() as client,
    ):
        first, second = await client.warm_up([bad.url, good.url], connections=2)
        assert second == report_of(good, opened=2)
        assert (first.opened, first.missing, first.is_ready) == (0, 2, False)
        assert type(first.error) is httpx.ConnectError
        assert str(first.error) == f"cannot connect to 127.0.0.1:{bad.port}: Connection refused"
        assert isinstance(first.error.__cause__, Exception)
        assert repr(pickle.loads(pickle.dumps(first))) == repr(first)
        pool = client.health().pool
        assert pool is not None
        assert (pool.active, pool.idle) == (0, 2)


@pytest.mark.parametrize(
    ("handler", "context"),
    [(reset_on_connect, client_context()), (answer(), ssl.create_default_context())],
    ids=["reset", "untrusted certificate"],
)
async def test_a_failed_handshake_is_reported(handler: Handler, context: ssl.SSLContext) -> None:
    """TLS is part of what is done early."""
    tls = None if handler is reset_on_connect else server_context()
    async with (
        FaultServer(handler, tls=tls) as server,
        AsyncResilientClient(verify=context) as client,
    ):
        (report,) = await client.warm_up([f"https://localhost:{server.port}"])
        assert isinstance(report.error, httpx.ConnectError)
        assert (report.opened, report.missing) == (0, 1)


async def greet(wire: Wire) -> None:
    """Send a response that nobody has asked for."""
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    await wire.stall()


@pytest.mark.parametrize("handler", [greet, reset_on_connect])
@pytest.mark.usefixtures("http11")
async def test_a_connection_that_cannot_wait_is_reported(handler: Handler) -> None:
    """The server closes it at once, or sends what would be taken for the answer of a request."""
    async with FaultServer(handler) as server:
        transport = new_transport()
        async with pool_client(transport):
            (report,) = await transport.warm_up([server.url])
            assert (report.opened, report.missing) == (0, 1)
            assert type(report.error) is httpx.ConnectError
            assert "or sent something, before any request" in str(report.error)
            assert transport.statistics() == expected_statistics(opened=1, not_reusable=1)


async def test_a_refused_tunnel_is_reported() -> None:
    """The proxy answers CONNECT with an error."""
    reply = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    async with FaultServer(tunnel_proxy(reply=reply)) as proxy:
        transport = AsyncPoolTransport(proxy=f"http://127.0.0.1:{proxy.port}")
        async with pool_client(transport):
            (report,) = await transport.warm_up(["https://api.test"])
            assert isinstance(report.error, httpx.ProxyError)
            assert transport.statistics().active == 0


async def test_the_address_guard_is_asked() -> None:
    """A URL from a user can't be used to connect to a private address."""
    async with FaultServer(answer()) as server:
        transport = AsyncPoolTransport(address_guard=refuse_private_addresses)
        async with pool_client(transport):
            (report,) = await transport.warm_up([server.url])
            assert isinstance(report.error, httpx.ConnectError)
            assert "address guard refuses" in str(report.error)
            assert server.connections == 0


async def test_the_connect_timeout_of_the_client_applies() -> None:
    """A server that accepts no connection is reported."""
    timeout = httpx.Timeout(20.0, connect=0.05)
    with full_backlog() as port:
        async with AsyncResilientClient(timeout=timeout) as client:
            (report,) = await client.warm_up([f"http://127.0.0.1:{port}"])
            assert isinstance(report.error, httpx.ConnectTimeout)
            assert "within 0.05 s (connect timeout)" in str(report.error)


@pytest.mark.parametrize("turns", range(0, 12, 2))
async def test_cancelling_leaves_nothing_behind(turns: int) -> None:
    """No task, no slot, and no connection that isn't idle."""
    async with FaultServer(answer(), tls=server_context()) as server:
        transport = new_transport(tls=True)
        async with pool_client(transport):
            warming = asyncio.ensure_future(transport.warm_up([server.url], connections=3))
            for _ in range(turns):
                await asyncio.sleep(0)
            warming.cancel()
            await asyncio.wait([warming])
            assert warming.cancelled()
            stats = transport.statistics()
            assert (stats.active, stats.connecting, stats.waiting) == (0, 0, 0)


async def test_closing_the_client_ends_a_warm_up_and_says_so() -> None:
    """It doesn't wait for the connect timeout."""
    with full_backlog() as port:
        client = AsyncResilientClient(timeout=None)
        warming = asyncio.ensure_future(client.warm_up([f"http://127.0.0.1:{port}"]))
        await wait_until(lambda: getattr(client.health().pool, "active", 0) == 1)
        await client.close()
        (report,) = await warming
    assert repr(report.error) == "RuntimeError('the connection pool was closed meanwhile')"
    with pytest.raises(RuntimeError, match="this client is closed"):
        await client.warm_up(["http://api.test"])


# What is refused


@pytest.mark.parametrize(
    ("urls", "options", "error", "words"),
    [
        ("http://api.test", {}, TypeError, "urls must be a collection of URLs.*got str"),
        (httpx.URL("http://api.test"), {}, TypeError, "urls must be a collection.*got URL"),
        (b"http://api.test", {}, TypeError, "urls must be a collection.*got bytes"),
        (None, {}, TypeError, "urls must be a collection.*got NoneType"),
        ([b"http://api.test"], {}, TypeError, "a URL must be a str or an httpx.URL, got bytes"),
        (
            ["http://api.test"],
            {"connections": 0},
            ValueError,
            "connections must be an integer >= 1",
        ),
        (["http://api.test"], {"connections": True}, ValueError, "connections must be an integer"),
        (["ftp://api.test"], {}, httpx.UnsupportedProtocol, "unsupported protocol 'ftp'"),
        (["/relative"], {}, httpx.UnsupportedProtocol, "unsupported protocol ''"),
        (["http://"], {}, ValueError, "must have a host"),
        (["http://xn--a.test/"], {}, InvalidURLError, "isn't valid IDNA"),
        ([httpx.URL("http://xn--a.test/")], {}, InvalidURLError, "isn't valid IDNA"),
        (["http://user:secret@a:b/"], {}, httpx.InvalidURL, "^(?!.*secret)"),
    ],
)
async def test_bad_input_is_refused_before_anything_is_opened(
    urls: Any, options: Any, error: type[Exception], words: str
) -> None:
    """Also if it comes after a good URL."""
    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        many = [server.url, *urls] if isinstance(urls, list) else urls
        with pytest.raises(error, match=words):
            await client.warm_up(many, **options)
        assert server.connections == 0


async def test_an_empty_collection_warms_nothing() -> None:
    """It needs no special case in the caller."""
    async with AsyncResilientClient() as client:
        assert await client.warm_up([]) == []


OTHER_TRANSPORTS: list[tuple[Callable[[], Any], str]] = [
    (lambda: httpx.MockTransport(lambda _: httpx.Response(200)), "MockTransport"),
    (httpx.AsyncHTTPTransport, "AsyncHTTPTransport"),
    (ResilientTransport, "ResilientTransport"),
]


@pytest.mark.parametrize(("make", "name"), OTHER_TRANSPORTS)
async def test_a_transport_that_is_not_our_pool_is_refused(
    make: Callable[[], Any], name: str
) -> None:
    """It can't open a connection without a request, or would have to see the URL first."""
    async with AsyncResilientClient(transport=make()) as client:
        with pytest.raises(TypeError, match=f"served by {name}, and only an AsyncPoolTransport"):
            await client.warm_up(["http://api.test"])


async def test_an_external_client_over_our_pool_is_warmed() -> None:
    """With its own timeouts; any other external client is refused."""

    class Other:
        async def request(self, *_: Any, **__: Any) -> httpx.Response:
            return httpx.Response(200)

    async with FaultServer(answer()) as server:
        async with (
            httpx.AsyncClient(transport=AsyncPoolTransport()) as external,
            AsyncResilientClient(http_client=external) as client,
        ):
            assert await client.warm_up([server.url]) == [report_of(server, opened=1)]
        async with AsyncResilientClient(http_client=Other()) as client:
            with pytest.raises(TypeError, match="served by Other"):
                await client.warm_up([server.url])


async def test_nothing_is_opened_while_a_tool_replaces_the_sending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A test that mocks httpx's transport makes no connection."""

    async def mocked(*_: object) -> httpx.Response:
        return httpx.Response(200)

    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", mocked)
        assert await client.warm_up([server.url]) == [report_of(server, opened=0)]
        assert server.connections == 0
