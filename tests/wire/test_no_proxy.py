"""What ``NO_PROXY`` excludes: a table of what curl, requests and Go document."""

from typing import Any

import httpx
import pytest
from fake_dns import resolve_to
from proxy_handlers import forward_proxy

from typed_async_client import AsyncPoolTransport, AsyncResilientClient, ResilientTransport
from typed_async_client.pool.environment import ProxyRules
from typed_async_client.pool.no_proxy import NoProxy
from typed_async_client.testing import FaultServer, answer

EXCLUDED: list[tuple[str, list[str]]] = [
    # Names: all three; each excludes its subdomains as well.
    ("a.test", ["http://a.test/", "https://a.test/", "http://a.test:81/", "http://b.a.test/"]),
    ("A.Test", ["http://a.test/", "http://A.TEST/", "http://B.a.test/"]),
    ("localhost", ["http://localhost/", "http://localhost:3000/"]),
    ("b\u00fccher.test", ["http://b\u00fccher.test/", "http://xn--bcher-kva.test/"]),
    ("xn--bcher-kva.test", ["http://b\u00fccher.test/"]),
    # A dot or a star in front: only the subdomains, as in Go and httpx.
    (".a.test", ["http://b.a.test/", "http://c.b.a.test/"]),
    ("*.a.test", ["http://b.a.test/", "http://c.b.a.test/"]),
    # A trailing dot, on either side: curl.
    ("a.test.", ["http://a.test/", "http://b.a.test/"]),
    ("a.test", ["http://a.test./", "http://b.a.test./"]),
    # Ports: Go, also the default port of the scheme.
    ("a.test:8080", ["http://a.test:8080/", "https://b.a.test:8080/"]),
    ("a.test:80", ["http://a.test/", "http://a.test:80/", "ws://a.test/"]),
    ("a.test:443", ["https://a.test/", "wss://a.test/"]),
    (".a.test:8080", ["http://b.a.test:8080/"]),
    ("10.1.2.3:8080", ["http://10.1.2.3:8080/"]),
    ("[::1]:8080", ["http://[::1]:8080/"]),
    ("*:8080", ["http://a.test:8080/", "http://[::1]:8080/"]),
    # Addresses: all three; brackets around IPv6 are curl's.
    ("10.1.2.3", ["http://10.1.2.3/", "http://10.1.2.3:81/", "http://[::ffff:10.1.2.3]/"]),
    ("::1", ["http://[::1]/", "http://[::1]:81/", "http://[0:0:0::1]/"]),
    ("[::1]", ["http://[::1]/", "https://[::1]:81/"]),
    ("FE80::1", ["http://[fe80::1]/", "http://[fe80::1%25lo]/"]),
    # Networks: requests (IPv4), curl since 7.86 and Go (both).
    ("10.0.0.0/8", ["http://10.1.2.3/", "http://10.255.0.1:81/", "http://[::ffff:10.0.0.1]/"]),
    ("10.9.9.9/8", ["http://10.1.2.3/"]),
    ("192.168.0.0/16", ["http://192.168.1.1/"]),
    ("fd00::/8", ["http://[fd12::1]/"]),
    ("[fd00::]/8", ["http://[fd12::1]/"]),
    ("0.0.0.0/0", ["http://8.8.8.8/"]),
    # Separators: commas, and spaces as in curl.
    ("b.test,a.test", ["http://a.test/", "http://b.test/"]),
    (" b.test , a.test ,, ", ["http://a.test/", "http://b.test/"]),
    ("b.test a.test\t10.0.0.0/8", ["http://a.test/", "http://b.test/", "http://10.0.0.1/"]),
    ("*", ["http://a.test/", "https://[::1]:81/"]),
]

