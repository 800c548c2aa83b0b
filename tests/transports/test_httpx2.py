"""An httpx transport in the clients of httpx2."""

import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import httpx2
import pytest

from typed_async_client import (
    ConnectError,
    HSTSTransport,
    ResilientTransport,
    for_httpx2,
)
from typed_async_client.testing import in_virtual_time

URL = "http://service.test/"


class Parts(httpx.AsyncByteStream, httpx.SyncByteStream):
    """A response body of two parts that may fail after them."""

    def __init__(self, error: Exception | None = None) -> None:
        self.is_closed = False
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield b"one "
        yield b"two"
        if self._error is not None:
            raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part

    def close(self) -> None:
        """Note that the body was closed."""
        self.is_closed = True

    async def aclose(self) -> None:
        """Note that the body was closed."""
        self.close()


async def get_async(transport: Any, url: str = URL, **options: Any) -> httpx2.Response:
    """Send a request with the asynchronous client."""
    async with httpx2.AsyncClient(transport=for_httpx2(transport)) as client:
        return await client.request(options.pop("method", "GET"), url, **options)


async def get_sync(transport: Any, url: str = URL, **options: Any) -> httpx2.Response:
    """Send a request with the synchronous client."""
    with httpx2.Client(transport=for_httpx2(transport)) as client:
        return client.request(options.pop("method", "GET"), url, **options)


each_kind = pytest.mark.parametrize("get", [get_async, get_sync])
Get = Callable[..., Any]


def answering(**options: Any) -> httpx.MockTransport:
    """Respond to every request."""
    return httpx.MockTransport(lambda _: httpx.Response(200, **options))


