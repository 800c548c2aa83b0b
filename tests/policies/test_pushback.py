"""How long nothing is sent to a host that asked its clients to wait."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.gates import Rejected, RejectionReason
from typed_async_client.policies.hosts import Retention
from typed_async_client.policies.pushback import Pushback, PushbackState


def answer(status: int, retry_after: float | None) -> Facts:
    """Return the facts about an attempt that received a response."""
    return Facts(fault=None, sent=Sent.ANSWERED, status=status, retry_after=retry_after)


def held(seconds: float, *, at: float = 100.0, **options: Any) -> PushbackState:
    """Return the state of a host that asked for a wait."""
    state = Pushback(**options).start()
    state.report(answer(429, seconds), now=at)
    return state


@pytest.mark.parametrize(
    ("now", "random", "wait"),
    [
        (100.0, 0.0, 10.0),
        (100.0, 0.5, 11.0),
        (109.0, 0.0, 1.0),
        (109.0, 0.5, 2.0),
        (110.0, 0.5, 0.0),
        (200.0, 0.5, 0.0),
    ],
)
def test_requests_wait_until_the_server_takes_them_again(
    now: float, random: float, wait: float
) -> None:
    """Their waits end at different times, so that they don't all arrive at once."""
    assert held(10.0).admit(now, random=random) == pytest.approx(wait)


def test_a_request_that_has_waited_is_not_held_back_again() -> None:
    """Unless the server asked for another wait meanwhile."""
    state = held(10.0)
    wait = state.admit(100.0, random=0.9)
    assert isinstance(wait, float)
    assert state.admit(100.0 + wait, random=0.9) == 0.0
    state.report(answer(503, 5.0), now=111.0)
    assert state.admit(100.0 + wait, random=0.0) == pytest.approx(4.2)


@pytest.mark.parametrize(
    ("status", "retry_after", "until"),
    [
        (429, 10.0, 110.0),
        (503, 10.0, 110.0),
        (429, None, -math.inf),
        (429, 0.0, 100.0),
        (502, 10.0, -math.inf),
        (200, 10.0, -math.inf),
        (429, 3600.0, 160.0),
    ],
)
def test_only_a_server_that_asks_for_it_is_left_alone(
    status: int, retry_after: float | None, until: float
) -> None:
    """For a minute at most: what it asked for may concern one of its resources only."""
    state = Pushback().start()
    state.report(answer(status, retry_after), now=100.0)
    assert state.until == until
    assert state.admit(100.0, random=0.0) == max(0.0, until - 100.0)


def test_a_later_answer_never_shortens_a_hold() -> None:
    """Neither another wait nor a success."""
    state = held(10.0)
    state.report(answer(429, 2.0), now=101.0)
    state.report(answer(200, None), now=102.0)
    assert state.until == 110.0
    state.report(answer(429, 20.0), now=103.0)
    assert state.until == 123.0


@pytest.mark.parametrize(
    ("deadline", "expected"),
    [
        (109.0, Rejected(reason=RejectionReason.DEADLINE, retry_after=10.0)),
        (110.0, Rejected(reason=RejectionReason.DEADLINE, retry_after=10.0)),
        (112.0, 10.5),
        (200.0, 11.0),
    ],
)
def test_a_request_that_would_miss_its_deadline_is_rejected(
    deadline: float, expected: float | Rejected
) -> None:
    """The spread leaves it at least half of the time after the hold."""
    assert held(10.0).admit(100.0, random=0.5, deadline=deadline) == expected


def test_the_options_bound_the_hold_and_choose_the_statuses() -> None:
    """A spread of 0 releases all requests at once."""
    state = held(10.0, max_hold=4.0, spread=0.0, statuses={429, 529})
    assert state.admit(100.0, random=0.9) == 4.0
    state.report(answer(529, 2.0), now=103.0)
    assert state.until == 105.0
    state.report(answer(503, 3.0), now=104.0)
    assert state.until == 105.0


def test_a_state_that_holds_nothing_back_can_be_forgotten() -> None:
    """A new one would be the same."""
    state = held(10.0)
    assert state.retention(109.9) is Retention.USEFUL
    assert state.retention(110.0) is Retention.DISPOSABLE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_hold": -1}, "max_hold must be a finite number >= 0, got -1"),
        ({"spread": math.nan}, "spread must be a finite number >= 0, got nan"),
        ({"statuses": 429}, "statuses must be a collection of statuses"),
        ({"per": "world"}, "per must be one of client, host, got 'world'"),
    ],
)
def test_an_option_out_of_range_is_refused(options: dict[str, Any], message: str) -> None:
    """The message names the option and its value."""
    with pytest.raises(ValueError, match=message):
        Pushback(**options)


class PushbackMachine(RuleBasedStateMachine):
    """Compares the state with the list of everything that the server asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Pushback(max_hold=60.0, spread=0.5).start()
        self.now = 1000.0
        self.ends = [-math.inf]

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @rule(status=st.sampled_from([200, 429, 502, 503]), asked=st.none() | st.floats(0, 1e9))
    def report(self, status: int, asked: float | None) -> None:
        """Receive a response."""
        self.state.report(answer(status, asked), now=self.now)
        if asked is not None and status in {429, 503}:
            self.ends.append(self.now + min(asked, 60.0))

    @rule(random=st.floats(0, 1, exclude_max=True), seconds=st.floats(0, 100) | st.just(math.inf))
    def admit(self, random: float, seconds: float) -> None:
        """Ask for a request."""
        until, deadline = max(self.ends), self.now + seconds
        match self.state.admit(self.now, random=random, deadline=deadline):
            case Rejected(retry_after=retry_after):
                assert deadline <= until
                assert retry_after == until - self.now
            case 0.0:
                assert self.now >= until
            case wait:
                assert until - self.now <= wait <= until - self.now + 30
                assert self.now + wait <= deadline

    @invariant()
    def holds_until_the_last_end(self) -> None:
        """Whatever order the answers came in."""
        assert self.state.until == max(self.ends)


TestPushbackMachine = PushbackMachine.TestCase


@given(st.floats(0.1, 60), st.integers(2, 50))
def test_the_release_takes_a_part_of_the_hold(hold: float, count: int) -> None:
    """Requests that arrive together leave evenly spread if their random numbers are."""
    state = held(hold)
    waits = [state.admit(100.0, random=i / count) for i in range(count)]
    assert waits == pytest.approx([hold * (1 + 0.2 * i / count) for i in range(count)])
