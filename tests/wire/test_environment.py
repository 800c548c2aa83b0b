"""Our client uses the environment's proxies in the same way as httpx."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from httpx._utils import get_environment_proxies  # private; the function that httpx uses
from proxy_handlers import forward_proxy, tunnel_proxy
from tls_contexts import client_context, server_context

from typed_async_client import AsyncPoolTransport, AsyncResilientClient, ResilientTransport
from typed_async_client.pool.environment import ProxyRules, environment_proxies
from typed_async_client.testing import FaultServer, answer

pytestmark = pytest.mark.usefixtures("no_leaks")


def set_variables(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    """Set environment variables."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


# Parsing


PROXY = "http://proxy.test:3128"

ENVIRONMENTS: list[tuple[dict[str, str], dict[str, str | None]]] = [
    ({}, {}),
    ({"HTTP_PROXY": PROXY}, {"http://": PROXY}),
    ({"http_proxy": PROXY}, {"http://": PROXY}),
    ({"HTTPS_PROXY": PROXY}, {"https://": PROXY}),
    ({"https_proxy": PROXY}, {"https://": PROXY}),
    ({"ALL_PROXY": PROXY}, {"all://": PROXY}),
    ({"all_proxy": "socks5://proxy.test:1080"}, {"all://": "socks5://proxy.test:1080"}),
    ({"HTTP_PROXY": "proxy.test:3128"}, {"http://": PROXY}),
    ({"HTTP_PROXY": "http://upper.test", "http_proxy": PROXY}, {"http://": PROXY}),
    ({"HTTP_PROXY": PROXY, "http_proxy": ""}, {}),
    ({"HTTP_PROXY": ""}, {}),
    ({"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, {}),
    ({"TRAVIS_APT_PROXY": PROXY}, {}),
    ({"ALL_PROXY": PROXY, "NO_PROXY": "*"}, {}),
    ({"ALL_PROXY": PROXY, "no_proxy": "a.test,*"}, {}),
    ({"ALL_PROXY": PROXY, "NO_PROXY": ""}, {"all://": PROXY}),
    ({"ALL_PROXY": PROXY, "NO_PROXY": "a.test"}, {"all://": PROXY, "all://*a.test": None}),
    ({"ALL_PROXY": PROXY, "NO_PROXY": ".a.test"}, {"all://": PROXY, "all://*.a.test": None}),
    (
        {"ALL_PROXY": PROXY, "NO_PROXY": " a.test , b.test ,, "},
        {"all://": PROXY, "all://*a.test": None, "all://*b.test": None},
    ),
    (
        {"ALL_PROXY": PROXY, "NO_PROXY": "localhost,LocalHost"},
        {"all://": PROXY, "all://localhost": None, "all://LocalHost": None},
    ),
    (
        {"ALL_PROXY": PROXY, "NO_PROXY": "127.0.0.1,::1"},
        {"all://": PROXY, "all://127.0.0.1": None, "all://[::1]": None},
    ),
    (
        {"ALL_PROXY": PROXY, "NO_PROXY": "192.168.0.0/16"},
        {"all://": PROXY, "all://192.168.0.0/16": None},
    ),
    (
        {"ALL_PROXY": PROXY, "NO_PROXY": "https://a.test"},
        {"all://": PROXY, "https://a.test": None},
    ),
    (
        {"ALL_PROXY": PROXY, "NO_PROXY": "a.test:8080"},
        {"all://": PROXY, "all://*a.test:8080": None},
    ),
    (
        {"HTTP_PROXY": PROXY, "HTTPS_PROXY": "http://s.test", "ALL_PROXY": "http://a.test"},
        {"http://": PROXY, "https://": "http://s.test", "all://": "http://a.test"},
    ),
]


@pytest.mark.parametrize(("environment", "expected"), ENVIRONMENTS)
def test_the_environment_is_read_as_by_httpx(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    expected: dict[str, str | None],
) -> None:
    """The patterns and proxies are the expected ones, and those of httpx."""
    set_variables(monkeypatch, environment)
    assert environment_proxies() == expected
    assert environment_proxies() == get_environment_proxies()


@pytest.mark.parametrize("address", ["[::1]", "::1/128", "[::1]/128", "0:0::1"])
def test_an_ipv6_address_may_be_written_in_any_way(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """As curl and Go accept it; httpx raises, or doesn't recognize it."""
    set_variables(monkeypatch, {"ALL_PROXY": PROXY, "NO_PROXY": address})
    assert ProxyRules.of_environment().proxy_for(httpx.URL("http://[::1]/")) is None


URLS = [
    "http://a.test/",
    "https://a.test/",
    "http://www.a.test/",
    "http://nota.test/",
    "http://a.test:8080/",
    "http://localhost/",
    "http://127.0.0.1/",
    "http://[::1]/",
    "http://192.168.1.1/",
    "https://b.test/",
]


@pytest.mark.parametrize(
    "environment",
    [
        environment
        for environment, _ in ENVIRONMENTS
        if "/16" not in environment.get("NO_PROXY", "")
    ],
)
async def test_each_url_uses_a_proxy_if_it_does_in_httpx(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    """Both clients choose the transport for each URL, and our transports by the same rules.

    httpx takes a network for the address before the slash; see ``test_no_proxy.py``.
    """
    set_variables(monkeypatch, environment)
    httpx_client = httpx.AsyncClient()
    async with httpx_client, AsyncResilientClient() as client:
        inner = client._client
        assert isinstance(inner, httpx.AsyncClient)
        for text in URLS:
            url = httpx.URL(text)
            expected = httpx_client._transport_for_url(url) is not httpx_client._transport
            assert (inner._transport_for_url(url) is not inner._transport) == expected, text
            assert (ProxyRules.of_environment().proxy_for(url) is not None) == expected, text
        assert all(
            mount is None or isinstance(mount, AsyncPoolTransport)
            for mount in inner._mounts.values()
        )


EXCLUDED = [
    ".a.test", "a.test:8080", "::1", "10.0.0.0/8", "A.TEST", "http://a.test", "https://",
    "ws://a.test", "**", "a.test,.test,www.a.test", "all://a.test",
]  # fmt: skip
MORE_URLS = ["https://a.test:443/", "http://a.test:80/", "http://bücher.test/", "ws://a.test/"]


@pytest.mark.parametrize("excluded", EXCLUDED)
def test_our_transports_choose_the_same_proxy_as_httpx(
    monkeypatch: pytest.MonkeyPatch, excluded: str
) -> None:
    """Whatever ``NO_PROXY`` excludes, by scheme, host or port."""
    environment = {"ALL_PROXY": "http://all.test", "HTTPS_PROXY": "http://tls.test"}
    set_variables(monkeypatch, {**environment, "NO_PROXY": excluded})
    rules = ProxyRules.of_environment()
    with httpx.Client() as client:
        for text in URLS + MORE_URLS:
            transport: Any = client._transport_for_url(httpx.URL(text))
            expected = getattr(transport._pool, "_proxy_url", None)
            proxy = rules.proxy_for(httpx.URL(text))
            assert (proxy and proxy.url.host) == (expected and expected.host.decode()), text


def test_exceptions_without_a_proxy_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients of httpx fail for one that isn't valid."""
    monkeypatch.setenv("NO_PROXY", "a.test:http")
    assert ProxyRules.of_environment().proxies == []
    monkeypatch.setenv("ALL_PROXY", PROXY)
    with pytest.raises(httpx.InvalidURL):
        ProxyRules.of_environment()


# On real sockets


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_an_http_request_uses_the_environments_proxy(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The proxy receives the whole URL."""
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with AsyncResilientClient() as client:
            assert (await (await client.get(server.url))).status_code == 200
        assert [request.target for request in proxy.requests] == [server.url]


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_an_https_request_uses_the_environments_proxy(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Through a tunnel."""
    async with (
        FaultServer(answer(), tls=server_context()) as server,
        FaultServer(tunnel_proxy()) as proxy,
    ):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with AsyncResilientClient(verify=client_context()) as client:
            assert (await (await client.get(server.url))).status_code == 200
        assert [request.method for request in proxy.requests] == ["CONNECT"]


@pytest.mark.parametrize(
    ("name", "value"), [("NO_PROXY", "127.0.0.1"), ("no_proxy", "*"), ("HTTPS_PROXY", "x.test")]
)
async def test_an_excluded_request_uses_no_proxy(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Because of its host, of ``*``, or because only https has a proxy."""
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv(name, value)
        if name != "HTTPS_PROXY":
            monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with AsyncResilientClient() as client:
            assert (await (await client.get(server.url))).status_code == 200
        assert proxy.connections == 0


async def test_a_client_that_does_not_trust_the_environment_uses_no_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``trust_env=False`` disables all proxy variables."""
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with AsyncResilientClient(trust_env=False) as client:
            assert (await (await client.get(server.url))).status_code == 200
        assert proxy.connections == 0


async def test_an_explicit_proxy_takes_precedence_over_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And over NO_PROXY, as in httpx."""
    async with (
        FaultServer(answer()) as server,
        FaultServer(forward_proxy()) as explicit,
        FaultServer(forward_proxy()) as other,
    ):
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{other.port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        async with AsyncResilientClient(proxy=f"http://127.0.0.1:{explicit.port}") as client:
            assert (await (await client.get(server.url))).status_code == 200
        assert (explicit.connections, other.connections) == (1, 0)


async def test_an_explicit_mount_takes_precedence_over_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For the same pattern; the environment's other proxies are still used."""
    mock = httpx.MockTransport(lambda _: httpx.Response(204))
    async with FaultServer(answer()) as server, FaultServer(tunnel_proxy()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with AsyncResilientClient(mounts={"http://": mock}, max_retries=0) as client:
            assert (await (await client.get(server.url))).status_code == 204
            with pytest.raises(httpx.ConnectError):
                await (await client.get("https://localhost:1/"))
        assert (server.connections, proxy.connections) == (0, 1)


async def test_a_proxy_with_an_unknown_scheme_is_refused_as_by_httpx(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When the client is created, with the same type of error."""
    monkeypatch.setenv("ALL_PROXY", "ftp://proxy.test")
    with pytest.raises(ValueError, match="ftp"):
        httpx.AsyncClient()
    for make in (AsyncResilientClient, AsyncPoolTransport, ResilientTransport):
        with pytest.raises(ValueError, match="ftp"):
            make()
