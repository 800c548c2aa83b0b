"""The numbers and limits in the prose of the pages are those of the client."""

import asyncio
import inspect
from typing import Any, Final

import httpx
import pytest
from docs_pages import ROOT, TWINS, code_names, read_page

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    RequestContext,
    Resilience,
    ResilientTransport,
    ResultStatus,
    create_async_resilient_client,
)
from typed_async_client.cli.exits import Exit
from typed_async_client.testing import FaultServer, Wire


async def test_the_default_timeouts_are_those_of_httpx_except_for_the_pool() -> None:
    """5 s for each of connect, read and write; none for the pool, which is ours."""
    async with create_async_resilient_client() as client:
        assert client._client.timeout == httpx.Timeout(5.0, pool=None)


async def test_a_request_without_a_connection_ends_as_timeout_and_is_not_retried() -> None:
    """With PoolTimeout, after the pool timeout, although retries were left."""

    async def hold(wire: Wire) -> None:
        await wire.read_request()
        connected.set()
        await wire.stall()

    connected = asyncio.Event()
    limits = httpx.Limits(max_connections=1)
    timeout = httpx.Timeout(20.0, pool=0.1)
    async with (
        FaultServer(hold) as server,
        create_async_resilient_client(limits=limits, timeout=timeout, trust_env=False) as client,
    ):
        await client.get(server.url)
        await connected.wait()
        await client.get(server.url, context=client.new_context("second"))
        result = await client.wait_for_request("second")
    assert (result.status, result.attempts) == (ResultStatus.TIMEOUT, 1)
    assert type(result.error) is httpx.PoolTimeout


async def test_a_context_replaces_all_limits_and_a_new_context_keeps_them() -> None:
    """What isn't set in a context takes its own default: 2 retries, 1 s."""
    async with AsyncResilientClient(max_retries=5, base_delay=0.1, max_delay=9.0) as client:
        by_hand, by_client = RequestContext(), client.new_context("orders", {"page": 1})
    assert (by_hand.max_retries, by_hand.base_delay) == (2, 1.0)
    assert (by_client.max_retries, by_client.base_delay, by_client.max_delay) == (5, 0.1, 9.0)
    assert (by_client.request_id, by_client.metadata) == ("orders", {"page": 1})


def test_the_table_of_bounds_has_the_defaults_of_the_client() -> None:
    """Every setting exists, and its default is the number in its row."""
    rows = {row[3]: row[1] for row in read_page("docs/limits.md").tables[0][1:] if row[3]}
    assert rows == {
        "`max_results`, `max_result_age`": "10,000, for one hour",
        "`max_result_bytes`": "64 MiB",
        "`max_response_bytes`": "none by default",
        "`max_encodings`": "1",
        "`limits`": "100, httpx's default",
        "`event_queue_size`": "1,000",
        "`max_concurrent_requests`": "none by default",
        "`grace`": "1 second each",
    }
    defaults = _defaults(AsyncResilientClient)
    assert (defaults["max_results"], defaults["max_result_age"]) == (10_000, 3600.0)
    assert defaults["max_result_bytes"] == 64 * 2**20
    assert (defaults["event_queue_size"], defaults["grace"]) == (1000, 1.0)
    assert defaults["max_concurrent_requests"] is None
    assert (defaults["max_response_bytes"], defaults["max_encodings"]) == (None, 1)
    assert _defaults(AsyncPoolTransport)["limits"].max_connections == 100


def test_the_migration_table_has_the_defaults_of_resilient_transport() -> None:
    """The options exist, and the numbers are those of the policy that it has without any."""
    policy = Resilience.connect_only().retry
    assert set(_defaults(ResilientTransport)) >= {"resilience", *_NUMBERS}
    defaults = {name: getattr(policy, name) for name in _NUMBERS}
    names = {
        name for row in read_page("docs/migrating.md").tables[1] for name in code_names(row[1])
    }
    shown = {"max_retries=2", "base_delay=1.0", "backoff_factor=2.0", "max_delay=60.0"}
    assert shown <= names
    assert {f"{name}={defaults[name]}" for name in (s.partition("=")[0] for s in shown)} == shown


def test_the_table_of_exit_codes_is_complete() -> None:
    """Every code of ``get`` has a row; 130 is the shell's own for an interrupt."""
    table = read_page("docs/usage.md").tables[-1]
    assert table[0][0] == "Exit code of `get`"
    codes = {int(code) for row in table[1:] for code in code_names(row[0])}
    assert codes == {*map(int, Exit), 130}


_NUMBERS: Final = ("max_retries", "base_delay", "backoff_factor", "max_delay")

_CLAIMS: Final = {
    "README.md": "Requires Python 3.11 or later",
    "README.fr.md": "Nécessite Python 3.11 ou plus récent",
}


@pytest.mark.parametrize("name", ["README.md", TWINS["README.md"]])
def test_the_oldest_python_is_the_one_of_the_package(name: str) -> None:
    """Both READMEs name the version that pyproject.toml requires."""
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text("utf-8")
    assert _CLAIMS[name] in (ROOT / name).read_text("utf-8")


def _defaults(kind: type) -> dict[str, Any]:
    return {name: one.default for name, one in inspect.signature(kind).parameters.items()}
