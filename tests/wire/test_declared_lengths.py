"""The length of a body that is read while it is sent: declared if it is known, and kept."""

import httpx
import pytest
from body_kinds import AGAIN, BODY, RETRYING, Bodies, Make, overloaded

from typed_async_client import AsyncResilientClient
from typed_async_client.testing import FaultServer, answer

# Lengths


@pytest.mark.parametrize("length", ["3", "9"])
async def test_a_file_of_another_length_than_declared_is_refused(length: str, make: Make) -> None:
    """Before anything is sent, with both lengths in the message."""
    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        headers = {"Content-Length": length}
        with pytest.raises(ValueError, match=f"Content-Length is {length}, but the file has 5"):
            await client.request("PUT", server.url, headers=headers, content=make("file"))
        assert server.connections == 0


@pytest.mark.parametrize("length", ["3", "9"])
@pytest.mark.parametrize("kind", ["async generator", "generator"])
async def test_a_body_of_another_length_than_declared_is_not_sent_again(
    kind: str, length: str, make: Make
) -> None:
    """It is an error of the caller, which a second attempt would repeat."""
    async with (
        FaultServer(answer()) as server,
        AsyncResilientClient(resilience=RETRYING) as client,
    ):
        headers = {"Content-Length": length}
        task = await client.put(
            server.url, client.new_context("r"), headers=headers, content=make(kind)
        )
        with pytest.raises(httpx.LocalProtocolError, match=r"Too (much|little) data for declared"):
            await task
        assert (await client.wait_for_request("r")).attempts == 1
        assert all(request.body == b"pay" for request in server.requests)


@pytest.mark.parametrize("kind", ["file", "file in memory", "file in a class of its own", "list"])
async def test_a_length_that_is_known_is_declared(kind: str, make: Make) -> None:
    """Servers that refuse chunked bodies accept them."""
    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        await client.request("PUT", server.url, content=make(kind))
        (request,) = server.requests
    assert (request.headers["content-length"], request.body) == ("5", BODY)


async def test_a_file_can_be_sent_in_chunks_if_the_caller_asks_for_it(make: Make) -> None:
    """By naming the coding."""
    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        headers = {"Transfer-Encoding": "chunked"}
        await client.request("PUT", server.url, headers=headers, content=make("file"))
        (request,) = server.requests
    assert "content-length" not in request.headers
    assert request.body == BODY


@pytest.mark.parametrize("data", ["generator", "async generator", "file"])
async def test_a_stream_as_data_is_content(data: str, make: Make) -> None:
    """As in httpx, with the same kind of warning."""
    bodies: Bodies = []
    async with (
        FaultServer(overloaded(bodies)) as server,
        AsyncResilientClient(resilience=RETRYING) as client,
    ):
        with pytest.deprecated_call(match="pass content="):
            task = await client.request_async("PUT", server.url, data=make(data))
        assert (await task).status_code == (200 if data in AGAIN else 503)
    assert bodies == [BODY] * (3 if data in AGAIN else 1)
