"""Fixtures for the tests on sockets: each HTTP/1.1 parser in turn, and a check for leaks."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio
from body_kinds import Make, closing_maker
from h2_setups import H2Setup
from leak_checks import no_leaks
from pool_helpers import hide_httptools

from typed_async_client import AsyncPoolTransport
from typed_async_client.pool.connector import Http11

_RARER = frozenset({"external httpx", "external httpx2", "httpx transport"})
"""Ways to send a request that differ from the others in a few lines: they are tried in bulk."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try the policies in the three usual ways in each run, and in the others with the bulk tests."""
    for item in items:
        way = getattr(item, "callspec", None) and item.callspec.params.get("way")  # type: ignore[attr-defined]  # of a function with parameters
        if way in _RARER and item.path.name.startswith("test_policies"):
            item.add_marker(pytest.mark.bulk)


@pytest.fixture(params=["h11", "llhttp"])
def http11(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Http11:
    """Run a test with each parser as the default, by hiding httptools for h11."""
    parser: Http11 = request.param
    if parser == "h11":
        hide_httptools(monkeypatch)
    return parser


@pytest_asyncio.fixture(name="no_leaks")
async def _no_leaks() -> AsyncIterator[None]:
    """Check that a test leaks no task and no socket."""
    async with no_leaks():
        yield


@pytest.fixture(name="make")
def _make() -> Iterator[Make]:
    """Return what makes a request body of a kind; its files are closed after the test."""
    with closing_maker() as make:
        yield make


@pytest.fixture(name="transport")
def _transport(setup: H2Setup) -> AsyncPoolTransport:
    """Return a transport that speaks HTTP/2 with this setup."""
    return setup.transport()


@pytest_asyncio.fixture(name="client")
async def _client(transport: AsyncPoolTransport) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client over the transport, and check that its pool is idle at the end."""
    async with httpx.AsyncClient(transport=transport, timeout=20) as client:
        yield client
        stats = transport.statistics()
        assert (stats.active, stats.connecting, stats.waiting) == (0, 0, 0)
