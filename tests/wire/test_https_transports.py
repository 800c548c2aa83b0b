"""HTTPS redirects and HTTPS-only transports on real sockets, with sync and async clients."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from open_clients import KINDS, open_client
from tls_contexts import ca_file, client_context, server_context

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    HSTSTransport,
    HTTPSOnlyTransport,
    HTTPSRedirectTransport,
)
from typed_async_client.testing import FaultServer, answer

pytestmark = pytest.mark.usefixtures("no_leaks")

SECRET = "http://ann:pass@localhost/a%20b?token=secret#part"

both_kinds = pytest.mark.parametrize("kind", KINDS)
wrapping = pytest.mark.parametrize("wrap", [HTTPSOnlyTransport, HSTSTransport])


def ok_transport() -> httpx.MockTransport:
    """Return a transport for both kinds of client that answers everything with ``ok``."""
    return httpx.MockTransport(lambda request: httpx.Response(200, text="ok"))


# Redirect


@both_kinds
@pytest.mark.parametrize("content", [b"pay 5", None, ["pay", " 5"]])
async def test_a_redirect_keeps_method_and_body(kind: str, content: Any) -> None:
    """The server is only reached over TLS, on one connection, with the complete request."""

    async def async_parts() -> AsyncIterator[bytes]:
        for part in content:
            yield part.encode()

    def parts() -> Iterator[bytes]:
        yield from (part.encode() for part in content)

    if isinstance(content, list):
        body: Any = async_parts() if kind == "async" else parts()
    else:
        body = content
    options: Any = {"mounts": {"http://": HTTPSRedirectTransport()}, "verify": client_context()}
    async with FaultServer(answer(), tls=server_context()) as server:
        async with open_client(kind, follow_redirects=True, **options) as send:
            url = f"http://localhost:{server.port}/a%20b?c=d"
            response = await send(url, "PUT", content=body)
        assert response.text == "ok"
        assert str(response.url) == f"https://localhost:{server.port}/a%20b?c=d"
        assert [hop.status_code for hop in response.history] == [308]
        assert server.connections == 1
        assert [(seen.method, seen.target, seen.body) for seen in server.requests] == [
            ("PUT", "/a%20b?c=d", b"pay 5" if content else b"")
        ]


@both_kinds
async def test_a_client_that_does_not_follow_redirects_gets_the_redirect(kind: str) -> None:
    """With the next request ready to be sent."""
    async with open_client(kind, mounts={"http://": HTTPSRedirectTransport()}) as send:
        response = await send("http://localhost/a", "POST", content=b"pay 5")
    assert response.status_code == 308
    assert response.content == b""
    assert response.next_request is not None
    assert str(response.next_request.url) == "https://localhost/a"


async def test_a_resilient_client_is_redirected_too() -> None:
    """Its pool handles the requests that the mount doesn't."""
    async with (
        FaultServer(answer(), tls=server_context()) as server,
        AsyncResilientClient(
            mounts={"http://": HTTPSRedirectTransport()},
            verify=client_context(),
            follow_redirects=True,
        ) as client,
    ):
        response = await (await client.get(f"http://localhost:{server.port}/"))
        assert response.url == server.url


@both_kinds
async def test_requests_other_than_http_are_not_redirected(kind: str) -> None:
    """If mounted for all schemes by mistake, it would redirect forever."""
    async with open_client(
        kind, mounts={"all://": HTTPSRedirectTransport()}, follow_redirects=True
    ) as send:
        with pytest.raises(httpx.UnsupportedProtocol, match='mount it for "http://"') as raised:
            await send(SECRET)
    assert str(raised.value.request.url).startswith("https://")
    assert "pass" not in str(raised.value)
    assert "secret" not in str(raised.value)


# HTTPS only


@both_kinds
async def test_https_is_sent_and_http_is_refused_before_sending(kind: str) -> None:
    """No connection is opened to the server that would have received it in cleartext."""
    sender = {"sync": httpx.HTTPTransport, "async": AsyncPoolTransport}[kind](
        verify=client_context()
    )
    async with (
        FaultServer(answer(), tls=server_context()) as server,
        FaultServer(answer()) as cleartext,
    ):
        async with open_client(kind, transport=HTTPSOnlyTransport(sender)) as send:
            assert (await send(server.url)).text == "ok"
            with pytest.raises(httpx.UnsupportedProtocol) as raised:
                await send(f"http://ann:pass@127.0.0.1:{cleartext.port}/a?token=secret#part")
        assert (
            str(raised.value)
            == f"only https and wss are allowed, refused http://127.0.0.1:{cleartext.port}/a"
        )
        assert raised.value.request.method == "GET"
        assert cleartext.connections == 0


@both_kinds
async def test_a_redirect_to_http_is_refused(kind: str) -> None:
    """Redirected requests pass through the same transport as the first one."""
    sender = {"sync": httpx.HTTPTransport, "async": AsyncPoolTransport}[kind](
        verify=client_context()
    )
    async with FaultServer(answer()) as cleartext:
        redirect = answer(302, b"", f"Location: {cleartext.url}")
        async with (
            FaultServer(redirect, tls=server_context()) as server,
            open_client(kind, transport=HTTPSOnlyTransport(sender), follow_redirects=True) as send,
        ):
            with pytest.raises(httpx.UnsupportedProtocol, match="refused http://127"):
                await send(server.url)
        assert cleartext.connections == 0


async def test_a_resilient_client_does_not_retry_a_refusal() -> None:
    """Another attempt would be refused as well."""
    async with AsyncResilientClient(transport=HTTPSOnlyTransport(ok_transport())) as client:
        assert (await (await client.get("https://localhost/"))).text == "ok"
        task = await client.get("http://localhost/", client.new_context(request_id="r"))
        with pytest.raises(httpx.UnsupportedProtocol):
            await task
        result = client.get_result("r")
        assert result is not None
        assert result.attempts == 1


# Wrapped transports


@both_kinds
@wrapping
async def test_without_a_transport_each_kind_of_client_has_its_own_default(
    kind: str, wrap: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It verifies certificates as httpx does, and is closed with the client."""
    async with FaultServer(answer(), tls=server_context()) as server:
        async with open_client(kind, transport=wrap()) as send:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await send(server.url)
        monkeypatch.setenv("SSL_CERT_FILE", ca_file(tmp_path))
        async with open_client(kind, transport=wrap()) as send:
            assert (await send(server.url)).text == "ok"


@wrapping
@pytest.mark.parametrize(
    ("kind", "transport", "message"),
    [
        ("sync", AsyncPoolTransport(), r"AsyncPoolTransport only supports httpx\.AsyncClient"),
        ("async", httpx.HTTPTransport(), r"HTTPTransport only supports httpx\.Client"),
    ],
)
async def test_a_transport_for_the_other_kind_of_client_is_rejected(
    kind: str, transport: Any, message: str, wrap: Any
) -> None:
    """The error says which client it supports, and what to wrap instead."""
    async with open_client(kind, transport=wrap(transport)) as send:
        with pytest.raises(TypeError, match=f"{message}.*wrap a transport of that kind"):
            await send("https://localhost/")


@wrapping
async def test_a_wsgi_transport_can_be_wrapped(wrap: Any) -> None:
    """It supports sync clients."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["wsgi.url_scheme"].encode()]

    async with open_client("sync", transport=wrap(httpx.WSGITransport(app=app))) as send:
        assert (await send("https://testserver/")).text == "https"
