"""Requests that may not be sent are refused, whatever the protocol, the parser and the proxy.

The rules are in ``wire/request_rules.py``; ``test_http11_requests.py`` has the requests that are sent.
"""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pool_helpers import is_idle, new_transport, pool_client

from typed_async_client import AsyncPoolTransport, AsyncResilientClient, ResilientTransport
from typed_async_client.testing import FaultServer, answer

SECRET = "sk-secret"
SMUGGLED = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\nGET"

Headers = list[tuple[str, str]]

AMBIGUOUS_LENGTHS: dict[str, Headers] = {
    "two Content-Lengths": [("Content-Length", "5"), ("Content-Length", "3")],
    "the correct length first": [("Content-Length", "3"), ("Content-Length", "5")],
    "two lengths in one field": [("Content-Length", "3, 5")],
    "a length and an empty one": [("Content-Length", "3,")],
    "a length with a sign": [("Content-Length", "+3")],
    "a negative length": [("Content-Length", "-3")],
    "a length with an underscore": [("Content-Length", "0_3")],
    "a length that is not a number": [("Content-Length", "abc")],
    "a hexadecimal length": [("Content-Length", "0x3")],
    "a length after a space": [("Content-Length", " 3")],
    "an empty length": [("Content-Length", "")],
    "a length of 30 digits": [("Content-Length", "0" * 29 + "3")],
    "a length of 5000 digits": [("Content-Length", "0" * 4999 + "3")],
    "a coding that is not chunked": [("Transfer-Encoding", "gzip")],
    "a coding that contains chunked": [("Transfer-Encoding", "xchunked")],
    "a coding before chunked": [("Transfer-Encoding", "gzip, chunked")],
    "a coding after chunked": [("Transfer-Encoding", "chunked, gzip")],
    "chunked with a parameter": [("Transfer-Encoding", "chunked;q=1")],
    "chunked after a space": [("Transfer-Encoding", " chunked")],
    "chunked twice": [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
    "chunked twice in one field": [("Transfer-Encoding", "chunked, chunked")],
    "an empty coding": [("Transfer-Encoding", "")],
    "an invalid length with chunked": [("Content-Length", "+3"), ("Transfer-Encoding", "chunked")],
}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    **{
        name: ({"method": "POST", "headers": headers, "content": b"abc"}, headers[0][0])
        for name, headers in AMBIGUOUS_LENGTHS.items()
    },
    "two Hosts": ({"headers": [("Host", "a.test"), ("Host", "b.test")]}, "multiple Host"),
    "two equal Hosts": ({"headers": [("Host", "a.test"), ("host", "a.test")]}, "multiple Host"),
    "a blank after a value": ({"headers": {"Authorization": f"Bearer {SECRET} "}}, "Authorization"),
    "a blank before a value": ({"headers": {"X-Key": f" {SECRET}"}}, "X-Key"),
    "a tab after a value": ({"headers": {"X-Key": f"{SECRET}\t"}}, "X-Key"),
    "an empty bearer token": ({"headers": {"Authorization": "Bearer "}}, "Authorization"),
    "a value that is a blank": ({"headers": {"X-Key": " "}}, "X-Key"),
    **{
        f"{character!r} in a value": ({"headers": {"X-Key": f"{SECRET}{character}a"}}, "X-Key")
        for character in "\0\1\n\r\v\f\x1f\x7f"
    },
    "a line feed after a value": ({"headers": {"X-Key": f"{SECRET}\n"}}, "X-Key"),
    "a field in a value": ({"headers": {"X-Key": f"{SECRET}\r\nHost: b.test"}}, "X-Key"),
    "an empty name": ({"headers": {"": SECRET}}, "header name b''"),
    "a name and value as the name": ({"headers": {f"X-Key: {SECRET}": "a"}}, "b'X-Key'"),
    "a blank after a name": ({"headers": {"X-Key ": "a"}}, "b'X-Key'"),
    "lines in a name": ({"headers": {"X-A\r\nX-B": "a"}}, "b'X-A'"),
    "a blank in the method": ({"method": "GE T"}, "'GE T'"),
    "a request in the method": ({"method": SMUGGLED}, "method"),
    "an empty method": ({"method": ""}, "method"),
    "a blank in the target": ({"extensions": {"target": b"/a b"}}, "target"),
    "a header in the target": ({"extensions": {"target": b"/ HTTP/1.1\r\nX-A: b"}}, "target"),
    "a non-ASCII target": ({"extensions": {"target": b"/\xe9"}}, "target"),
}
"""Options of a request, and what the message of its refusal names."""

