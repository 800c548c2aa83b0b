"""HSTS: hosts that ask for https, and http requests to them."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from open_clients import KINDS, open_client
from tls_contexts import client_context, server_context

from typed_async_client import AsyncPoolTransport, AsyncResilientClient, HSTSTransport
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer, each_request

pytestmark = pytest.mark.usefixtures("no_leaks")

YEAR = "Strict-Transport-Security: max-age=31536000"

NewTransport = Callable[..., HSTSTransport]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Return each kind of client in turn."""
    return str(request.param)


@pytest.fixture
def new_transport(kind: str) -> NewTransport:
    """Return a function that creates the transport, over a real one of that kind."""
    transport_class: Any = {"sync": httpx.HTTPTransport, "async": AsyncPoolTransport}[kind]

    def new_transport(verify: Any = None, **options: Any) -> HSTSTransport:
        verify = client_context() if verify is None else verify
        return HSTSTransport(transport_class(verify=verify), **options)

    return new_transport


def send_policies(*policies: str) -> Callable[[SeenRequest, Wire], Any]:
    """Answer each request with the next policy; the last one is repeated."""
    remaining = list(policies)

    async def respond(request: SeenRequest, wire: Wire) -> None:
        policy = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        await wire.answer(200, request.target.encode(), f"Strict-Transport-Security: {policy}")

    return respond


async def test_a_host_with_hsts_receives_requests_over_https(
    kind: str, new_transport: NewTransport
) -> None:
    """With the same port, path and body; the response has the https URL."""
    async with FaultServer(
        each_request(send_policies("max-age=9")), tls=server_context()
    ) as server:
        http_url = server.url.replace("https", "http")
        async with open_client(kind, transport=new_transport()) as send:
            await send(server.url)
            response = await send(f"{http_url}a%20b?c=d", "POST", content=b"pay 5")
        assert response.text == "/a%20b?c=d"
        assert str(response.url) == f"{server.url}a%20b?c=d"
        assert response.history == []
        assert server.requests[-1].body == b"pay 5"
        assert server.requests[-1].headers["host"] == f"localhost:{server.port}"


async def test_the_header_is_ignored_over_http(kind: str, new_transport: NewTransport) -> None:
    """Anybody on the path could have injected it."""
    async with FaultServer(answer(200, b"ok", YEAR)) as server:
        async with open_client(kind, transport=new_transport()) as send:
            url = f"http://localhost:{server.port}/"
            assert [str((await send(url)).url) for _ in range(2)] == [url, url]
        assert len(server.requests) == 2


async def test_the_header_is_ignored_from_an_ip_address(
    kind: str, new_transport: NewTransport
) -> None:
    """The address may belong to another host later."""
    async with (
        FaultServer(answer(200, b"ok", YEAR), tls=server_context()) as secure,
        FaultServer(answer()) as insecure,
        open_client(kind, transport=new_transport()) as send,
    ):
        await send(f"https://127.0.0.1:{secure.port}/")
        assert (await send(insecure.url)).url == insecure.url


async def test_the_header_is_ignored_without_certificate_verification(
    kind: str, new_transport: NewTransport
) -> None:
    """RFC 6797 section 8.1 requires a connection without TLS errors, which wasn't checked."""
    async with (
        FaultServer(answer(200, b"ok", YEAR), tls=server_context()) as secure,
        FaultServer(answer()) as insecure,
        open_client(kind, transport=new_transport(verify=False)) as send,
    ):
        await send(secure.url)
        assert (await send(f"http://localhost:{insecure.port}/")).url.scheme == "http"


@pytest.mark.parametrize(
    ("lines", "scheme"),
    [
        ([YEAR, "Strict-Transport-Security: max-age=0"], "https"),
        (["Strict-Transport-Security: max-age=0", YEAR], "http"),
        (["Strict-Transport-Security: nonsense", YEAR], "http"),
        (["Strict-Transport-Security: max-age=1, max-age=1"], "http"),
        ([], "http"),
    ],
)
async def test_only_the_first_header_is_used(
    kind: str, new_transport: NewTransport, lines: list[str], scheme: str
) -> None:
    """RFC 6797 section 8.1; the others are ignored."""
    async with (
        FaultServer(answer(200, b"ok", *lines), tls=server_context()) as secure,
        FaultServer(answer()) as insecure,
        open_client(kind, transport=new_transport()) as send,
    ):
        await send(secure.url)
        port = secure.port if scheme == "https" else insecure.port
        assert (await send(f"http://localhost:{port}/")).url.scheme == scheme


async def test_a_host_can_disable_hsts(kind: str, new_transport: NewTransport) -> None:
    """With ``max-age=0``, sent over https."""
    policies = each_request(send_policies("max-age=9", "max-age=0"))
    async with (
        FaultServer(policies, tls=server_context()) as secure,
        FaultServer(answer()) as insecure,
        open_client(kind, transport=new_transport()) as send,
    ):
        await send(secure.url)
        await send(f"http://localhost:{secure.port}/")
        assert [seen.target for seen in secure.requests] == ["/", "/"]
        assert (await send(f"http://localhost:{insecure.port}/")).url.scheme == "http"


async def test_a_known_host_never_receives_requests_over_http(
    kind: str, new_transport: NewTransport
) -> None:
    """Not even the first one."""
    async with FaultServer(answer(), tls=server_context()) as server:
        async with open_client(kind, transport=new_transport(known=["LOCALHOST"])) as send:
            response = await send(server.url.replace("https", "http"))
        assert response.url == server.url


async def test_a_relative_redirect_stays_on_https(kind: str, new_transport: NewTransport) -> None:
    """It is relative to the URL that was requested, not to the original one."""

    async def respond(request: SeenRequest, wire: Wire) -> None:
        if request.target == "/":
            await wire.answer(302, b"", "Location: /there")
        else:
            await wire.answer(200)

    async with FaultServer(each_request(respond), tls=server_context()) as server:
        transport = new_transport(known=["localhost"])
        async with open_client(kind, transport=transport, follow_redirects=True) as send:
            response = await send(server.url.replace("https", "http"))
        assert [hop.url for hop in [*response.history, response]] == [
            server.url,
            f"{server.url}there",
        ]


async def test_a_resilient_client_uses_hsts() -> None:
    """Every attempt goes through the transport."""
    async with (
        FaultServer(answer(200, b"ok", YEAR), tls=server_context()) as server,
        AsyncResilientClient(
            transport=HSTSTransport(AsyncPoolTransport(verify=client_context()))
        ) as client,
    ):
        await (await client.get(server.url))
        response = await (await client.get(server.url.replace("https", "http")))
        assert response.url == server.url
