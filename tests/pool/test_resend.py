"""When a request goes out again, and when it has been turned away often enough."""

from collections.abc import AsyncIterator
from typing import Any

import h2.events
import h2.exceptions
import httpcore
import pytest
from fake_connections import H2, A
from hyperframe.frame import GoAwayFrame, RstStreamFrame

from typed_async_client.http2.draining import FrameWatch
from typed_async_client.http2.frames import HEADERS, REFUSED_STREAM, make_frame
from typed_async_client.pool.resend import PooledRequest
from typed_async_client.pool.slot import Slot


def a_passage(method: str = "POST", content: Any = b"body") -> PooledRequest:
    """Begin the way of a request."""
    return PooledRequest(httpcore.Request(method, "https://h2.test/", content=content))


async def parts() -> AsyncIterator[bytes]:
    """Give a body that cannot be sent twice."""
    yield b"part"


def refusing(number: int, *, drains: bool) -> Slot:
    """Make a slot whose server has refused its first stream."""
    slot = Slot(H2, number, None)
    slot.watch = FrameWatch()
    slot.watch.send(make_frame(HEADERS, 0, 1, b""))
    frame = GoAwayFrame(0) if drains else RstStreamFrame(1, error_code=REFUSED_STREAM)
    slot.watch.receive(frame.serialize())
    return slot


RESET = httpcore.RemoteProtocolError(h2.events.StreamReset(stream_id=1))
CLOSED = httpcore.LocalProtocolError(h2.exceptions.StreamClosedError(1))


@pytest.mark.parametrize("error", [RESET, CLOSED], ids=["waiting", "sending"])
@pytest.mark.parametrize(("drains", "most"), [(False, 1), (True, 10)])
def test_a_refused_request_goes_out_again_as_often_as_its_connections_drain(
    error: Exception,
    drains: bool,  # noqa: FBT001 - a column of the table
    most: int,
) -> None:
    """A server that goes away may do so again; one that refuses has its reasons."""
    passage = a_passage()
    for number in range(1, most + 1):
        assert passage.fail(refusing(number, drains=drains), error, received=0) is None
        assert (passage.resends, passage.after) == (number, number)
    failure = passage.fail(refusing(most + 1, drains=drains), error, received=0)
    assert isinstance(failure, httpcore.RemoteProtocolError)
    assert (passage.resends, passage.after) == (most, most)


def test_a_refused_body_that_cannot_be_sent_twice_fails() -> None:
    """At once, however often others may go out again."""
    passage = a_passage(content=parts())
    assert passage.fail(refusing(1, drains=True), RESET, received=0) is RESET


def test_an_error_of_a_stream_that_was_not_refused_is_final() -> None:
    """It may have been processed."""
    slot = Slot(H2, 1, None)
    slot.watch = FrameWatch()
    slot.watch.receive(RstStreamFrame(1, error_code=2).serialize())
    assert a_passage().fail(slot, RESET, received=0) is RESET
    failure = a_passage().fail(slot, CLOSED, received=0)
    assert str(failure).endswith("it gave it up with error code 2")


def test_a_silent_end_repeats_an_idempotent_request_once() -> None:
    """On a connection that was used before, and gave no byte."""
    lost, slot = httpcore.ReadError(), Slot(A, 1, None)
    slot.exchanges = 2
    passage = a_passage("GET")
    assert passage.fail(slot, lost, received=1) is lost
    assert passage.fail(slot, lost, received=0) is None
    assert passage.fail(slot, lost, received=0) is lost
    assert a_passage("POST").fail(slot, lost, received=0) is lost


def test_a_request_goes_on_where_another_was_cancelled_before_a_word_was_spoken() -> None:
    """Nothing was sent on that connection, so any request may; it counts as turned away."""
    closed = h2.exceptions.ProtocolError("invalid input in state CLOSED")
    passage = a_passage(content=parts())
    for number in range(1, 11):
        assert passage.fail(Slot(H2, number, None), closed, received=0) is None
        assert (passage.after, passage.resends, passage.allow_unconnected) == (
            number,
            0,
            number < 2,
        )
    assert passage.fail(Slot(H2, 11, None), closed, received=0) is closed
    assert a_passage().fail(refusing(1, drains=False), closed, received=0) is closed


def test_a_request_that_is_turned_away_hopes_no_more_and_gives_up_in_the_end() -> None:
    """The eleventh time is too much: no loop is without an end."""
    passage, error = a_passage(), httpcore.ConnectionNotAvailable()
    assert passage.allow_unconnected
    for count in range(1, 11):
        passage.turn_away(error)
        assert passage.allow_unconnected == (count < 2)
    with pytest.raises(httpcore.ConnectError, match="11 connections"):
        passage.turn_away(error)
    assert passage.resends == 0
