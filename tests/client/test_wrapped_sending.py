"""Wrapped and mounted transports: what was sent is tracked, and retries don't multiply."""

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


class RecordingHandler:
    """A handler that records the requests it receives."""

    def __init__(self) -> None:
        self.received: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Record the request, and respond or refuse."""
        self.received.append(f"{request.method} {request.url.host}")
        if request.url.host == "dead.test":
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200)


def wrapped_app(app: Any) -> Any:
    """Wrap an application in two transports."""
    return HSTSTransport(ResilientTransport(httpx.ASGITransport(app=app)))


@pytest.mark.parametrize("mount", [lambda app: httpx.ASGITransport(app=app), wrapped_app])
@pytest.mark.parametrize("is_external", [False, True])
@in_virtual_time
async def test_a_mounted_application_runs_once(
    mount: Any,
    is_external: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Directly, wrapped in transports, and in an external client."""
    runs: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        runs.append(scope["path"])
        raise httpx.ConnectError("the application's upstream is down")

    mounts = {"all://pay.test": mount(app)}
    async with httpx.AsyncClient(mounts=mounts) as external:
        options: Any = {"http_client": external} if is_external else {"mounts": mounts}
        async with AsyncResilientClient(**options) as client:
            task = await client.post(URL, content=b"5")
            with pytest.raises(httpx.ConnectError):
                await task
    assert runs == ["/"]


@in_virtual_time
async def test_requests_to_other_domains_than_a_mounted_application_are_retried() -> None:
    """Only requests to the application count as sent on failure."""
    handler = RecordingHandler()
    transport = httpx.MockTransport(handler)

    async def app(*_: Any) -> None:
        pass

    mounts = {"all://app.test": httpx.ASGITransport(app=app)}
    async with AsyncResilientClient(transport=transport, mounts=mounts) as client:
        task = await client.post("http://dead.test/")
        with pytest.raises(ConnectError):
            await task
    assert handler.received == ["POST dead.test"] * 3


@in_virtual_time
async def test_retries_of_a_transport_are_not_multiplied_by_those_of_the_client() -> None:
    """Only the innermost transport retries, and the note has its number of attempts."""
    handler = RecordingHandler()
    transport = ResilientTransport(HSTSTransport(httpx.MockTransport(handler)), max_retries=1)
    async with AsyncResilientClient(transport=ResilientTransport(transport)) as client:
        task = await client.get("http://dead.test/")
        with pytest.raises(ConnectError) as raised:
            await task
    assert handler.received == ["GET dead.test"] * 2
    assert raised.value.__notes__ == ["no connection after 2 attempts"]


@pytest.mark.parametrize(
    "options",
    [
        {"transport": httpx.HTTPTransport()},
        {"transport": httpx.AsyncHTTPTransport},
        {"mounts": {"all://": httpx.HTTPTransport()}},
    ],
    ids=["sync", "a class", "mounted"],
)
def test_a_transport_without_async_support_raises_immediately(options: Any) -> None:
    """Not at the first request, and not with an ``AttributeError``."""
    with pytest.raises(TypeError, match=r"transport must be an httpx\.AsyncBaseTransport, got"):
        AsyncResilientClient(**options)


@pytest.mark.parametrize("client", [httpx.AsyncClient, httpx], ids=["a class", "a module"])
def test_an_object_that_is_not_a_client_raises(client: Any) -> None:
    """A class or a module, for example."""
    with pytest.raises(TypeError, match="http_client must have the async request"):
        AsyncResilientClient(http_client=client)
