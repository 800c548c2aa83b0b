"""The budget of extra requests."""

import collections
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from typed_async_client.policies.budget import BudgetState, RetryBudget
from typed_async_client.policies.hosts import Retention


def withdrawals(budget: BudgetState, now: float) -> int:
    """Withdraw until the budget refuses; return how often it didn't."""
    count = 0
    while budget.withdraw(now):
        count += 1
    return count


@pytest.mark.parametrize(
    ("requests", "expected"), [(0, 10), (4, 10), (5, 11), (100, 30), (1_000, 210)]
)
def test_a_share_of_the_requests_may_be_sent_again(requests: int, expected: int) -> None:
    """A fifth of them, and 10 in 10 seconds besides."""
    budget = RetryBudget().start()
    for _ in range(requests):
        budget.deposit(now=100.0)
    assert withdrawals(budget, now=100.5) == expected


@pytest.mark.parametrize("ratio", [0.01, 0.07, 0.1, 0.2, 0.29, 0.3, 0.7, 1.0])
def test_rounding_costs_no_retry(ratio: float) -> None:
    """A hundred requests allow a hundred times the ratio, exactly."""
    budget = RetryBudget(ratio=ratio, min_per_second=0.0).start()
    for _ in range(100):
        budget.deposit(now=0.0)
    assert withdrawals(budget, now=0.0) == round(100 * ratio)


def test_what_was_saved_up_is_spent_at_the_pace_of_the_requests() -> None:
    """A fifth of the requests of each second, and 10 more once; 210 in 10 seconds all the same."""
    budget = RetryBudget().start()
    for number in range(2_000):
        budget.deposit(now=number / 100)
    spent = []
    for second in range(20, 32):
        for _ in range(100):
            budget.deposit(now=second + 0.1)
        spent.append(withdrawals(budget, now=second + 0.5))
    assert spent == [30, 20, 20, 20, 20, 20, 20, 20, 20, 20, 30, 20]


def test_a_client_that_sends_little_may_always_retry_once_in_a_while() -> None:
    """One retry in each second, although that is more than a fifth of its requests."""
    budget = RetryBudget(min_per_second=0.0).start()
    for second in range(10):
        budget.deposit(now=float(second))
    assert [withdrawals(budget, now) for now in (9.1, 9.2, 9.3)] == [1, 0, 0]
    budget.deposit(now=10.0)
    assert withdrawals(budget, now=10.1) == 1


@pytest.mark.parametrize(("now", "expected"), [(8.9, 2), (9.9, 2), (10.0, 0), (1e9, 0)])
def test_a_request_counts_for_the_length_of_the_window(now: float, expected: int) -> None:
    """After that, its retries would no longer be a share of what is sent."""
    budget = RetryBudget(min_per_second=0.0).start()
    for _ in range(10):
        budget.deposit(now=0.5)
    assert withdrawals(budget, now) == expected


def test_what_was_withdrawn_is_available_again_after_the_window() -> None:
    """So a client that sends few requests can retry from time to time."""
    budget = RetryBudget(min_per_second=0.2).start()
    assert withdrawals(budget, now=0.0) == 2
    assert withdrawals(budget, now=9.9) == 0
    assert withdrawals(budget, now=10.0) == 2


def test_an_extra_request_that_succeeded_costs_nothing() -> None:
    """Nor one that was never sent, because its request was cancelled during the wait."""
    budget = RetryBudget(min_per_second=0.1).start()
    assert budget.withdraw(now=3.0)
    assert not budget.withdraw(now=4.0)
    budget.refund(3.0, now=5.0)
    assert budget.balance(now=5.0) == 1.0
    budget.refund(3.0, now=5.0)
    assert budget.balance(now=5.0) == 1.0


def test_what_has_been_forgotten_is_not_refunded() -> None:
    """It would count twice, or at the expense of another."""
    budget = RetryBudget(min_per_second=0.1).start()
    assert budget.withdraw(now=3.0)
    assert budget.withdraw(now=13.0)
    budget.refund(3.0, now=13.0)
    assert not budget.withdraw(now=13.5)


def test_the_balance_is_negative_while_the_deposits_were_forgotten_first() -> None:
    """A deposit can't be spent twice."""
    budget = RetryBudget(min_per_second=0.0).start()
    for _ in range(10):
        budget.deposit(now=0.0)
    assert withdrawals(budget, now=9.0) == 2
    assert budget.balance(now=10.0) == -2.0
    assert budget.balance(now=19.0) == 0.0


def test_a_clock_that_stands_still_or_goes_back_changes_nothing() -> None:
    """Everything counts as of the latest instant."""
    budget = RetryBudget(min_per_second=0.1).start()
    assert budget.withdraw(now=50.0)
    assert not budget.withdraw(now=20.0)
    budget.deposit(now=-1.0)
    assert budget.balance(now=50.0) == pytest.approx(0.2)


