"""The proxies of the environment count for our client as they do for plain httpx."""

from collections.abc import Mapping

import httpx
import pytest
from httpx._utils import get_environment_proxies  # what httpx itself goes by; it is not public
from proxy_handlers import forward_proxy, tunnel_proxy
from tls_contexts import client_context, server_context

from typed_async_client import AsyncPoolTransport, AsyncResilientClient
from typed_async_client.httpx_client.build import environment_proxies
from typed_async_client.testing import FaultServer, answer

pytestmark = pytest.mark.usefixtures("no_leaks")

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD")


@pytest.fixture(autouse=True)
def _no_proxy_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def set_up(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    """Set the variables."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


# The table


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
def test_the_environment_is_read_as_httpx_reads_it(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    expected: dict[str, str | None],
) -> None:
    """The same patterns, the same proxies; written out, and compared with httpx's own."""
    set_up(monkeypatch, environment)
    assert environment_proxies() == expected
    assert environment_proxies() == get_environment_proxies()


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


@pytest.mark.parametrize("environment", [environment for environment, _ in ENVIRONMENTS])
async def test_each_url_takes_a_proxy_where_plain_httpx_takes_one(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    """Asked of the clients themselves, URL by URL."""
    set_up(monkeypatch, environment)
    plain = httpx.AsyncClient()
    async with plain, AsyncResilientClient() as client:
        inner = client._client
        assert isinstance(inner, httpx.AsyncClient)
        for text in URLS:
            url = httpx.URL(text)
            expected = plain._transport_for_url(url) is not plain._transport
            assert (inner._transport_for_url(url) is not inner._transport) == expected, text
        assert all(
            mount is None or isinstance(mount, AsyncPoolTransport)
            for mount in inner._mounts.values()
        )


# On the wire


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_a_plain_request_takes_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The proxy sees the whole URL."""
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with AsyncResilientClient() as client:
            assert (await (await client.get(server.url))).status_code == 200
        assert [request.target for request in proxy.requests] == [server.url]


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_a_secured_request_takes_the_proxy_of_the_environment(
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
async def test_an_excepted_request_takes_no_proxy(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """By its host, by all hosts, or because only the other scheme has one."""
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv(name, value)
        if name != "HTTPS_PROXY":
            monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with AsyncResilientClient() as client:
            assert (await (await client.get(server.url))).status_code == 200
        assert proxy.connections == 0


async def test_a_client_that_does_not_trust_the_environment_takes_no_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With ``trust_env=False`` all of it is switched off."""
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with AsyncResilientClient(trust_env=False) as client:
            assert (await (await client.get(server.url))).status_code == 200
        assert proxy.connections == 0


async def test_a_proxy_that_is_given_wins_over_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And over its exceptions, as in httpx."""
    async with (
        FaultServer(answer()) as server,
        FaultServer(forward_proxy()) as given,
        FaultServer(forward_proxy()) as other,
    ):
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{other.port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        async with AsyncResilientClient(proxy=f"http://127.0.0.1:{given.port}") as client:
            assert (await (await client.get(server.url))).status_code == 200
        assert (given.connections, other.connections) == (1, 0)


async def test_a_mount_that_is_given_wins_over_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one of the same pattern; the others of the environment stay."""
    mock = httpx.MockTransport(lambda _: httpx.Response(204))
    async with FaultServer(answer()) as server, FaultServer(tunnel_proxy()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with AsyncResilientClient(mounts={"http://": mock}, max_retries=0) as client:
            assert (await (await client.get(server.url))).status_code == 204
            with pytest.raises(httpx.ConnectError):
                await (await client.get("https://localhost:1/"))
        assert (server.connections, proxy.connections) == (0, 1)


async def test_a_transport_that_is_given_is_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in httpx, its owner decides about proxies."""
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with AsyncResilientClient(transport=AsyncPoolTransport()) as client:
            assert (await (await client.get(server.url))).status_code == 200
        assert proxy.connections == 0


async def test_a_proxy_of_no_known_scheme_is_refused_as_httpx_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the birth of the client, with the same kind of error."""
    monkeypatch.setenv("ALL_PROXY", "ftp://proxy.test")
    with pytest.raises(ValueError, match="ftp"):
        httpx.AsyncClient()
    with pytest.raises(ValueError, match="ftp"):
        AsyncResilientClient()
