"""Fixtures of the tests on sockets: both parsers one after the other, a look at what is left."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from h2_ways import Way
from leftovers import leaving_nothing
from pool_kit import without_httptools

from typed_async_client import AsyncPoolTransport
from typed_async_client.pool.connector import Http11


@pytest.fixture(params=["h11", "llhttp"])
def http11(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Http11:
    """Play a test with each parser, as the default of a client that has it installed or not."""
    chosen: Http11 = request.param
    if chosen == "h11":
        without_httptools(monkeypatch)
    return chosen


@pytest_asyncio.fixture(name="nothing_left")
async def _nothing_left() -> AsyncIterator[None]:
    """Make sure that a test leaves no task and no socket behind."""
    async with leaving_nothing():
        yield


@pytest.fixture(name="transport")
def _transport(way: Way) -> AsyncPoolTransport:
    """Give a transport that speaks HTTP/2 in one of its ways."""
    return way.transport()


@pytest_asyncio.fixture(name="client")
async def _client(transport: AsyncPoolTransport) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client over a transport whose pool is at peace when the test has ended."""
    async with httpx.AsyncClient(transport=transport, timeout=20) as client:
        yield client
        told = transport.statistics()
        assert (told.active, told.connecting, told.waiting) == (0, 0, 0)
