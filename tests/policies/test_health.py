"""What an attempt shows about the server."""

import pytest

from typed_async_client.policies.classify import Fault
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.health import Health, health_of


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, Health.OK),
        (200, Health.OK),
        (304, Health.OK),
        (404, Health.OK),
        (408, Health.OK),
        (421, Health.OK),
        (429, Health.THROTTLED),
        (500, Health.FAILING),
        (502, Health.FAILING),
        (503, Health.OVERLOADED),
        (504, Health.OVERLOADED),
        (529, Health.OVERLOADED),
    ],
)
def test_a_status_shows_how_the_server_is(status: int | None, expected: Health) -> None:
    """An error of the client's doesn't count against it."""
    facts = Facts(fault=None, sent=Sent.ANSWERED, status=status)
    assert health_of(facts) is expected


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.CONNECT, Health.FAILING),
        (Fault.CONNECT_LATER, Health.UNKNOWN),
        (Fault.UNREACHABLE, Health.FAILING),
        (Fault.TIMEOUT, Health.OVERLOADED),
        (Fault.LOST, Health.FAILING),
        (Fault.OTHER, Health.UNKNOWN),
    ],
)
def test_a_fault_shows_how_the_server_is(fault: Fault, expected: Health) -> None:
    """Even after a response with a good status began."""
    assert health_of(Facts(fault=fault, sent=Sent.UNANSWERED)) is expected
    assert health_of(Facts(fault=fault, sent=Sent.ANSWERED, status=200)) is expected


@pytest.mark.parametrize("fault", [None, *Fault])
def test_local_trouble_is_never_held_against_the_server(fault: Fault | None) -> None:
    """A full pool, a refusal by a policy, a deadline, a cancellation."""
    facts = Facts(fault=fault, sent=Sent.NOTHING, status=503, local=True)
    assert health_of(facts) is Health.UNKNOWN


def test_a_connection_that_is_drained_is_no_failure() -> None:
    """The server closes it in good order, and says what it hasn't processed."""
    assert health_of(Facts(fault=Fault.LOST, sent=Sent.UNPROCESSED)) is Health.UNKNOWN


def test_circuits_and_limits_count_different_things() -> None:
    """A throttling server works; a failing one needn't be overloaded."""
    assert {health for health in Health if health.is_failure} == {
        Health.FAILING,
        Health.OVERLOADED,
    }
    assert {health for health in Health if health.is_overload} == {
        Health.THROTTLED,
        Health.OVERLOADED,
    }
