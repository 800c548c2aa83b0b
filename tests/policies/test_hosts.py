"""The states of a bounded number of hosts."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.hosts import Hosts, Retention, scope_key


class State:
    """A state whose retention a test sets."""

    def __init__(self) -> None:
        self.kept = Retention.DISPOSABLE
        self.until = float("inf")

    def retention(self, now: float) -> Retention:
        """Return what the test has set, until the time it has set."""
        return self.kept if now < self.until else Retention.DISPOSABLE


def hosts_with(keys: Iterable[str], *, max_hosts: int, **kept: Retention) -> Hosts[State]:
    """Return hosts that were used in the order of their keys."""
    hosts = Hosts(State, max_hosts=max_hosts)
    for key in keys:
        hosts.at(key, now=0.0).kept = kept.get(key, Retention.DISPOSABLE)
    return hosts


def keys_of(hosts: Hosts[State]) -> str:
    """Return the keys, those used least recently first; each is one letter."""
    return "".join(str(key) for key, _ in hosts)


def test_a_host_keeps_its_state() -> None:
    """Another has its own."""
    hosts = Hosts(State)
    state = hosts.at("a", now=0.0)
    assert hosts.at("a", now=1.0) is state
    assert hosts.at("b", now=1.0) is not state
    assert len(hosts) == 2


def test_the_host_used_least_recently_is_forgotten() -> None:
    """Using a host counts, looking at all of them doesn't."""
    hosts = hosts_with("abc", max_hosts=3)
    hosts.at("a", now=0.0)
    assert keys_of(hosts) == "bca"
    hosts.at("d", now=0.0)
    assert keys_of(hosts) == "cad"


def test_a_host_in_use_is_never_forgotten() -> None:
    """Even if the limit is exceeded as long as all are."""
    hosts = hosts_with("ab", max_hosts=2, a=Retention.REQUIRED, b=Retention.REQUIRED)
    hosts.at("c", now=0.0).kept = Retention.REQUIRED
    assert sorted(keys_of(hosts)) == ["a", "b", "c"]
    for _, state in hosts:
        state.kept = Retention.DISPOSABLE
    hosts.at("d", now=0.0)
    assert len(hosts) == 2


def test_what_was_learnt_is_kept_longer() -> None:
    """A host whose state is as good as new is forgotten first, although it was used later."""
    hosts = hosts_with("abc", max_hosts=3, a=Retention.USEFUL, b=Retention.USEFUL)
    hosts.at("d", now=0.0).kept = Retention.USEFUL
    assert keys_of(hosts) == "abd"
    hosts.at("e", now=0.0)
    assert keys_of(hosts) == "bde"


def test_what_was_learnt_may_become_useless() -> None:
    """The time decides."""
    hosts = hosts_with("abc", max_hosts=3, a=Retention.USEFUL, b=Retention.USEFUL)
    dict(hosts)["b"].until = 10.0
    hosts.at("c", now=0.0).kept = Retention.USEFUL
    hosts.at("d", now=10.0)
    assert keys_of(hosts) == "acd"


def test_hosts_in_use_do_not_hide_the_others() -> None:
    """They count as used now, so the next eviction looks past them."""
    hosts = Hosts(State, max_hosts=40)
    for number in range(40):
        in_use = number < 39
        hosts.at(number, now=0.0).kept = Retention.REQUIRED if in_use else Retention.DISPOSABLE
    for number in range(40, 43):
        hosts.at(number, now=0.0).kept = Retention.REQUIRED
    assert 39 not in dict(hosts)
    assert len(hosts) == 42


def test_a_scope_decides_which_hosts_share_a_state() -> None:
    """For the client there is one, whatever the origin."""
    assert scope_key("host", "https://a.test") == "https://a.test"
    assert scope_key("client", "https://a.test") == scope_key("client", "https://b.test")


def test_at_least_one_host_is_remembered() -> None:
    """The message names the value."""
    with pytest.raises(ValueError, match=r"^max_hosts must be an integer >= 1, got 0$"):
        Hosts(State, max_hosts=0)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(Retention))),
    st.integers(min_value=1, max_value=20),
)
def test_the_limit_is_exceeded_only_by_hosts_in_use(
    uses: list[tuple[int, Retention]], max_hosts: int
) -> None:
    """And none of those is ever forgotten."""
    hosts = Hosts(State, max_hosts=max_hosts)
    in_use: dict[int, State] = {}
    most_in_use = 0
    for key, kept in uses:
        state = hosts.at(key, now=0.0)
        assert in_use.get(key, state) is state
        state.kept = kept
        in_use.pop(key, None)
        if kept is Retention.REQUIRED:
            in_use[key] = state
        most_in_use = max(most_in_use, len(in_use))
        assert len(hosts) <= max_hosts + most_in_use
    assert in_use.items() <= dict(hosts).items()
