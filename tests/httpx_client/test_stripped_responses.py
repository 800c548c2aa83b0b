"""What a result keeps of a response with a history, or of one that can't be packed."""

import gc
from typing import Any

import httpx
import httpx2
import pytest

from typed_async_client.httpx_client.packed import PackedResponse, StrippedResponse

URL = "http://a.test/"


class CustomResponse(httpx.Response):
    """A class of the caller's, which isn't packed."""


async def response_of(kind: type[httpx.Response], earlier: Any = ()) -> httpx.Response:
    """Return a response whose body has been read, after others."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=b"12345"))
    async with httpx.AsyncClient(transport=transport) as client:
        response = await client.post(URL, content=b"secret upload")
    response.__class__ = kind
    response.history = list(earlier)
    response.extensions["network_stream"] = object()
    return response


async def test_a_response_with_a_history_is_packed_with_it() -> None:
    """Its size is that of all their bodies."""
    first = await response_of(httpx.Response)
    second = await response_of(httpx.Response, [first])
    packed = PackedResponse.of(second)
    assert type(packed) is PackedResponse
    assert packed.size == 10
    del first, second
    gc.collect()
    rebuilt = packed.unpack()
    assert [each.content for each in (rebuilt, *rebuilt.history)] == [b"12345", b"12345"]
    for each in (rebuilt, *rebuilt.history):
        assert "network_stream" not in each.extensions
        with pytest.raises(httpx.RequestNotRead):
            assert each.request.content


async def test_a_response_that_cannot_be_packed_keeps_no_connection_and_no_upload() -> None:
    """Nor does any response in its history."""
    first = await response_of(CustomResponse)
    second = await response_of(CustomResponse, [first])
    packed = PackedResponse.of(second)
    assert type(packed) is StrippedResponse
    assert packed.size == 5
    assert packed.unpack() is second
    del first, second
    gc.collect()
    kept: Any = packed.unpack()
    assert [type(each) for each in (kept, *kept.history)] == [CustomResponse, CustomResponse]
    for each in (kept, *kept.history):
        assert each.content == b"12345"
        assert "network_stream" not in each.extensions
        with pytest.raises(httpx.RequestNotRead):
            assert each.request.content


async def test_the_request_of_a_kept_response_refuses_to_be_sent_without_its_body() -> None:
    """Instead of sending an empty one."""
    packed = PackedResponse.of(await response_of(httpx.Response))
    gc.collect()
    assert packed is not None
    request = packed.unpack().request
    transport = httpx.MockTransport(lambda sent: httpx.Response(200, content=sent.read()))
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(httpx.StreamConsumed, match="doesn't keep the body of its request"):
            await client.send(request)
    with pytest.raises(httpx.StreamConsumed, match="doesn't keep"):
        list(request.stream)  # type: ignore[arg-type]  # it can be iterated either way


async def test_a_response_of_httpx2_keeps_no_upload() -> None:
    """It comes from an external client."""
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=b"12345"))
    async with httpx2.AsyncClient(transport=transport) as client:
        response = await client.post(URL, content=b"secret upload")
    packed = PackedResponse.of(response)
    del response
    gc.collect()
    assert packed is not None
    kept: Any = packed.unpack()
    assert (type(kept), kept.content, packed.size) == (httpx2.Response, b"12345", 5)
    with pytest.raises(httpx2.RequestNotRead):
        assert kept.request.content


@pytest.mark.parametrize("value", [None, "text", 3])
def test_what_is_no_response_is_not_packed(value: Any) -> None:
    """Such as the data of an event that has none."""
    assert PackedResponse.of(value) is None
