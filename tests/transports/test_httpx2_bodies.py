"""Request bodies of httpx2 in an httpx transport; entering it; and what happens without the adapter."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import httpx2
import pytest
from entered_transport import Entered

from typed_async_client import (
    ASGITransport,
    AsyncPoolTransport,
    AsyncResilientClient,
    HSTSTransport,
    HTTPSOnlyTransport,
    HTTPSRedirectTransport,
    RequestBodyConsumedError,
    ResilientTransport,
    for_httpx2,
)
from typed_async_client.testing import in_virtual_time

URL = "http://service.test/"


def parts() -> Iterator[bytes]:
    """Produce a body that can be read once."""
    yield from (b"one ", b"two")


async def async_parts() -> AsyncIterator[bytes]:
    """Produce the same, asynchronously."""
    yield b"one "
    yield b"two"


async def post(transport: Any, **options: Any) -> httpx2.Response:
    """Post with the asynchronous client."""
    async with httpx2.AsyncClient(transport=for_httpx2(transport), follow_redirects=True) as client:
        return await client.post(URL, **options)


class Refusing(httpx.MockTransport):
    """Refuses the first connections, or takes them and reads the body first."""

    def __init__(self, refusals: int, *, after_body: bool = False) -> None:
        self.bodies: list[bytes] = []
        self.attempts = 0
        self._refusals = refusals
        self._after_body = after_body
        super().__init__(self._serve)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Read the body, unless the connection is refused before."""
        self.attempts += 1
        if self.attempts <= self._refusals and not self._after_body:
            raise httpx.ConnectError("refused")
        return await super().handle_async_request(request)

    def _serve(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.content)
        if self.attempts <= self._refusals:
            raise httpx.ConnectError("refused")
        return httpx.Response(200)


BODIES: dict[str, Any] = {
    "bytes": lambda: {"content": b"one two"},
    "a form": lambda: {"data": {"a": "one"}, "files": {"f": b"two"}},
    "an iterator": lambda: {"content": async_parts()},
}
each_body = pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)


@each_body
@in_virtual_time
async def test_any_body_is_sent_once_the_connection_succeeds(make: Any) -> None:
    """Nothing of it was read for the attempts before."""
    refusing = Refusing(2)
    await post(ResilientTransport(refusing), **make())
    assert refusing.attempts == 3
    assert len(refusing.bodies) == 1
    assert b"two" in refusing.bodies[0]


@in_virtual_time
async def test_an_attempt_that_has_read_an_iterator_is_not_repeated() -> None:
    """The next one would send an empty body."""
    refusing = Refusing(2, after_body=True)
    with pytest.raises(httpx2.ConnectError):
        await post(ResilientTransport(refusing), content=async_parts())
    assert refusing.bodies == [b"one two"]


@in_virtual_time
async def test_an_attempt_that_has_sent_a_form_is_repeated_if_it_is_idempotent() -> None:
    """The form is encoded again."""
    refusing = Refusing(1, after_body=True)
    headers = {"Idempotency-Key": "k"}
    await post(ResilientTransport(refusing), files={"f": b"two"}, headers=headers)
    assert len(refusing.bodies) == 2
    assert refusing.bodies[0] == refusing.bodies[1]


