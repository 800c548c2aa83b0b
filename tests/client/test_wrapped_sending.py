"""What was sent is known behind wrapping transports and mounts too, and retries do not multiply."""

from typing import Any

import httpx
import pytest

from typed_async_client import (
    AsyncResilientClient,
    ConnectError,
    HSTSTransport,
    ResilientTransport,
)
from typed_async_client.testing import in_virtual_time

URL = "http://pay.test/"


class Counter:
    """An application that counts what it is asked."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Count, and answer."""
        self.seen.append(f"{request.method} {request.url.host}")
        if request.url.host == "dead.test":
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200)


def wrapped_app(app: Any) -> Any:
    """Put an application behind two transports."""
    return HSTSTransport(ResilientTransport(httpx.ASGITransport(app=app)))


@pytest.mark.parametrize("lead", [lambda app: httpx.ASGITransport(app=app), wrapped_app])
@pytest.mark.parametrize("brought", [False, True])
@in_virtual_time
async def test_an_application_that_is_mounted_runs_once_as_well(
    lead: Any,
    brought: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """For one domain, behind other transports, in a client that is brought: it has the request."""
    runs: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        runs.append(scope["path"])
        raise httpx.ConnectError("the application's upstream is down")

    mounts = {"all://pay.test": lead(app)}
    async with httpx.AsyncClient(mounts=mounts) as theirs:
        options: Any = {"http_client": theirs} if brought else {"mounts": mounts}
        async with AsyncResilientClient(**options) as client:
            task = await client.post(URL, content=b"5")
            with pytest.raises(httpx.ConnectError):
                await task
    assert runs == ["/"]


@in_virtual_time
async def test_other_domains_are_tried_again_beside_a_mounted_application() -> None:
    """Only what goes to the application counts as sent."""
    counter = Counter()
    transport = httpx.MockTransport(counter)

    async def app(*_: Any) -> None:
        pass

    mounts = {"all://app.test": httpx.ASGITransport(app=app)}
    async with AsyncResilientClient(transport=transport, mounts=mounts) as client:
        task = await client.post("http://dead.test/")
        with pytest.raises(ConnectError):
            await task
    assert counter.seen == ["POST dead.test"] * 3


@in_virtual_time
async def test_retries_below_the_client_are_not_multiplied_by_its_own() -> None:
    """The transport that retries has the last word, and its note tells the truth."""
    counter = Counter()
    transport = ResilientTransport(HSTSTransport(httpx.MockTransport(counter)), max_retries=1)
    async with AsyncResilientClient(transport=ResilientTransport(transport)) as client:
        task = await client.get("http://dead.test/")
        with pytest.raises(ConnectError) as raised:
            await task
    assert counter.seen == ["GET dead.test"] * 2
    assert raised.value.__notes__ == ["no connection after 2 attempts"]


@pytest.mark.parametrize(
    "options",
    [
        {"transport": httpx.HTTPTransport()},
        {"transport": httpx.AsyncHTTPTransport},
        {"mounts": {"all://": httpx.HTTPTransport()}},
    ],
    ids=["plain", "a class", "mounted"],
)
def test_a_transport_that_serves_no_async_client_is_refused_at_once(options: Any) -> None:
    """Not at the first request, and not by an attribute that is missing."""
    with pytest.raises(TypeError, match=r"transport must be an httpx\.AsyncBaseTransport, got"):
        AsyncResilientClient(**options)


@pytest.mark.parametrize("client", [httpx.AsyncClient, httpx], ids=["a class", "a module"])
def test_what_is_no_client_yet_is_not_taken_for_one(client: Any) -> None:
    """The message shows what was given."""
    with pytest.raises(TypeError, match="http_client must have the async request"):
        AsyncResilientClient(http_client=client)
