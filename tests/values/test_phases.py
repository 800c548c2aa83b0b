"""What the trace of an attempt tells: how long each phase took, and what cancelling it would cost."""

import pytest

from typed_async_client.attempts import Attempt
from typed_async_client.phases import trace_phases
from typed_async_client.sent import SentLog

SENDING = [
    "connection.connect_tcp.started",
    "connection.connect_tcp.complete",
    "http11.send_request_headers.started",
    "http11.send_request_headers.complete",
    "http11.send_request_body.started",
]
SENT = [*SENDING, "http11.send_request_body.complete"]
WAITING = [*SENT, "http11.receive_response_headers.started"]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], False),
        (SENDING, False),
        (SENT, False),
        (WAITING, True),
        ([*WAITING, "http11.receive_response_headers.complete"], True),
        ([*WAITING, "http11.receive_response_body.started"], True),
        ([*SENDING, "http11.receive_response_headers.started"], False),  # while it is uploaded
        ([*WAITING, "connection.connect_tcp.started"], False),  # a redirect, or sent again
        ([*WAITING, "http11.response_closed.started"], True),
        ([name.replace("http11", "http2") for name in WAITING], True),
    ],
)
def test_cancelling_costs_the_connection_if_only_the_response_is_missing(
    events: list[str], *, expected: bool
) -> None:
    """Otherwise it hasn't been sent as a whole, and letting it go on would cost more."""
    attempt = Attempt(1, phases={})
    trace = trace_phases(attempt, None, SentLog(), is_async=False)
    for name in events:
        trace(name, {})
    assert attempt.closes_if_cut is expected


def test_phases_are_added_up_and_the_trace_of_the_caller_is_called() -> None:
    """An attempt may connect and send more than once."""
    attempt, seen = Attempt(1, phases={}), list[str]()
    log = SentLog()
    trace = trace_phases(attempt, lambda name, _: seen.append(name), log, is_async=False)
    for name in SENDING[:2]:
        trace(name, {})
    assert log.has_sent_nothing
    for name in WAITING[2:]:
        trace(name, {})
    assert not log.has_sent_nothing
    assert seen == WAITING
    assert attempt.phases is not None
    assert list(attempt.phases) == ["connect", "send"]