ROUTES: dict[str, Callable[[str], dict[str, Any]]] = {
    "h11": lambda _: {"http11": "h11"},
    "llhttp": lambda _: {"http11": "llhttp"},
    "HTTP/2": lambda _: {"http1": False, "http2": True},
    "a proxy": lambda url: {"proxy": url},
    "a SOCKS proxy": lambda url: {"proxy": url.replace("http", "socks5")},
}
"""Options of a transport; the server is also the proxy, because it is never reached."""


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
@pytest.mark.parametrize(("options", "named"), REFUSED.values(), ids=REFUSED)
async def test_an_invalid_request_is_refused_before_a_connection_is_opened(
    options: dict[str, Any], named: str, route: Callable[[str], dict[str, Any]]
) -> None:
    """The message names the header, but contains no value that may be a secret."""
    async with FaultServer(answer()) as server:
        transport = AsyncPoolTransport(**route(server.url))
        async with pool_client(transport) as client:
            with pytest.raises(httpx.LocalProtocolError) as caught:
                await client.request(url=server.url, **{"method": "GET", **options})
            assert is_idle(transport)
        assert server.connections == 0
    message = str(caught.value)
    assert named in message
    assert f"invalid request to 127.0.0.1:{server.port}" in message
    assert SECRET not in message + repr(caught.value) + repr(caught.value.__cause__)
    assert len(message) < 300


async def remove_framing(request: httpx.Request) -> None:
    """Remove the headers that declare a body."""
    for name in ("Content-Length", "Transfer-Encoding"):
        request.headers.pop(name, None)


async def remove_host(request: httpx.Request) -> None:
    """Remove the Host."""
    del request.headers["Host"]


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
@pytest.mark.parametrize(
    ("hook", "message"), [(remove_host, "Missing .* Host"), (remove_framing, "Content-Length")]
)
async def test_a_request_that_a_hook_made_invalid_is_refused(
    hook: Any, message: str, route: Callable[[str], dict[str, Any]]
) -> None:
    """HTTP/2 would fail without a Host, and would send no body without a length."""
    async with FaultServer(answer()) as server:
        transport = AsyncPoolTransport(**route(server.url))
        hooks = {"request": [hook]}
        async with httpx.AsyncClient(transport=transport, event_hooks=hooks) as client:
            with pytest.raises(httpx.LocalProtocolError, match=message):
                await client.post(server.url, content=b"abc")
        assert server.connections == 0


def adding(headers: Any) -> Any:
    """Return a hook that adds headers, which a client would refuse if it were given them."""

    async def add(request: httpx.Request) -> None:
        given = [field for field in request.headers.raw if field[0].lower() != b"host"]
        request.headers = httpx.Headers([*httpx.Headers(headers).raw, *given])
        if "Host" not in request.headers:
            request.headers["Host"] = request.url.netloc.decode()

    return add


@pytest.mark.parametrize("backend", ["aiohttp", "pyreqwest"])
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Key": f"{SECRET}\n"},
        {"X-Key": f"{SECRET}\1"},
        {"X-Key": f"{SECRET} "},
        [("Host", "a.test"), ("Host", "b.test")],
    ],
)
async def test_another_backend_refuses_the_same_headers(backend: Any, headers: Any) -> None:
    """One of them would send the last of two Hosts, and the other one quotes the value in its error."""
    hooks = {"request": [adding(headers)]}
    async with FaultServer(answer()) as server:
        async with AsyncResilientClient(transport=backend, event_hooks=hooks) as client:
            with pytest.raises(httpx.LocalProtocolError, match="GET: invalid request") as caught:
                await client.request("GET", server.url)
        assert server.connections == 0
    assert SECRET not in _texts(caught.value)


async def test_the_error_of_h11_has_no_header_value_with_other_transports() -> None:
    """Nor has what it was caused by."""
    headers = {"Authorization": f"Bearer {SECRET} "}
    async with FaultServer(answer()) as server:
        async with httpx.AsyncClient(
            transport=ResilientTransport(httpx.AsyncHTTPTransport())
        ) as client:
            with pytest.raises(httpx.LocalProtocolError, match="GET: invalid") as caught:
                await client.get(server.url, headers=headers)
        assert SECRET not in _texts(caught.value)
        async with (
            httpx.AsyncClient(event_hooks={"request": [adding(headers)]}) as own,
            AsyncResilientClient(http_client=own) as resilient,
        ):
            with pytest.raises(httpx.LocalProtocolError, match="GET: invalid") as caught:
                await resilient.request("GET", server.url)
        assert SECRET not in _texts(caught.value)


def _texts(error: BaseException | None) -> str:
    """Return the texts of an error and of all that led to it."""
    if error is None:
        return ""
    return f"{error} {error!r} {_texts(error.__cause__)} {_texts(error.__context__)}"


@pytest.mark.usefixtures("http11")
async def test_a_refused_request_is_not_retried() -> None:
    """Neither by the client, nor by the transport for other clients; the next one succeeds."""
    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        context = client.new_context(request_id="r")
        hosts = [("Host", "a.test"), ("Host", "b.test")]
        with pytest.raises(httpx.LocalProtocolError):
            await (await client.get(server.url, headers=hosts, context=context))
        result = client.get_result("r")
        assert result is not None
        assert result.attempts == 1
        assert (await (await client.get(server.url))).status_code == 200
        async with httpx.AsyncClient(transport=ResilientTransport(new_transport())) as other:
            with pytest.raises(httpx.LocalProtocolError):
                await other.get(server.url, headers={"X-A": "a "})
            assert (await other.get(server.url)).status_code == 200
        assert len(server.requests) == 2