PROXIED: list[tuple[str, list[str]]] = [
    ("a.test", ["http://nota.test/", "http://a.test.b/", "http://test/"]),
    (".a.test", ["http://a.test/", "http://nota.test/"]),
    ("*.a.test", ["http://a.test/", "http://nota.test/"]),
    ("a.test:8080", ["http://a.test/", "http://a.test:81/"]),
    ("a.test:80", ["https://a.test/", "http://a.test:8080/"]),
    ("10.1.2.3:8080", ["http://10.1.2.3/"]),
    ("[::1]:8080", ["http://[::1]/", "http://[::2]:8080/"]),
    ("10.1.2.3", ["http://10.1.2.4/", "http://10.1.2.3.test/"]),
    ("::1", ["http://[::2]/", "http://127.0.0.1/"]),
    ("10.0.0.0/8", ["http://11.0.0.1/", "http://10.test/", "http://[::1]/"]),
    ("fd00::/8", ["http://[fe80::1]/", "http://10.0.0.1/"]),
    ("10.0.0.0/99", ["http://10.0.0.1/"]),
    (".", ["http://a.test/"]),
    ("**", ["http://a.test/"]),
    ("", ["http://a.test/"]),
    ("https://a.test", ["http://a.test/"]),
]


def cases(table: list[tuple[str, list[str]]]) -> list[Any]:
    """Return a test case for each URL."""
    return [
        pytest.param(value, url, id=f"{value!r} {url}") for value, urls in table for url in urls
    ]


@pytest.mark.parametrize(("value", "url"), cases(EXCLUDED))
def test_a_url_is_excluded(monkeypatch: pytest.MonkeyPatch, value: str, url: str) -> None:
    """It is reached directly."""
    assert NoProxy(value).excludes(httpx.URL(url))
    monkeypatch.setenv("ALL_PROXY", "http://proxy.test")
    monkeypatch.setenv("NO_PROXY", value)
    assert ProxyRules.of_environment().proxy_for(httpx.URL(url)) is None


@pytest.mark.parametrize(("value", "url"), cases(PROXIED))
def test_a_url_is_not_excluded(monkeypatch: pytest.MonkeyPatch, value: str, url: str) -> None:
    """It goes through the proxy."""
    assert not NoProxy(value).excludes(httpx.URL(url))
    monkeypatch.setenv("ALL_PROXY", "http://proxy.test")
    monkeypatch.setenv("NO_PROXY", value)
    assert ProxyRules.of_environment().proxy_for(httpx.URL(url)) is not None


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize(
    ("excluded", "is_direct"), [("127.0.0.0/8", True), ("10.0.0.0/8", False), ("::1", False)]
)
async def test_every_client_and_transport_honors_a_network(
    monkeypatch: pytest.MonkeyPatch, excluded: str, *, is_direct: bool
) -> None:
    """Our client, and our transports in a client of httpx."""
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", excluded)
        async with AsyncResilientClient() as client:
            await client.request("GET", server.url)
        for transport in (AsyncPoolTransport(), ResilientTransport()):
            async with httpx.AsyncClient(transport=transport) as httpx_client:
                await httpx_client.get(server.url)
        assert len(proxy.requests) == (0 if is_direct else 3)


@pytest.mark.usefixtures("no_leaks")
async def test_a_name_may_be_excluded_with_the_dot_of_the_root(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether the dot is in the variable or in the URL."""
    resolve_to(monkeypatch, {"a.test": ["127.0.0.1"], "a.test.": ["127.0.0.1"]})
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        for excluded, host in (("a.test", "a.test."), ("a.test.", "a.test")):
            monkeypatch.setenv("NO_PROXY", excluded)
            async with AsyncResilientClient() as client:
                await client.request("GET", f"http://{host}:{server.port}/")
        assert (len(server.requests), len(proxy.requests)) == (2, 0)


async def test_a_given_mount_is_used_for_an_excluded_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exclusions are from the environment's proxies only."""
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
    mock = httpx.MockTransport(lambda _: httpx.Response(204))
    async with AsyncResilientClient(mounts={"http://": mock}) as client:
        assert (await client.request("GET", "http://127.0.0.1/")).status_code == 204
