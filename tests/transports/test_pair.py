"""The transports behind both kinds of client."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import httpx
import pytest
from entered_transport import Entered

from typed_async_client import (
    AsyncPoolTransport,
    HSTSTransport,
    HTTPSOnlyTransport,
    Resilience,
    ResilientTransport,
)
from typed_async_client.transports.pair import (
    TransportPair,
    WrappingTransport,
    may_send_before_failing,
)


class SyncOnly(httpx.BaseTransport):
    """A synchronous transport that counts how often it is closed."""

    closed = 0

    def close(self) -> None:
        """Count the call."""
        self.closed += 1


class AsyncOnly(httpx.AsyncBaseTransport):
    """An asynchronous transport that counts how often it is closed."""

    closed = 0

    async def aclose(self) -> None:
        """Count the call."""
        self.closed += 1


class Both(SyncOnly, AsyncOnly):
    """A transport of both kinds, as ``httpx.MockTransport`` is."""


def test_a_transport_of_both_kinds_serves_both() -> None:
    """Both kinds of client use the wrapped object itself."""
    both = Both()
    pair = TransportPair(both)
    assert pair.sync_transport is both
    assert pair.async_transport is both


def test_a_synchronous_transport_refuses_an_asynchronous_client() -> None:
    """The error says what was wrapped, what it supports, and what to wrap instead."""
    pair = TransportPair(SyncOnly())
    assert isinstance(pair.sync_transport, SyncOnly)
    with pytest.raises(
        TypeError, match=r"SyncOnly only supports httpx\.Client,.*AsyncPoolTransport\(\)"
    ):
        _ = pair.async_transport


def test_an_asynchronous_transport_refuses_a_synchronous_client() -> None:
    """The same, the other way round."""
    pair = TransportPair(AsyncOnly())
    assert isinstance(pair.async_transport, AsyncOnly)
    with pytest.raises(
        TypeError, match=r"only supports httpx\.AsyncClient,.*httpx\.HTTPTransport\("
    ):
        _ = pair.sync_transport


def test_policies_in_the_place_of_a_transport_are_told_apart() -> None:
    """They have an option of their own."""
    with pytest.raises(TypeError, match=r"; pass policies as resilience=$"):
        ResilientTransport(Resilience.standard())  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("wrong", [httpx.HTTPTransport, "https://example.org", object()])
def test_anything_but_a_transport_is_refused_on_construction(wrong: Any) -> None:
    """Passing the class instead of an instance is a common mistake."""
    with pytest.raises(TypeError, match="expected an httpx transport"):
        TransportPair(wrong)


async def test_each_default_is_created_once_and_closed() -> None:
    """Synchronous clients get httpx's own transport, asynchronous ones our pool."""
    pair = TransportPair()
    assert isinstance(pair.sync_transport, httpx.HTTPTransport)
    assert isinstance(pair.async_transport, AsyncPoolTransport)
    assert pair.sync_transport is pair.sync_transport
    assert pair.async_transport is pair.async_transport
    pair.close()
    await pair.aclose()


def test_concurrent_threads_share_one_default() -> None:
    """A second pool would be left open when the first is closed."""
    pair = TransportPair()
    with ThreadPoolExecutor(8) as threads:
        seen = set(threads.map(lambda _: pair.sync_transport, range(32)))
    assert seen == {pair.sync_transport}
    pair.close()


@pytest.mark.parametrize(
    ("transport", "expected"), [(SyncOnly(), 1), (AsyncOnly(), 1), (Both(), 2)]
)
async def test_closing_closes_the_transports_that_exist(
    transport: SyncOnly | AsyncOnly, expected: int
) -> None:
    """``close`` and ``aclose`` each close the transport of their kind, if there is one."""
    pair = TransportPair(transport)
    pair.close()
    await pair.aclose()
    assert transport.closed == expected


async def test_an_unused_default_is_not_created_on_close() -> None:
    """Creating one loads the system's certificates, which takes a while."""
    pair = TransportPair()
    pair.close()
    await pair.aclose()
    assert pair._sync is None
    assert pair._async is None


