"""``max_response_bytes`` for responses that come from no socket."""

import gzip
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import httpx2
import pytest
from sized_bodies import CAP, FITS, LARGE, over, over_own

from typed_async_client import (
    AsyncResilientClient,
    ResponseTooLargeError,
)


async def parts_of(data: bytes) -> AsyncIterator[bytes]:
    """Yield a body in parts."""
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]


class Response(httpx.Response):
    """A response of a class of its own."""


NO_HEADERS: dict[str, str] = {}

MOCKED: dict[str, Callable[[bytes, dict[str, str]], httpx.Response]] = {
    "content": lambda body, headers: httpx.Response(200, content=body, headers=headers),
    "stream": lambda body, headers: httpx.Response(200, content=parts_of(body), headers=headers),
    "byte stream": lambda body, headers: httpx.Response(
        200, stream=httpx.ByteStream(body), headers=headers
    ),
    "class of its own": lambda body, headers: Response(
        200, content=parts_of(body), headers=headers
    ),
}


@pytest.mark.parametrize("kind", MOCKED)
@pytest.mark.parametrize("is_external", [False, True])
async def test_the_response_of_a_mock_is_limited(kind: str, *, is_external: bool) -> None:
    """However it was made."""
    body, headers = FITS, NO_HEADERS

    def respond(_: httpx.Request) -> httpx.Response:
        return MOCKED[kind](body, headers)

    mock = httpx.MockTransport(respond)
    way = over_own(httpx, lambda: mock) if is_external else over(lambda: mock)
    async with way(max_response_bytes=CAP) as client:
        assert (await client.request("GET", "http://a.test/")).content == FITS
        body, headers = gzip.compress(FITS), {"Content-Encoding": "gzip"}
        assert (await client.request("GET", "http://a.test/")).content == FITS
        body = gzip.compress(LARGE)
        with pytest.raises(ResponseTooLargeError):
            await client.request("GET", "http://a.test/")
        body, headers = LARGE, NO_HEADERS
        with pytest.raises(ResponseTooLargeError):
            await client.request("GET", "http://a.test/")
        body, headers = gzip.compress(gzip.compress(FITS)), {"Content-Encoding": "gzip, gzip"}
        with pytest.raises(httpx.DecodingError, match="2 content codings"):
            await client.request("GET", "http://a.test/")


async def test_a_length_with_more_digits_than_python_converts_is_too_large() -> None:
    """It isn't an error of another kind."""
    response = httpx.Response(200, content=parts_of(FITS), headers={"Content-Length": "9" * 5000})
    transport = httpx.MockTransport(lambda _: response)
    async with AsyncResilientClient(transport=transport, max_response_bytes=CAP) as client:
        with pytest.raises(ResponseTooLargeError, match=r"its Content-Length is 9{19}$"):
            await client.request("GET", "http://a.test/")


async def test_the_iteration_of_a_body_that_is_too_large_is_ended() -> None:
    """At once, although the traceback of the error refers to it."""
    closed: list[str] = []

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                while True:
                    yield FITS
            finally:
                closed.append("body")

    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Endless()))
    async with AsyncResilientClient(transport=transport, max_response_bytes=CAP) as client:
        with pytest.raises(ResponseTooLargeError) as raised:
            await client.request("GET", "http://a.test/")
        assert (closed, raised.value.limit) == (["body"], CAP)


async def test_a_mocked_response_that_was_closed_unread_is_left_alone() -> None:
    """There is no body to check."""

    async def respond(_: httpx.Request) -> httpx.Response:
        response = httpx.Response(200, content=parts_of(LARGE))
        await response.aclose()
        return response

    transport = httpx.MockTransport(respond)
    async with AsyncResilientClient(transport=transport, max_response_bytes=CAP) as client:
        with pytest.raises(httpx.StreamClosed):
            await client.request("GET", "http://a.test/")


async def test_an_external_client_of_httpx2_checks_a_mock_too() -> None:
    """With errors of its own library."""
    body, headers = LARGE, NO_HEADERS

    def respond(_: Any) -> Any:
        return httpx2.Response(200, content=body, headers=headers)

    external = httpx2.AsyncClient(transport=httpx2.MockTransport(respond))
    async with (
        external,
        AsyncResilientClient(http_client=external, max_response_bytes=CAP) as client,
    ):
        with pytest.raises(httpx2.RequestError, match=f"it has {CAP + 1} bytes"):
            await client.request("GET", "http://a.test/")
        body, headers = gzip.compress(gzip.compress(b"h")), {"Content-Encoding": "gzip, gzip"}
        with pytest.raises(httpx2.DecodingError, match="2 content codings"):
            await client.request("GET", "http://a.test/")
