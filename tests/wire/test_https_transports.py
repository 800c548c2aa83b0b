"""Redirect to https, and https only: on real sockets, under plain clients and async ones."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from open_clients import KINDS, opened
from tls_contexts import authority_file, trusted, trusting

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    HSTSTransport,
    HTTPSOnlyTransport,
    HTTPSRedirectTransport,
)
from typed_async_client.testing import FaultServer, answer

pytestmark = pytest.mark.usefixtures("nothing_left")

SECRET = "http://ann:pass@localhost/a%20b?token=secret#part"

both_kinds = pytest.mark.parametrize("kind", KINDS)
wrapping = pytest.mark.parametrize("wrap", [HTTPSOnlyTransport, HSTSTransport])


def over_tls() -> httpx.MockTransport:
    """Give httpx's own transport of both kinds, which answers everything with ``ok``."""
    return httpx.MockTransport(lambda request: httpx.Response(200, text="ok"))


# Redirect


@both_kinds
@pytest.mark.parametrize("content", [b"pay 5", None, ["pay", " 5"]])
async def test_a_redirect_keeps_method_and_body(kind: str, content: Any) -> None:
    """The server is reached over TLS alone, by one connection, with all that was to be sent."""

    async def parts_later() -> AsyncIterator[bytes]:
        for part in content:
            yield part.encode()

    def parts() -> Iterator[bytes]:
        yield from (part.encode() for part in content)

    if isinstance(content, list):
        body: Any = parts_later() if kind == "async" else parts()
    else:
        body = content
    options: Any = {"mounts": {"http://": HTTPSRedirectTransport()}, "verify": trusting()}
    async with FaultServer(answer(), tls=trusted()) as server:
        async with opened(kind, follow_redirects=True, **options) as ask:
            url = f"http://localhost:{server.port}/a%20b?c=d"
            response = await ask(url, "PUT", content=body)
        assert response.text == "ok"
        assert str(response.url) == f"https://localhost:{server.port}/a%20b?c=d"
        assert [hop.status_code for hop in response.history] == [308]
        assert server.connections == 1
        assert [(seen.method, seen.target, seen.body) for seen in server.requests] == [
            ("PUT", "/a%20b?c=d", b"pay 5" if content else b"")
        ]


@both_kinds
async def test_a_client_that_follows_nothing_gets_the_redirect(kind: str) -> None:
    """With the next request ready to be sent."""
    async with opened(kind, mounts={"http://": HTTPSRedirectTransport()}) as ask:
        response = await ask("http://localhost/a", "POST", content=b"pay 5")
    assert response.status_code == 308
    assert response.content == b""
    assert response.next_request is not None
    assert str(response.next_request.url) == "https://localhost/a"


async def test_a_resilient_client_is_redirected_too() -> None:
    """Its pool serves what the mount does not."""
    async with (
        FaultServer(answer(), tls=trusted()) as server,
        AsyncResilientClient(
            mounts={"http://": HTTPSRedirectTransport()}, verify=trusting(), follow_redirects=True
        ) as client,
    ):
        response = await (await client.get(f"http://localhost:{server.port}/"))
        assert response.url == server.url


@both_kinds
async def test_what_is_not_http_is_not_redirected(kind: str) -> None:
    """Mounted for everything by mistake, it would redirect for ever."""
    async with opened(
        kind, mounts={"all://": HTTPSRedirectTransport()}, follow_redirects=True
    ) as ask:
        with pytest.raises(httpx.UnsupportedProtocol, match='mount it for "http://"') as raised:
            await ask(SECRET)
    assert str(raised.value.request.url).startswith("https://")
    assert "pass" not in str(raised.value)
    assert "secret" not in str(raised.value)


# Https only


@both_kinds
async def test_https_goes_through_and_http_is_refused_unsent(kind: str) -> None:
    """The server that would have got it in the clear is not even connected to."""
    sender = {"plain": httpx.HTTPTransport, "async": AsyncPoolTransport}[kind](verify=trusting())
    async with FaultServer(answer(), tls=trusted()) as server, FaultServer(answer()) as clear:
        async with opened(kind, transport=HTTPSOnlyTransport(sender)) as ask:
            assert (await ask(server.url)).text == "ok"
            with pytest.raises(httpx.UnsupportedProtocol) as raised:
                await ask(f"http://ann:pass@127.0.0.1:{clear.port}/a?token=secret#part")
        assert (
            str(raised.value)
            == f"only https and wss are allowed, refused http://127.0.0.1:{clear.port}/a"
        )
        assert raised.value.request.method == "GET"
        assert clear.connections == 0


@both_kinds
async def test_a_redirect_out_of_https_is_refused(kind: str) -> None:
    """The hops of a redirect come the same way as the first request."""
    sender = {"plain": httpx.HTTPTransport, "async": AsyncPoolTransport}[kind](verify=trusting())
    async with FaultServer(answer()) as clear:
        redirect = answer(302, b"", f"Location: {clear.url}")
        async with (
            FaultServer(redirect, tls=trusted()) as server,
            opened(kind, transport=HTTPSOnlyTransport(sender), follow_redirects=True) as ask,
        ):
            with pytest.raises(httpx.UnsupportedProtocol, match="refused http://127"):
                await ask(server.url)
        assert clear.connections == 0


async def test_a_resilient_client_does_not_retry_a_refusal() -> None:
    """Another attempt would be refused as well."""
    async with AsyncResilientClient(transport=HTTPSOnlyTransport(over_tls())) as client:
        assert (await (await client.get("https://localhost/"))).text == "ok"
        task = await client.get("http://localhost/", client.new_context(request_id="r"))
        with pytest.raises(httpx.UnsupportedProtocol):
            await task
        result = client.get_result("r")
        assert result is not None
        assert result.attempts == 1


# What is wrapped


@both_kinds
@wrapping
async def test_without_a_transport_each_kind_has_its_own_default(
    kind: str, wrap: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It checks certificates as httpx does, and is closed with the client."""
    async with FaultServer(answer(), tls=trusted()) as server:
        async with opened(kind, transport=wrap()) as ask:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await ask(server.url)
        monkeypatch.setenv("SSL_CERT_FILE", authority_file(tmp_path))
        async with opened(kind, transport=wrap()) as ask:
            assert (await ask(server.url)).text == "ok"


@wrapping
@pytest.mark.parametrize(
    ("kind", "transport", "message"),
    [
        ("plain", AsyncPoolTransport(), r"AsyncPoolTransport only supports httpx\.AsyncClient"),
        ("async", httpx.HTTPTransport(), r"HTTPTransport only supports httpx\.Client"),
    ],
)
async def test_a_transport_of_the_other_kind_is_told_apart(
    kind: str, transport: Any, message: str, wrap: Any
) -> None:
    """The error says whom it serves, and what to wrap in its place."""
    async with opened(kind, transport=wrap(transport)) as ask:
        with pytest.raises(TypeError, match=f"{message}.*wrap a transport of that kind"):
            await ask("https://localhost/")


@wrapping
async def test_a_wsgi_application_may_be_wrapped(wrap: Any) -> None:
    """It serves plain clients."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["wsgi.url_scheme"].encode()]

    async with opened("plain", transport=wrap(httpx.WSGITransport(app=app))) as ask:
        assert (await ask("https://testserver/")).text == "https"