def test_a_full_budget_can_be_forgotten() -> None:
    """A new one would be the same, but for deposits that weren't needed so far."""
    budget = RetryBudget().start()
    budget.deposit(now=0.0)
    assert budget.retention(now=0.0) is Retention.DISPOSABLE
    assert budget.withdraw(now=0.0)
    assert budget.retention(now=9.9) is Retention.USEFUL
    assert budget.retention(now=10.0) is Retention.DISPOSABLE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": -0.1}, "ratio must be a finite number >= 0 and <= 10, got -0.1"),
        ({"ratio": 20}, "ratio must be a finite number >= 0 and <= 10, got 20"),
        ({"min_per_second": math.nan}, "min_per_second must be a finite number >= 0, got nan"),
        ({"ttl": 0.5}, "ttl must be a finite number >= 1 and <= 3600, got 0.5"),
        ({"per": "world"}, "per must be one of client, host, got 'world'"),
    ],
)
def test_an_option_out_of_range_is_refused(options: dict[str, Any], message: str) -> None:
    """The message names the option and its value."""
    with pytest.raises(ValueError, match=message):
        RetryBudget(**options)


class BudgetMachine(RuleBasedStateMachine):
    """Compares the budget with one that remembers each request with its time."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = RetryBudget(ratio=0.25, min_per_second=0.6, ttl=5.0).start()
        self.now = 1000.0
        self.deposits: list[float] = []
        self.withdrawals: list[float] = []

    def count(self, instants: list[float]) -> int:
        """Return how many of the instants are in the window of ten slices of half a second."""
        return sum(math.floor(each * 2) > math.floor(self.now * 2) - 10 for each in instants)

    @rule(seconds=st.floats(0, 2) | st.floats(0, 100))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @rule(count=st.integers(1, 9))
    def deposit(self, count: int) -> None:
        """Send requests."""
        for _ in range(count):
            self.budget.deposit(self.now)
            self.deposits.append(self.now)

    def by_slice(self, instants: list[float]) -> collections.Counter[int]:
        """Return how many of the instants are in each slice of the window."""
        slices = [math.floor(each * 2) for each in instants]
        return collections.Counter(each for each in slices if each > math.floor(self.now * 2) - 10)

    @rule(count=st.integers(1, 9))
    def withdraw(self, count: int) -> None:
        """Ask for extra requests."""
        for _ in range(count):
            balance = 3 + 0.25 * self.count(self.deposits) - self.count(self.withdrawals)
            pace = max(1.0, 0.25 * max(self.by_slice(self.deposits).values(), default=0))
            spent = self.by_slice([*self.withdrawals, self.now]).values()
            is_expected = balance >= 1 and sum(max(0.0, each - pace) for each in spent) <= 3
            assert self.budget.withdraw(self.now) is is_expected
            if is_expected:
                self.withdrawals.append(self.now)

    @precondition(lambda self: self.withdrawals)
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        """Give back what some extra request took, maybe long ago."""
        withdrawn = data.draw(st.sampled_from(self.withdrawals))
        self.budget.refund(withdrawn, now=self.now)
        self.withdrawals.remove(withdrawn)

    @invariant()
    def has_the_same_balance(self) -> None:
        """The sum of what is in the window."""
        expected = 3 + 0.25 * self.count(self.deposits) - self.count(self.withdrawals)
        assert self.budget.balance(self.now) == pytest.approx(expected)


TestBudgetMachine = BudgetMachine.TestCase


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 9)), max_size=60))
def test_extra_requests_never_exceed_the_share_and_the_reserve(
    steps: list[tuple[float, int]],
) -> None:
    """Over any time: the reserve once per window, and a fifth of all requests."""
    budget, now, requests, extra = RetryBudget().start(), 0.0, 0, 0
    for seconds, count in steps:
        now += seconds
        for _ in range(count):
            budget.deposit(now)
        requests += count
        extra += withdrawals(budget, now)
        assert extra <= 0.2 * requests + 10 * (now // 10 + 1) + 1e-6


def test_a_server_that_is_down_gets_at_most_a_quarter_more_requests() -> None:
    """It fails 1,000 requests per second for a minute, each of which could be retried twice."""
    budget = RetryBudget().start()
    first = extra = 0
    retries: collections.deque[tuple[float, int]] = collections.deque()
    for millisecond in range(60_000):
        now = millisecond / 1000
        budget.deposit(now)
        first += 1
        failed = [1]
        while retries and retries[0][0] <= now:
            failed.append(retries.popleft()[1])
        for retry in failed:
            if retry <= 2 and budget.withdraw(now):
                extra += 1
                retries.append((now + 0.5, retry + 1))
    assert first == 60_000
    assert 0.19 * first < extra <= 0.2 * first + 60


def test_three_clients_behind_each_other_multiply_their_requests_by_less_than_two() -> None:
    """Without budgets, each request would reach the last server 27 times."""
    budgets = [RetryBudget().start() for _ in range(3)]
    sent = [0, 0, 0]

    def send(layer: int, now: float) -> None:
        budgets[layer].deposit(now)
        for attempt in range(3):
            if attempt and not budgets[layer].withdraw(now):
                return
            sent[layer] += 1
            if layer + 1 < len(budgets):
                send(layer + 1, now)

    for millisecond in range(0, 10_000, 10):
        send(0, millisecond / 1000)
    assert sent[2] <= 1000 * 1.25**3
