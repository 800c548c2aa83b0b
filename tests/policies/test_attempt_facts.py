"""What is known about one attempt."""

import pytest

from typed_async_client.policies.classify import Fault
from typed_async_client.policies.facts import Facts, Sent


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (Facts(fault=Fault.CONNECT, sent=Sent.NOTHING), False),
        (Facts(fault=Fault.TIMEOUT, sent=Sent.NOTHING), False),
        (Facts(fault=Fault.CONNECT_LATER, sent=Sent.NOTHING), True),
        (Facts(fault=Fault.CONNECT_LATER, sent=Sent.ANSWERED), True),
        (Facts(fault=Fault.TIMEOUT, sent=Sent.UNANSWERED), True),
        (Facts(fault=Fault.LOST, sent=Sent.UNANSWERED), True),
        (Facts(fault=Fault.LOST, sent=Sent.ANSWERED), True),
        (Facts(fault=Fault.LOST, sent=Sent.UNPROCESSED), False),
        (Facts(fault=None, sent=Sent.UNPROCESSED, status=503), False),
        (Facts(fault=None, sent=Sent.ANSWERED, status=200), True),
        (Facts(fault=None, sent=Sent.ANSWERED, status=408), True),
        (Facts(fault=None, sent=Sent.ANSWERED, status=503), True),
        (Facts(fault=None, sent=Sent.ANSWERED, status=421), False),
        (Facts(fault=None, sent=Sent.ANSWERED, status=425), False),
        (Facts(fault=None, sent=Sent.ANSWERED, status=429), False),
        (Facts(fault=Fault.LOST, sent=Sent.ANSWERED, status=429), False),
    ],
)
def test_what_the_server_may_have_processed_follows_from_what_was_sent(
    facts: Facts, *, expected: bool
) -> None:
    """Unless the server said that it hasn't processed it, even in a response that was cut short."""
    assert facts.may_have_been_processed is expected
