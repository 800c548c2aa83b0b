"""When a request is resent on another connection, and when it fails instead."""

from collections.abc import AsyncIterator
from typing import Any

import h2.events
import h2.exceptions
import httpcore
import pytest
from fake_connections import H2, A, FakeStream
from hyperframe.frame import GoAwayFrame, RstStreamFrame

from typed_async_client.http2.draining import FrameFilter
from typed_async_client.http2.frames import HEADERS, REFUSED_STREAM, make_frame
from typed_async_client.pool.resend import PooledRequest
from typed_async_client.pool.slot import Slot


def pooled_request(method: str = "POST", content: Any = b"body") -> PooledRequest:
    """Build a request as the pool handles it."""
    return PooledRequest(httpcore.Request(method, "https://h2.test/", content=content))


async def parts() -> AsyncIterator[bytes]:
    """Yield a body that can't be sent again."""
    yield b"part"


def refusing_slot(number: int, *, drains: bool) -> Slot:
    """Build a slot whose server has refused its first stream."""
    slot = Slot((H2, ""), number, None)
    slot.frame_filter = FrameFilter()
    slot.frame_filter.send(make_frame(HEADERS, 0, 1, b""))
    frame = GoAwayFrame(0) if drains else RstStreamFrame(1, error_code=REFUSED_STREAM)
    slot.frame_filter.receive(frame.serialize())
    return slot


def reused_slot(*, written: int = 9) -> Slot:
    """Build a slot with a second exchange, for which so many bytes were written."""
    slot, stream = Slot((A, ""), 1, None), FakeStream()
    slot.exchanges, slot.layers, stream.written = 2, [stream], written
    return slot


RESET = httpcore.RemoteProtocolError(h2.events.StreamReset(stream_id=1))
CLOSED = httpcore.LocalProtocolError(h2.exceptions.StreamClosedError(1))


@pytest.mark.parametrize("error", [RESET, CLOSED], ids=["waiting", "sending"])
@pytest.mark.parametrize(("drains", "limit"), [(False, 1), (True, 10)])
def test_a_refused_request_is_resent_more_often_if_its_connections_drain(
    error: Exception,
    drains: bool,  # noqa: FBT001 - a column of the table
    limit: int,
) -> None:
    """A server that shuts down may do so again; one that refuses a stream isn't asked again."""
    pooled = pooled_request()
    for number in range(1, limit + 1):
        assert (
            pooled.record_failure(
                refusing_slot(number, drains=drains), error, received=0, written=0
            )
            is None
        )
        assert (pooled.refusals, pooled.failed_slot) == (number, number)
    failure = pooled.record_failure(
        refusing_slot(limit + 1, drains=drains), error, received=0, written=0
    )
    assert isinstance(failure, httpcore.RemoteProtocolError)
    assert (pooled.refusals, pooled.failed_slot) == (limit, limit)


def test_a_refused_request_whose_body_cannot_be_sent_again_fails() -> None:
    """Immediately, even if the connection is draining."""
    pooled = pooled_request(content=parts())
    assert (
        pooled.record_failure(refusing_slot(1, drains=True), RESET, received=0, written=0) is RESET
    )


def test_a_request_whose_stream_was_not_refused_is_not_resent() -> None:
    """The server may have processed it."""
    slot = Slot((H2, ""), 1, None)
    slot.frame_filter = FrameFilter()
    slot.frame_filter.receive(RstStreamFrame(1, error_code=2).serialize())
    assert pooled_request().record_failure(slot, RESET, received=0, written=0) is RESET
    failure = pooled_request().record_failure(slot, CLOSED, received=0, written=0)
    assert str(failure).endswith("reset the stream with error code 2")


def test_an_idempotent_request_without_any_response_is_resent_once() -> None:
    """If the connection was reused, and not a byte was received for the request."""
    lost, slot = httpcore.ReadError(), reused_slot()
    pooled = pooled_request("GET")
    assert pooled.record_failure(slot, lost, received=1, written=0) is lost
    assert pooled.record_failure(slot, lost, received=0, written=0) is None
    assert pooled.record_failure(slot, lost, received=0, written=0) is lost
    assert pooled_request("POST").record_failure(slot, lost, received=0, written=0) is lost


def test_a_request_is_resent_if_a_cancelled_one_closed_its_unused_connection() -> None:
    """Nothing was sent, so any request may be resent; it counts as an unavailable connection."""
    closed = h2.exceptions.ProtocolError("invalid input in state CLOSED")
    pooled = pooled_request(content=parts())
    for number in range(1, 11):
        assert (
            pooled.record_failure(Slot((H2, ""), number, None), closed, received=0, written=0)
            is None
        )
        assert (pooled.failed_slot, pooled.resends, pooled.allow_unconnected) == (
            number,
            0,
            number < 2,
        )
    assert pooled.record_failure(Slot((H2, ""), 11, None), closed, received=0, written=0) is closed
    assert (
        pooled_request().record_failure(
            refusing_slot(1, drains=False), closed, received=0, written=0
        )
        is closed
    )


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
