"""A generator whose last declared byte was sent runs to its end, as with httpx."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from pool_helpers import run_loop_turns
from upload_servers import each_route, reach, read_head

from typed_async_client.testing import Handler, Wire

pytestmark = pytest.mark.usefixtures("http11", "no_leaks")

SIZE = 1000
DECLARED = {"Content-Length": str(SIZE)}
START = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha"


def response(status: str = "200 OK", *headers: str) -> bytes:
    """Return a response without a body."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "Content-Length: 0", "", ""]).encode()


def after_body(*pieces: bytes, start: bytes = b"") -> Handler:
    """For each request, send ``start`` after its head, and the pieces after its last byte."""

    async def handler(wire: Wire) -> None:
        while (data := await read_head(wire)) is not None:
            await wire.send(start)
            missing = SIZE - len(data)
            while missing:
                missing -= len(await wire.read(missing))
            for piece in pieces:
                await wire.send(piece)
            if not pieces:
                break

    return handler


class Body:
    """A body that does something after its last byte, when the response has arrived.

    Args:
        then: what it does at last.

    Attributes:
        ended: how it ended.
        finishing: is set once the last byte was sent.
    """

    def __init__(self, then: Callable[[], Awaitable[Any]] | None = None) -> None:
        self.ended: list[str] = []
        self.finishing: asyncio.Event = asyncio.Event()
        self._then = then

    async def parts(self) -> AsyncIterator[bytes]:
        """Generate the parts."""
        try:
            yield bytes(SIZE // 2)
            await run_loop_turns(50)  # an early head arrives
            yield bytes(SIZE // 2)
            self.finishing.set()
            await run_loop_turns(50)
            if self._then is not None:
                await self._then()
            self.ended.append("finished")
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise


async def fail() -> None:
    """Raise an error."""
    raise ZeroDivisionError("not committed")


@each_route
@pytest.mark.parametrize("status", ["200 OK", "303 See Other", "413 Content Too Large"])
async def test_the_generator_runs_to_its_end_and_the_connection_is_kept(
    route: str, status: str
) -> None:
    """Whatever the server responds."""
    async with reach(after_body(response(status)), route) as (client, server, transport):
        for _ in range(3):
            body = Body()
            answer = await client.post(server.url, content=body.parts(), headers=DECLARED)
            assert answer.status_code == int(status[:3])
            assert body.ended == ["finished"]
        assert (server.connections, transport.statistics().idle) == (1, 1)


async def test_the_generator_runs_to_its_end_if_the_connection_is_not_kept() -> None:
    """Because the server closes it."""
    body, last = Body(), response("200 OK", "Connection: close")
    async with reach(after_body(last)) as (client, server, transport):
        await client.post(server.url, content=body.parts(), headers=DECLARED)
        assert body.ended == ["finished"]
        assert transport.statistics().idle == 0


@pytest.mark.parametrize("piece", [b"nonsense\r\n\r\n", b""], ids=["nonsense", "nothing"])
async def test_the_generator_runs_to_its_end_before_an_error_is_raised(piece: bytes) -> None:
    """The server has received the whole body."""
    body = Body()
    async with reach(after_body(*filter(None, [piece]))) as (client, server, _):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(server.url, content=body.parts(), headers=DECLARED)
        assert body.ended == ["finished"]


async def test_the_generator_runs_to_its_end_beside_a_response_that_began_early() -> None:
    """The response is complete before."""
    async with reach(after_body(b"lf", start=START)) as (client, server, _):
        for _ in range(3):
            body = Body()
            answer = await client.post(server.url, content=body.parts(), headers=DECLARED)
            assert answer.content == b"half"
            assert body.ended == ["finished"]
        assert server.connections == 1


async def test_an_error_of_the_generator_after_its_last_byte_is_raised() -> None:
    """Although the server has responded."""
    body = Body(fail)
    async with reach(after_body(response())) as (client, server, transport):
        with pytest.raises(ZeroDivisionError, match="not committed"):
            await client.post(server.url, content=body.parts(), headers=DECLARED)
        assert transport.statistics().idle == 0


async def test_an_error_of_the_generator_after_the_whole_response_is_reported() -> None:
    """To the event loop, because the response has been read."""
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    body = Body(fail)
    async with reach(after_body(b"lf", start=START)) as (client, server, transport):
        answer = await client.post(server.url, content=body.parts(), headers=DECLARED)
        assert answer.content == b"half"
        assert transport.statistics().idle == 0
    assert [str(report["exception"]) for report in reports] == ["not committed"]


@pytest.mark.parametrize("start", [b"", START], ids=["in time", "early"])
async def test_a_cancelled_request_does_not_wait_for_its_generator(start: bytes) -> None:
    """It is cancelled too, and has ended before its request."""
    body = Body(asyncio.Event().wait)
    pieces = (b"lf",) if start else (response(),)
    async with reach(after_body(*pieces, start=start)) as (client, server, transport):
        sending = asyncio.ensure_future(
            client.post(server.url, content=body.parts(), headers=DECLARED)
        )
        await body.finishing.wait()
        await run_loop_turns(100)
        assert not sending.done()
        sending.cancel()
        await asyncio.wait({sending})
        assert sending.cancelled()
        assert body.ended == ["cancelled"]
        assert transport.statistics().idle == 0


async def test_a_response_that_is_not_read_to_its_end_does_not_wait_for_the_generator() -> None:
    """Closing it ends the exchange."""
    body = Body(asyncio.Event().wait)
    async with reach(after_body(b"l", start=START)) as (client, server, _):
        async with client.stream("POST", server.url, content=body.parts(), headers=DECLARED):
            await body.finishing.wait()
            await run_loop_turns(100)
        assert body.ended == ["cancelled"]


async def test_closing_the_transport_does_not_wait_for_the_generator() -> None:
    """It is cancelled, and the response that has arrived is delivered."""
    body = Body(asyncio.Event().wait)
    async with reach(after_body(response())) as (client, server, transport):
        sending = asyncio.ensure_future(
            client.post(server.url, content=body.parts(), headers=DECLARED)
        )
        await body.finishing.wait()
        await run_loop_turns(100)
        await transport.aclose()
        assert (await sending).status_code == 200
        assert body.ended == ["cancelled"]


async def test_a_body_that_declares_nothing_is_stopped_by_a_refusal() -> None:
    """Without a declared length, the server can't have received all of it."""
    body = Body(asyncio.Event().wait)
    async with reach(after_body(response("413 Content Too Large"))) as (client, server, transport):
        answer = await client.post(server.url, content=body.parts())
        assert answer.status_code == 413
        assert body.ended == ["cancelled"]
        assert transport.statistics().idle == 0
