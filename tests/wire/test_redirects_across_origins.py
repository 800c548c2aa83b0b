"""On real sockets, another origin receives no secret after a redirect, over TLS or not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from h2_servers import h2_client_context, hypercorn_url
from tls_contexts import ca_file, client_context, server_context

from typed_async_client import AsyncPoolTransport, AsyncResilientClient, InsecureRedirectError
from typed_async_client.testing import FaultServer, answer

SECRETS: dict[str, Any] = {
    "headers": {"X-Api-Key": "canary", "Proxy-Authorization": "Basic canary"},
    "cookies": {"sid": "canary"},
    "auth": ("ann", "canary"),
}
SECRET_HEADERS = {"x-api-key", "proxy-authorization", "cookie", "authorization"}


@pytest.fixture(name="transport", params=["llhttp", "h11", "aiohttp", "pyreqwest"])
def transport_options(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Return the options for our pool on either parser, and for the backends."""
    if request.param in {"llhttp", "h11"}:
        return {"transport": AsyncPoolTransport(http11=request.param, verify=client_context())}
    verify = client_context() if request.param == "aiohttp" else ca_file(tmp_path)
    return {"transport": request.param, "verify": verify}


@asynccontextmanager
async def redirecting(
    status: int, *, tls: bool, target_tls: bool
) -> AsyncIterator[tuple[FaultServer, FaultServer]]:
    """Run a server that redirects to another one, each with or without TLS."""
    async with FaultServer(answer(), tls=server_context() if target_tls else None) as target:
        redirect = answer(status, b"", f"Location: {target.url}")
        async with FaultServer(redirect, tls=server_context() if tls else None) as source:
            yield source, target


@pytest.mark.parametrize(("tls", "target_tls"), [(False, False), (False, True), (True, True)])
async def test_another_port_receives_the_body_and_no_secret(
    transport: dict[str, Any], *, tls: bool, target_tls: bool
) -> None:
    """It is another origin; cookies given to the client stay at the first one too."""
    async with (
        redirecting(307, tls=tls, target_tls=target_tls) as (source, target),
        AsyncResilientClient(follow_redirects=True, **transport, **SECRETS) as client,
    ):
        await (await client.post(source.url, content=b"order"))
    assert source.requests[0].headers.keys() >= SECRET_HEADERS
    assert target.requests[0].body == b"order"
    assert not target.requests[0].headers.keys() & SECRET_HEADERS


async def test_no_body_is_sent_from_https_to_http(transport: dict[str, Any]) -> None:
    """No connection is opened for it; without a body, the redirect is followed."""
    async with (
        redirecting(307, tls=True, target_tls=False) as (source, target),
        AsyncResilientClient(follow_redirects=True, **transport, **SECRETS) as client,
    ):
        with pytest.raises(InsecureRedirectError, match="allow_insecure_redirects=True"):
            await (await client.post(source.url, content=b"order"))
        assert (len(source.requests), target.connections) == (1, 0)
        await (await client.get(source.url))
    assert not target.requests[0].headers.keys() & SECRET_HEADERS


async def test_no_secret_crosses_over_http2(tmp_path: Path) -> None:
    """Nor do the headers of a body that isn't sent any more."""
    seen: list[tuple[str, set[str]]] = []
    locations = {"/": "", "/start": ""}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        assert scope["http_version"] == "2"
        while (await receive()).get("more_body"):
            pass
        seen.append((scope["method"], {name.decode() for name, _ in scope["headers"]}))
        location = locations[scope["path"]]
        headers = [(b"location", location.encode())] if location else []
        await send(
            {
                "type": "http.response.start",
                "status": 302 if location else 200,
                "headers": headers,
            }
        )
        await send({"type": "http.response.body", "body": b""})

    options: dict[str, Any] = {"http2": True, "verify": h2_client_context(), **SECRETS}
    async with (
        hypercorn_url(app, tmp_path) as target,
        hypercorn_url(app, tmp_path) as source,
        AsyncResilientClient(follow_redirects=True, **options) as client,
    ):
        locations["/start"] = target
        await (await client.post(f"{source}start", json=[1]))
    assert [method for method, _ in seen] == ["POST", "GET"]
    assert seen[0][1] >= SECRET_HEADERS
    assert not seen[1][1] & {*SECRET_HEADERS, "content-length", "content-type"}