async def test_a_redirect_does_not_send_an_iterator_again() -> None:
    """It raises our error, which is httpx2's too, instead of an empty body."""
    seen: list[bytes] = []

    def redirect(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return httpx.Response(307, headers={"Location": "/again"})

    transport = ResilientTransport(httpx.MockTransport(redirect))
    with pytest.raises(RequestBodyConsumedError, match="can be read only once") as raised:
        await post(transport, content=async_parts())
    assert isinstance(raised.value, httpx2.StreamConsumed)
    assert seen == [b"one two"]


@pytest.mark.parametrize("kind", ["bytes", "a form"])
async def test_a_redirect_sends_a_body_that_starts_over_again(kind: str) -> None:
    """As httpx2 does with its own transport."""
    seen: list[bytes] = []

    def redirect(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return httpx.Response(307 if len(seen) == 1 else 200, headers={"Location": "/again"})

    await post(ResilientTransport(httpx.MockTransport(redirect)), **BODIES[kind]())
    assert len(seen) == 2
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    "error", [OSError("no such file"), httpx2.ReadError("upstream"), httpx.ReadError("upstream")]
)
async def test_what_a_request_body_raises_is_unchanged(error: Exception) -> None:
    """Even an error that would be converted if the transport had raised it."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"one"
        raise error

    with pytest.raises(type(error)) as raised:
        await post(ResilientTransport(Refusing(0)), content=broken())
    assert raised.value is error


def test_a_synchronous_body_is_sent_and_retried() -> None:
    """With the synchronous client."""
    bodies: list[bytes] = []

    def serve(request: httpx.Request) -> httpx.Response:
        bodies.append(request.read())
        return httpx.Response(200)

    transport = for_httpx2(ResilientTransport(httpx.MockTransport(serve)))
    with httpx2.Client(transport=transport) as client:
        client.post(URL, content=parts())
        client.post(URL, files={"f": b"two"})
    assert bodies[0] == b"one two"
    assert b"two" in bodies[1]


# Entering


async def test_the_adapter_enters_leaves_and_closes_the_transport() -> None:
    """As the client does with the adapter."""
    transport = Entered()
    adapter = for_httpx2(transport)
    assert isinstance(adapter, httpx2.BaseTransport)
    assert isinstance(adapter, httpx2.AsyncBaseTransport)
    with pytest.raises(KeyError), httpx2.Client(transport=adapter):
        raise KeyError("k")
    async with httpx2.AsyncClient(transport=adapter):
        pass
    httpx2.Client(transport=adapter).close()
    await httpx2.AsyncClient(transport=adapter).aclose()
    assert transport.calls == [
        "enter",
        "exit with KeyError('k')",
        "aenter",
        "aexit with None",
        "close",
        "aclose",
    ]
    assert repr(adapter) == f"for_httpx2({transport!r})"


# Misuse


def test_an_adapter_serves_the_kinds_of_client_that_the_transport_serves() -> None:
    """A type checker knows it too."""
    asynchronous = for_httpx2(AsyncPoolTransport())
    synchronous = for_httpx2(httpx.HTTPTransport())
    assert isinstance(asynchronous, httpx2.AsyncBaseTransport)
    assert not isinstance(asynchronous, httpx2.BaseTransport)
    assert isinstance(synchronous, httpx2.BaseTransport)
    assert not isinstance(synchronous, httpx2.AsyncBaseTransport)
    synchronous.close()


@pytest.mark.parametrize(
    "wrong", [httpx.HTTPTransport, httpx.Client, object(), None, httpx2.HTTPTransport()]
)
def test_anything_but_an_httpx_transport_is_refused(wrong: Any) -> None:
    """A class, a client, or a transport that is of httpx2 already."""
    with pytest.raises(TypeError, match=r"for_httpx2\(\) takes an httpx transport, got"):
        for_httpx2(wrong)


def get_synchronously(transport: Any) -> None:
    """Send a request with the synchronous client."""
    httpx2.Client(transport=transport).get(URL)


async def _app(*_: Any) -> None:
    """Answer nothing."""


@pytest.mark.parametrize(
    "transport",
    [
        AsyncPoolTransport(),
        ResilientTransport(),
        HSTSTransport(),
        HTTPSOnlyTransport(),
        HTTPSRedirectTransport(),
        ASGITransport(_app),
    ],
    ids=lambda transport: type(transport).__name__,
)
async def test_without_the_adapter_the_error_names_it(transport: Any) -> None:
    """Before anything is sent, with either client."""
    client = httpx2.AsyncClient(transport=transport)
    with pytest.raises(TypeError, match=r"adapt it with typed_async_client\.for_httpx2"):
        await client.get(URL)
    if isinstance(transport, httpx.BaseTransport):
        with pytest.raises(TypeError, match=r"adapt it with typed_async_client\.for_httpx2"):
            get_synchronously(transport)


async def test_an_adapter_in_a_client_of_httpx_says_so() -> None:
    """The transport itself is what it needs."""
    adapter: Any = for_httpx2(ResilientTransport())
    with pytest.raises(TypeError, match="pass the transport itself to an httpx client"):
        await httpx.AsyncClient(transport=adapter).get(URL)


def test_our_client_refuses_a_transport_of_httpx2() -> None:
    """The error names the option that takes a client of httpx2."""
    wrong: Any = httpx2.AsyncHTTPTransport()
    with pytest.raises(TypeError, match=r"pass http_client=httpx2\.AsyncClient"):
        AsyncResilientClient(transport=wrong)


def test_without_httpx2_the_error_says_what_to_install() -> None:
    """Importing the package doesn't need it."""
    program = (
        "import sys; sys.modules['httpx2'] = None\n"
        "from typed_async_client import ResilientTransport, for_httpx2\n"
        "for_httpx2(ResilientTransport())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert "ImportError: for_httpx2() needs httpx2: pip install httpx2" in ended.stderr
