"""When a request is resent on another connection, and when it fails instead."""

from collections.abc import AsyncIterator
from typing import Any

import httpcore
import pytest
from fake_connections import H2, A, FakeConnection, FakeStream

from typed_async_client.http2.errors import ConnectionFullError, UnprocessedError
from typed_async_client.pool.resend import PooledRequest
from typed_async_client.pool.slot import Slot
from typed_async_client.wire.messages import STARTED


def pooled_request(method: str = "POST", content: Any = b"body") -> PooledRequest:
    """Build a request as the pool handles it."""
    return PooledRequest(httpcore.Request(method, "https://h2.test/", content=content))


async def parts() -> AsyncIterator[bytes]:
    """Yield a body that can't be sent again."""
    yield b"part"


def shared_slot(number: int, *, drains: bool = False) -> Slot:
    """Build a slot that speaks HTTP/2."""
    slot = Slot((H2, ""), number, None)
    slot.connection = FakeConnection(slot)
    slot.connection.connect(speaks_h2=True)
    slot.http2.is_draining = drains
    return slot


def reused_slot(*, written: int = 9) -> Slot:
    """Build a slot with a second exchange, for which so many bytes were written."""
    slot, stream = Slot((A, ""), 1, None), FakeStream()
    slot.connection = FakeConnection(slot)
    slot.exchanges, slot.layers, stream.written = 2, [stream], written
    return slot


def unprocessed(*, is_body_untouched: bool = False, is_graceful: bool = False) -> UnprocessedError:
    """Build the error of a request that the server hasn't processed."""
    error = UnprocessedError("the server refused the stream without processing it")
    error.is_body_untouched = is_body_untouched
    error.is_graceful = is_graceful
    return error


@pytest.mark.parametrize(("drains", "limit"), [(False, 1), (True, 10)])
def test_a_refused_request_is_resent_more_often_if_its_connections_drain(
    drains: bool,  # noqa: FBT001 - a column of the table
    limit: int,
) -> None:
    """A server that shuts down may do so again; one that refuses a stream isn't asked again."""
    pooled = pooled_request()
    for number in range(1, limit + 1):
        slot = shared_slot(number, drains=drains)
        error = unprocessed(is_graceful=drains)
        assert pooled.record_failure(slot, error, received=0, written=0) is None
        assert (pooled.refusals, pooled.failed_slot) == (number, number)
    slot = shared_slot(limit + 1, drains=drains)
    failure = pooled.record_failure(slot, unprocessed(is_graceful=drains), received=0, written=0)
    assert type(failure) is httpcore.RemoteProtocolError
    assert (pooled.refusals, pooled.failed_slot) == (limit, limit)


def test_a_refused_request_whose_body_was_begun_and_cannot_be_sent_again_fails() -> None:
    """Immediately, even if the connection is draining."""
    pooled, slot = pooled_request(content=parts()), shared_slot(1, drains=True)
    failure = pooled.record_failure(slot, unprocessed(), received=0, written=0)
    assert type(failure) is httpcore.RemoteProtocolError


def test_a_refused_request_whose_body_was_not_begun_is_resent() -> None:
    """Whatever its body is."""
    pooled, slot = pooled_request(content=parts()), shared_slot(1)
    error = unprocessed(is_body_untouched=True)
    assert pooled.record_failure(slot, error, received=0, written=0) is None


def test_a_request_whose_stream_was_reset_is_not_resent() -> None:
    """The server may have processed it."""
    reset = httpcore.RemoteProtocolError("the server reset the stream")
    pooled = pooled_request()
    vars(pooled.request)[STARTED] = True
    assert pooled.record_failure(shared_slot(1), reset, received=0, written=0) is reset


def test_an_idempotent_request_without_any_response_is_resent_once() -> None:
    """If the connection was reused, and not a byte was received for the request."""
    lost, slot = httpcore.ReadError(), reused_slot()
    pooled = pooled_request("GET")
    assert pooled.record_failure(slot, lost, received=1, written=0) is lost
    assert pooled.record_failure(slot, lost, received=0, written=0) is None
    assert pooled.record_failure(slot, lost, received=0, written=0) is lost
    assert pooled_request("POST").record_failure(slot, lost, received=0, written=0) is lost


def test_a_full_connection_is_not_counted_as_one_that_closes() -> None:
    """But after two, no more connections are joined that may turn out to be full as well."""
    pooled = pooled_request()
    for count in range(1, 50):
        pooled.record_unavailable(ConnectionFullError())
        assert pooled.allow_unconnected == (count < 2)


def test_a_request_fails_after_eleven_unavailable_connections() -> None:
    """After two, it no longer joins connections that aren't established."""
    pooled, error = pooled_request(), httpcore.ConnectionNotAvailable()
    assert pooled.allow_unconnected
    for count in range(1, 11):
        pooled.record_unavailable(error)
        assert pooled.allow_unconnected == (count < 2)
    with pytest.raises(httpcore.ConnectError, match="11 connections"):
        pooled.record_unavailable(error)
    assert pooled.resends == 0
