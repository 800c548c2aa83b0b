"""One transport behind both kinds of client."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncPoolTransport
from typed_async_client.transports.pair import (
    TransportPair,
    WrappingTransport,
    may_send_before_failing,
)


class Plain(httpx.BaseTransport):
    """A transport of the plain kind that counts its closings."""

    closed = 0

    def close(self) -> None:
        """Count."""
        self.closed += 1


class Asynchronous(httpx.AsyncBaseTransport):
    """The same of the other kind."""

    closed = 0

    async def aclose(self) -> None:
        """Count."""
        self.closed += 1


class Both(Plain, Asynchronous):
    """A transport of both kinds, as ``httpx.MockTransport`` is."""


def test_a_transport_of_both_kinds_serves_both() -> None:
    """Each kind of client gets the very object that was wrapped."""
    both = Both()
    pair = TransportPair(both)
    assert pair.plain is both
    assert pair.asynchronous is both


def test_a_plain_transport_refuses_an_asynchronous_client() -> None:
    """The error tells what was wrapped, whom it serves, and what to wrap in its place."""
    pair = TransportPair(Plain())
    assert isinstance(pair.plain, Plain)
    with pytest.raises(
        TypeError, match=r"Plain serves httpx\.Client alone.*AsyncPoolTransport\(\)"
    ):
        _ = pair.asynchronous


def test_an_asynchronous_transport_refuses_a_plain_client() -> None:
    """The same the other way round."""
    pair = TransportPair(Asynchronous())
    assert isinstance(pair.asynchronous, Asynchronous)
    with pytest.raises(TypeError, match=r"serves httpx\.AsyncClient alone.*httpx\.HTTPTransport\("):
        _ = pair.plain


@pytest.mark.parametrize("wrong", [httpx.HTTPTransport, "https://example.org", object()])
def test_what_is_no_transport_is_refused_at_once(wrong: Any) -> None:
    """A class in place of an instance is the usual slip."""
    with pytest.raises(TypeError, match="expected a transport of httpx"):
        TransportPair(wrong)


async def test_each_default_is_made_once_and_closed() -> None:
    """A plain client gets httpx's own transport, an asynchronous one the pool."""
    pair = TransportPair()
    assert isinstance(pair.plain, httpx.HTTPTransport)
    assert isinstance(pair.asynchronous, AsyncPoolTransport)
    assert pair.plain is pair.plain
    assert pair.asynchronous is pair.asynchronous
    pair.close()
    await pair.aclose()


def test_threads_that_ask_at_once_share_one_default() -> None:
    """A second pool would be left open by the close of the first."""
    pair = TransportPair()
    with ThreadPoolExecutor(8) as threads:
        seen = set(threads.map(lambda _: pair.plain, range(32)))
    assert seen == {pair.plain}
    pair.close()


@pytest.mark.parametrize(
    ("transport", "closings"), [(Plain(), 1), (Asynchronous(), 1), (Both(), 2)]
)
async def test_closing_closes_the_kinds_that_exist(
    transport: Plain | Asynchronous, closings: int
) -> None:
    """Each kind of close reaches the transport of its kind, and passes over one that is not there."""
    pair = TransportPair(transport)
    pair.close()
    await pair.aclose()
    assert transport.closed == closings


async def test_a_default_that_nobody_asked_for_is_not_made_to_be_closed() -> None:
    """Making one reads the certificates of the system, which takes a while."""
    pair = TransportPair()
    pair.close()
    await pair.aclose()
    assert pair._plain is None
    assert pair._asynchronous is None


# Whether a failed connection may come after a request was processed


class Application(httpx.ASGITransport):
    """An application in this process, of somebody's own kind."""


def serve(*_: Any) -> Any:
    """Stand for an application."""


IN_PROCESS = [httpx.ASGITransport(serve), httpx.WSGITransport(serve), Application(serve)]


@pytest.mark.parametrize("transport", IN_PROCESS)
def test_an_application_in_this_process_may_have_processed_a_request(transport: Any) -> None:
    """However it fails, and however often it is wrapped."""
    assert may_send_before_failing(transport)
    assert may_send_before_failing(WrappingTransport(WrappingTransport(transport)))


@pytest.mark.parametrize(
    "transport", [None, Plain(), Asynchronous(), httpx.HTTPTransport(), AsyncPoolTransport()]
)
def test_a_connection_that_failed_elsewhere_has_sent_nothing(transport: Any) -> None:
    """Such a request may always be sent again."""
    assert not may_send_before_failing(transport)
    assert not may_send_before_failing(WrappingTransport(transport))
