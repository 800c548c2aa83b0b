"""HSTS: what hosts say over https, and what becomes of http requests to them."""

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

Make = Callable[..., HSTSTransport]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Name each kind of client in turn."""
    return str(request.param)


@pytest.fixture
def make(kind: str) -> Make:
    """Make the transport under test around a real one of that kind."""
    sender: Any = {"sync": httpx.HTTPTransport, "async": AsyncPoolTransport}[kind]

    def make(verify: Any = None, **options: Any) -> HSTSTransport:
        verify = client_context() if verify is None else verify
        return HSTSTransport(sender(verify=verify), **options)

    return make


def telling(*policies: str) -> Callable[[SeenRequest, Wire], Any]:
    """Answer with the next header each time, and with the last one from then on."""
    left = list(policies)

    async def respond(request: SeenRequest, wire: Wire) -> None:
        policy = left.pop(0) if len(left) > 1 else left[0]
        await wire.answer(200, request.target.encode(), f"Strict-Transport-Security: {policy}")

    return respond


async def test_a_host_that_asked_for_https_is_asked_over_https(kind: str, make: Make) -> None:
    """The same port, the same path, the same body; and the response tells the truth."""
    async with FaultServer(each_request(telling("max-age=9")), tls=server_context()) as server:
        plain = server.url.replace("https", "http")
        async with open_client(kind, transport=make()) as ask:
            await ask(server.url)
            response = await ask(f"{plain}a%20b?c=d", "POST", content=b"pay 5")
        assert response.text == "/a%20b?c=d"
        assert str(response.url) == f"{server.url}a%20b?c=d"
        assert response.history == []
        assert server.requests[-1].body == b"pay 5"
        assert server.requests[-1].headers["host"] == f"localhost:{server.port}"


async def test_a_host_says_nothing_over_http(kind: str, make: Make) -> None:
    """Anybody on the way could have said it."""
    async with FaultServer(answer(200, b"ok", YEAR)) as server:
        async with open_client(kind, transport=make()) as ask:
            url = f"http://localhost:{server.port}/"
            assert [str((await ask(url)).url) for _ in range(2)] == [url, url]
        assert len(server.requests) == 2


async def test_an_address_says_nothing(kind: str, make: Make) -> None:
    """Whoever answers there next is somebody else."""
    async with (
        FaultServer(answer(200, b"ok", YEAR), tls=server_context()) as secure,
        FaultServer(answer()) as clear,
        open_client(kind, transport=make()) as ask,
    ):
        await ask(f"https://127.0.0.1:{secure.port}/")
        assert (await ask(clear.url)).url == clear.url


async def test_nothing_is_learned_where_certificates_are_not_checked(kind: str, make: Make) -> None:
    """Section 8.1: there must be no error of TLS, and nobody looked for one."""
    async with (
        FaultServer(answer(200, b"ok", YEAR), tls=server_context()) as secure,
        FaultServer(answer()) as clear,
        open_client(kind, transport=make(verify=False)) as ask,
    ):
        await ask(secure.url)
        assert (await ask(f"http://localhost:{clear.port}/")).url.scheme == "http"


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
async def test_the_first_header_alone_counts(
    kind: str, make: Make, lines: list[str], scheme: str
) -> None:
    """Section 8.1; the others are as if they were not there."""
    async with (
        FaultServer(answer(200, b"ok", *lines), tls=server_context()) as secure,
        FaultServer(answer()) as clear,
        open_client(kind, transport=make()) as ask,
    ):
        await ask(secure.url)
        port = secure.port if scheme == "https" else clear.port
        assert (await ask(f"http://localhost:{port}/")).url.scheme == scheme


async def test_a_host_may_ask_to_be_forgotten(kind: str, make: Make) -> None:
    """With ``max-age=0``, over https again."""
    policies = each_request(telling("max-age=9", "max-age=0"))
    async with (
        FaultServer(policies, tls=server_context()) as secure,
        FaultServer(answer()) as clear,
        open_client(kind, transport=make()) as ask,
    ):
        await ask(secure.url)
        await ask(f"http://localhost:{secure.port}/")
        assert [seen.target for seen in secure.requests] == ["/", "/"]
        assert (await ask(f"http://localhost:{clear.port}/")).url.scheme == "http"


async def test_a_host_known_from_the_start_is_never_asked_over_http(kind: str, make: Make) -> None:
    """Not even for the first time."""
    async with FaultServer(answer(), tls=server_context()) as server:
        async with open_client(kind, transport=make(known=["LOCALHOST"])) as ask:
            response = await ask(server.url.replace("https", "http"))
        assert response.url == server.url


async def test_a_relative_redirect_stays_on_https(kind: str, make: Make) -> None:
    """It leads on from where the request went, not from where it was meant to go."""

    async def respond(request: SeenRequest, wire: Wire) -> None:
        if request.target == "/":
            await wire.answer(302, b"", "Location: /there")
        else:
            await wire.answer(200)

    async with FaultServer(each_request(respond), tls=server_context()) as server:
        transport = make(known=["localhost"])
        async with open_client(kind, transport=transport, follow_redirects=True) as ask:
            response = await ask(server.url.replace("https", "http"))
        assert [hop.url for hop in [*response.history, response]] == [
            server.url,
            f"{server.url}there",
        ]


async def test_a_resilient_client_learns_too() -> None:
    """Every attempt goes the same way."""
    async with (
        FaultServer(answer(200, b"ok", YEAR), tls=server_context()) as server,
        AsyncResilientClient(
            transport=HSTSTransport(AsyncPoolTransport(verify=client_context()))
        ) as client,
    ):
        await (await client.get(server.url))
        response = await (await client.get(server.url.replace("https", "http")))
        assert response.url == server.url