# Entering and leaving


def nested(transport: httpx.BaseTransport) -> WrappingTransport:
    """Wrap a transport twice."""
    return ResilientTransport(HSTSTransport(transport))


each_wrapper = pytest.mark.parametrize(
    "wrap", [ResilientTransport, HSTSTransport, HTTPSOnlyTransport, nested]
)


@each_wrapper
def test_a_synchronous_client_enters_and_leaves_what_is_wrapped(wrap: Any) -> None:
    """With the exception that ends its ``with``."""
    wrapped = Entered()
    with (
        contextlib.suppress(KeyError),
        httpx.Client(transport=wrap(wrapped)) as client,
    ):
        client.get("https://a.test/")
        raise KeyError("k")
    assert wrapped.calls == ["enter", "exit with KeyError('k')"]


@each_wrapper
async def test_an_asynchronous_client_enters_and_leaves_what_is_wrapped(wrap: Any) -> None:
    """With the exception that ends its ``async with``."""
    wrapped = Entered()
    with contextlib.suppress(KeyError):
        async with httpx.AsyncClient(transport=wrap(wrapped)) as client:
            await client.get("https://a.test/")
            raise KeyError("k")
    assert wrapped.calls == ["aenter", "aexit with KeyError('k')"]


@each_wrapper
async def test_a_wrapper_that_was_not_entered_closes_what_is_wrapped(wrap: Any) -> None:
    """Each way of closing is passed on."""
    wrapped = Entered()
    wrap(wrapped).close()
    await wrap(wrapped).aclose()
    assert wrapped.calls == ["close", "aclose"]


@pytest.mark.parametrize("is_own", [True, False], ids=["__aexit__ of a subclass", "stock"])
async def test_a_sheltered_transport_is_entered_and_left(is_own: bool) -> None:  # noqa: FBT001 - a column of the table
    """A subclass is left by the task that entered it."""
    tasks: list[object] = []

    class Own(httpx.AsyncHTTPTransport):
        async def __aenter__(self) -> Self:
            tasks.append(asyncio.current_task())
            return self

        async def __aexit__(self, *exc_info: object) -> None:
            tasks.append(asyncio.current_task())
            await self.aclose()

    transport = Own() if is_own else httpx.AsyncHTTPTransport()
    async with ResilientTransport(transport):
        pass
    assert tasks == ([asyncio.current_task()] * 2 if is_own else [])


# Whether a request may have been processed when the connection seems to have failed


class CustomASGITransport(httpx.ASGITransport):
    """A user's subclass for in-process applications."""


def application(*_: Any) -> Any:
    """Stand in for an application."""


IN_PROCESS = [
    httpx.ASGITransport(application),
    httpx.WSGITransport(application),
    CustomASGITransport(application),
]


@pytest.mark.parametrize("transport", IN_PROCESS)
def test_an_in_process_application_may_have_processed_the_request(transport: Any) -> None:
    """Whatever error it raises, and however often the transport is wrapped."""
    assert may_send_before_failing(transport)
    assert may_send_before_failing(WrappingTransport(WrappingTransport(transport)))


@pytest.mark.parametrize(
    "transport", [None, SyncOnly(), AsyncOnly(), httpx.HTTPTransport(), AsyncPoolTransport()]
)
def test_a_failed_connection_to_a_server_has_sent_nothing(transport: Any) -> None:
    """Such a request can always be sent again."""
    assert not may_send_before_failing(transport)
    assert not may_send_before_failing(WrappingTransport(transport))


def test_our_own_pool_is_used_without_a_shelter() -> None:
    """It survives cancellations by itself, although it is an ``httpx.AsyncHTTPTransport``."""
    pool = AsyncPoolTransport()
    assert TransportPair(pool).async_transport is pool
    assert TransportPair(httpx.AsyncHTTPTransport()).async_transport is not pool