def failing(error: Exception) -> httpx.MockTransport:
    """Fail every request."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    return httpx.MockTransport(fail)


# Requests and responses


@each_kind
async def test_the_transport_sees_the_request_as_httpx_would_send_it(get: Get) -> None:
    """Method, URL, raw headers, body and extensions."""
    seen: list[httpx.Request] = []

    def serve(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=request.content)

    url = "http://u:p@service.test:81/a%2Fb/%7E?q=%5B1]&x=ä#f"
    response = await get(
        httpx.MockTransport(serve),
        url,
        method="post",
        content=b"body",
        headers=[("X-Two", "1"), ("x-two", "2"), ("X-Raw", b"\xff")],
        timeout=3.0,
        extensions={"sni_hostname": "other.test"},
    )
    (request,) = seen
    expected = response.request
    assert type(request) is httpx.Request
    assert (request.method, request.content) == ("POST", b"body")
    assert request.url.raw_path == expected.url.raw_path
    assert request.url.netloc == expected.url.netloc == b"service.test:81"
    assert request.headers.raw == expected.headers.raw
    assert request.extensions == {
        "timeout": {"connect": 3.0, "read": 3.0, "write": 3.0, "pool": 3.0},
        "sni_hostname": "other.test",
    }


@each_kind
async def test_the_client_gets_a_response_of_httpx2(get: Get) -> None:
    """With status, raw headers, extensions and a body that httpx2 decodes."""
    transport = answering(
        headers=[("X-Two", "1"), ("x-two", "2"), ("Content-Encoding", "gzip")],
        stream=Parts(),
        extensions={"http_version": b"HTTP/2", "reason_phrase": b"Fine", "own": 1},
    )
    with pytest.raises(httpx2.DecodingError):
        await get(transport)
    response = await get(answering(stream=Parts(), extensions={"reason_phrase": b"Fine"}))
    assert type(response) is httpx2.Response
    assert (response.text, response.reason_phrase) == ("one two", "Fine")
    assert response.elapsed.total_seconds() >= 0


@each_kind
async def test_content_that_the_transport_has_decoded_is_not_decoded_again(get: Get) -> None:
    """A caching transport may have read the response."""

    class Reading(httpx.BaseTransport, httpx.AsyncBaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = httpx.Response(
                200, headers={"Content-Encoding": "identity, br"}, stream=Parts()
            )
            del response.headers["Content-Encoding"]
            response.read()
            response.headers["Content-Encoding"] = "gzip"
            return response

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return self.handle_request(request)

    response = await get(Reading())
    assert response.content == b"one two"
    assert response.headers["Content-Encoding"] == "gzip"


async def test_a_response_that_is_closed_early_closes_the_body() -> None:
    """Whether some of it was read or nothing."""
    bodies = [Parts(), Parts(), Parts()]
    pending = iter(bodies)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=next(pending)))
    async with httpx2.AsyncClient(transport=for_httpx2(transport)) as client:
        async with client.stream("GET", URL) as response:
            assert await anext(response.aiter_raw()) == b"one "
        async with client.stream("GET", URL):
            pass
    with (
        httpx2.Client(transport=for_httpx2(transport)) as sync_client,
        sync_client.stream("GET", URL) as response,
    ):
        assert next(response.iter_raw()) == b"one "
    assert [body.is_closed for body in bodies] == [True] * 3


async def test_a_request_body_is_streamed() -> None:
    """Of either kind, part by part."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    received: list[bytes] = []

    class Collecting(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            assert isinstance(request.stream, httpx.AsyncByteStream)
            received.extend([part async for part in request.stream])
            return httpx.Response(200)

    await get_async(Collecting(), method="POST", content=parts())
    assert received == [b"a", b"b"]


@each_kind
async def test_a_url_that_the_transport_upgrades_is_the_url_of_the_response(get: Get) -> None:
    """As in httpx, with the cookies and redirects of the client."""
    response = await get(HSTSTransport(answering(), known=["service.test"]))
    assert str(response.url) == "https://service.test/"
    assert response.request.headers["Host"] == "service.test"


# Errors

ERRORS = [
    httpx.ConnectTimeout,
    httpx.ReadTimeout,
    httpx.WriteTimeout,
    httpx.PoolTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.CloseError,
    httpx.LocalProtocolError,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.DecodingError,
    httpx.TooManyRedirects,
]


@each_kind
@pytest.mark.parametrize("kind", ERRORS)
async def test_an_error_becomes_the_error_of_httpx2_with_its_name(
    get: Get, kind: type[httpx.RequestError]
) -> None:
    """The original is its cause, and its request is the one that was sent."""
    error = kind("broken")
    error.add_note("a note")
    with pytest.raises(httpx2.HTTPError, match="broken") as raised:
        await get(failing(error))
    assert type(raised.value) is getattr(httpx2, kind.__name__)
    assert raised.value.__cause__ is error
    assert raised.value.__notes__ == ["a note"]
    assert type(raised.value.request) is httpx2.Request


@each_kind
async def test_an_error_in_the_body_becomes_the_error_of_httpx2(get: Get) -> None:
    """After the parts that have arrived."""
    error = httpx.ReadError("cut")
    with pytest.raises(httpx2.ReadError, match="cut") as raised:
        await get(answering(stream=Parts(error)))
    assert raised.value.__cause__ is error
    assert raised.value.request.url == URL


@each_kind
async def test_an_error_that_is_not_of_httpx_is_unchanged(get: Get) -> None:
    """As is one of httpx2, which a transport of the caller may raise."""
    for error in (ZeroDivisionError("zero"), httpx2.ReadError("of httpx2")):
        with pytest.raises(type(error)) as raised:
            await get(failing(error))
        assert raised.value is error


@each_kind
async def test_a_subclass_becomes_the_nearest_error_of_httpx2(get: Get) -> None:
    """Errors of streams and bad statuses too."""

    class Refused(httpx.ConnectError):
        pass

    bad = httpx.Response(500, text="why", request=httpx.Request("GET", URL))
    for error, expected in (
        (Refused("no"), httpx2.ConnectError),
        (httpx.StreamClosed(), httpx2.StreamClosed),
        (httpx.InvalidURL("bad"), httpx2.InvalidURL),
        (httpx.HTTPStatusError("500", request=bad.request, response=bad), httpx2.HTTPStatusError),
    ):
        with pytest.raises(expected) as raised:
            await get(failing(error))
        assert type(raised.value) is expected
        assert str(raised.value) == str(error)
    assert isinstance(raised.value, httpx2.HTTPStatusError)
    assert raised.value.response.text == "why"


@each_kind
@in_virtual_time
async def test_our_connect_error_is_caught_as_each_librarys(get: Get) -> None:
    """It has its note and its cause, and can be pickled."""
    refused = httpx.ConnectError("refused")
    with pytest.raises(ConnectError, match=r"cannot connect to service\.test:80") as raised:
        await get(ResilientTransport(failing(refused), max_retries=0))
    error = raised.value
    assert isinstance(error, httpx2.ConnectError)
    assert isinstance(error, httpx.ConnectError)
    assert error.__cause__ is refused
    assert error.__notes__ == ["no connection after 1 attempt"]
    assert type(error.request) is httpx2.Request
    restored = pickle.loads(pickle.dumps(error))
    assert (type(restored), str(restored)) == (type(error), str(error))
