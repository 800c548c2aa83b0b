"""Transports given to httpx's clients use the proxies of the environment, as these clients do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest
import respx
from open_clients import open_client
from proxy_handlers import forward_proxy, tunnel_proxy
from tls_contexts import ca_file, server_context

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    HSTSTransport,
    HTTPSOnlyTransport,
    ResilientTransport,
)
from typed_async_client.testing import FaultServer, Wire, answer

MADE: list[tuple[str, Callable[[], Any]]] = [
    ("async", AsyncPoolTransport),
    *((kind, make) for kind in ("sync", "async") for make in (ResilientTransport, HSTSTransport)),
    ("async", lambda: ResilientTransport("aiohttp")),
    ("async", lambda: ResilientTransport("pyreqwest")),
]
IDS = ["pool", "sync", "sync HSTS", "async", "async HSTS", "aiohttp", "pyreqwest"]
every_transport = pytest.mark.parametrize(("kind", "make"), MADE, ids=IDS)


def address(proxy: FaultServer) -> str:
    """Return the URL of a proxy."""
    return f"http://127.0.0.1:{proxy.port}"


@every_transport
async def test_an_http_request_goes_through_the_proxy(
    monkeypatch: pytest.MonkeyPatch, kind: str, make: Callable[[], Any]
) -> None:
    """With synchronous and asynchronous clients; the proxy receives the whole URL."""
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", address(proxy))
        async with open_client(kind, transport=make()) as send:
            assert (await send(server.url)).status_code == 200
        assert [request.target for request in proxy.requests] == [server.url]


@every_transport
async def test_an_https_request_goes_through_a_tunnel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, make: Callable[[], Any]
) -> None:
    """The certificate is verified as by any client that trusts the environment."""
    async with (
        FaultServer(answer(), tls=server_context()) as server,
        FaultServer(tunnel_proxy()) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", address(proxy))
        monkeypatch.setenv("SSL_CERT_FILE", ca_file(tmp_path))
        async with open_client(kind, transport=make()) as send:
            assert (await send(server.url)).status_code == 200
        assert [request.method for request in proxy.requests] == ["CONNECT"]


@every_transport
@pytest.mark.parametrize("excluded", ["127.0.0.1", "*"])
async def test_an_excluded_host_is_reached_directly(
    monkeypatch: pytest.MonkeyPatch, kind: str, make: Callable[[], Any], excluded: str
) -> None:
    """By its address, or because every host is excluded."""
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv("ALL_PROXY", address(proxy))
        monkeypatch.setenv("NO_PROXY", excluded)
        async with open_client(kind, transport=make()) as send:
            assert (await send(server.url)).status_code == 200
        assert (server.connections, proxy.connections) == (1, 0)


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("async", lambda: AsyncPoolTransport(trust_env=False)),
        ("sync", lambda: ResilientTransport(trust_env=False)),
        ("async", lambda: ResilientTransport(trust_env=False)),
        ("async", lambda: ResilientTransport("aiohttp", trust_env=False)),
    ],
    ids=["pool", "sync", "async", "aiohttp"],
)
async def test_a_transport_that_does_not_trust_the_environment_uses_no_proxy(
    monkeypatch: pytest.MonkeyPatch, kind: str, make: Callable[[], Any]
) -> None:
    """``trust_env=False`` is an option of each."""
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv("ALL_PROXY", address(proxy))
        async with open_client(kind, transport=make()) as send:
            assert (await send(server.url)).status_code == 200
        assert proxy.connections == 0


async def test_one_pool_serves_proxied_and_direct_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its limits and its statistics count all connections; those through a proxy are kept too."""

    async def tunnel_and_answer(wire: Wire) -> None:
        while (request := await wire.read_request()) is not None:
            await wire.answer(200, request.target.encode())

    async with FaultServer(answer()) as server, FaultServer(tunnel_and_answer) as proxy:
        monkeypatch.setenv("HTTP_PROXY", address(proxy))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        transport = AsyncPoolTransport()
        async with httpx.AsyncClient(transport=transport) as client:
            for _ in range(3):
                assert (await client.get("http://a.test/x")).text == "http://a.test/x"
                assert (await client.get(server.url)).text == "ok"
            assert transport.statistics().opened == 2
        assert (server.connections, proxy.connections) == (1, 1)


async def test_an_explicit_proxy_or_socket_takes_precedence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A Unix socket is reached directly, whatever the environment says."""
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
        explicit = AsyncPoolTransport(proxy=address(proxy))
        async with httpx.AsyncClient(transport=explicit) as client:
            assert (await client.get(server.url)).status_code == 200
        unix = AsyncPoolTransport(uds=str(tmp_path / "missing.sock"))
        async with httpx.AsyncClient(transport=unix) as client:
            with pytest.raises(httpx.ConnectError, match="No such file"):
                await client.get(server.url)
        assert proxy.connections == 1


async def test_the_client_passes_its_own_proxies_to_its_pool_only_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mount for every URL is less specific than the environment's, as in httpx."""
    mock = httpx.MockTransport(lambda _: httpx.Response(204))
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", address(proxy))
        async with AsyncResilientClient(mounts={"all://": mock}) as client:
            assert (await (await client.get(server.url))).status_code == 200
            assert (await (await client.get("https://a.test/"))).status_code == 204
        assert proxy.connections == 1


@pytest.mark.parametrize("method", ["pool", "transport"])
async def test_a_patched_method_that_passes_requests_on_still_uses_the_proxy(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Recorders do so; httpcore's own code then makes the connections."""
    owner: Any = httpcore.AsyncConnectionPool if method == "pool" else httpx.AsyncHTTPTransport
    original = owner.handle_async_request

    async def passing_on(self: Any, request: Any) -> Any:
        return await original(self, request)

    monkeypatch.setattr(owner, "handle_async_request", passing_on)
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", address(proxy))
        async with httpx.AsyncClient(transport=AsyncPoolTransport()) as client:
            assert (await client.get(server.url)).status_code == 200
        assert proxy.connections == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_mocks_see_the_requests_that_would_go_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Nothing is sent."""
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with respx.mock() as mock:
        route = mock.get("http://pay.test/").respond(201)
        async with open_client(kind, transport=ResilientTransport()) as send:
            assert (await send("http://pay.test/")).status_code == 201
    assert route.call_count == 1


async def test_https_only_goes_through_the_proxy_as_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As do all transports that make their own."""
    async with (
        FaultServer(answer(), tls=server_context()) as server,
        FaultServer(tunnel_proxy()) as proxy,
    ):
        monkeypatch.setenv("ALL_PROXY", address(proxy))
        monkeypatch.setenv("SSL_CERT_FILE", ca_file(tmp_path))
        async with open_client("sync", transport=HTTPSOnlyTransport()) as send:
            assert (await send(server.url)).status_code == 200
        assert proxy.connections == 1


def test_an_option_of_the_default_transport_is_refused_along_with_another() -> None:
    """It couldn't have any effect; the message says where it belongs."""
    for option in ("trust_env", "resend_on_closed"):
        options: Any = {option: False}
        with pytest.raises(ValueError, match=rf"{option}=False is for the default.*MockTransport"):
            ResilientTransport(httpx.MockTransport(lambda _: httpx.Response(200)), **options)


async def test_with_an_address_guard_no_proxy_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only the proxy would learn the address of the target, which the guard has to check."""
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv("ALL_PROXY", address(proxy))
        transport = AsyncPoolTransport(address_guard=lambda _: False)
        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(httpx.ConnectError, match="guard refuses"):
                await client.get(server.url)
        assert (server.connections, proxy.connections) == (0, 0)
