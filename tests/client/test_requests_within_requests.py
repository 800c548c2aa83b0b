"""Requests that a hook or an application sends while another request is in progress.

They aren't part of it: their failures are logged, and their resends aren't its own.
"""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from external_clients import ALL_CLIENTS, ClientSetup

from typed_async_client import AsyncResilientClient, ResilientTransport
from typed_async_client.testing import in_virtual_time

URL = "http://a.test/"


def refuse(request: httpx.Request) -> httpx.Response:
    """Refuse to connect."""
    raise httpx.ConnectError("refused", request=request)


async def ask_upstream(*_: Any) -> None:
    """Send a request of its own that fails, and go on without its answer."""
    transport = ResilientTransport(httpx.MockTransport(refuse), max_retries=0)
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://upstream.test/")


async def application(_: Any, __: Any, send: Callable[..., Any]) -> None:
    """Answer with 502, because the upstream is down."""
    await ask_upstream()
    await send({"type": "http.response.start", "status": 502, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def assert_upstream_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """One warning, about the upstream."""
    (line,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert line.startswith("GET http://upstream.test/: failed after 1 attempt")


@pytest.mark.parametrize("setup", ALL_CLIENTS, ids=str)
@pytest.mark.parametrize("kind", ["request", "response"])
@in_virtual_time
async def test_a_failure_within_a_hook_is_logged(
    setup: ClientSetup, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The hook goes on, so nobody else would tell."""

    def answer(_: Any) -> Any:
        return setup.library.Response(200)

    async with setup.client(transport=answer, event_hooks={kind: [ask_upstream]}) as client:
        await client.request("GET", URL)
    assert_upstream_is_logged(caplog)


@pytest.mark.parametrize("setup", ALL_CLIENTS, ids=str)
@in_virtual_time
async def test_a_failure_within_an_application_is_logged(
    setup: ClientSetup, caplog: pytest.LogCaptureFixture
) -> None:
    """A service is tested in process."""
    transport = setup.library.ASGITransport(app=application)
    async with setup.client(transport=transport) as client:
        assert (await client.request("GET", URL)).status_code == 502
    assert_upstream_is_logged(caplog)


@in_virtual_time
async def test_a_wrapped_application_is_none_of_the_transports_around_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whichever transport is the innermost one."""
    transport = ResilientTransport(ResilientTransport(httpx.ASGITransport(app=application)))
    async with AsyncResilientClient(transport=transport) as client:
        assert (await client.request("GET", URL)).status_code == 502
    assert_upstream_is_logged(caplog)
