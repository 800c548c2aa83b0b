"""The addresses of hosts that are remembered: tables, and a model that hypothesis compares with."""

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.dns_cache import CachedAddresses, DnsCache, Remembered

HOST = "api.test"


def cache(**options: Any) -> CachedAddresses[str]:
    """Return an empty cache."""
    return CachedAddresses(DnsCache(**options))


def addresses_of(known: CachedAddresses[str], host: str = HOST, now: float = 0.0) -> str:
    """Return the remembered addresses, one letter each; empty if there are none."""
    remembered = known.find(host, now)
    return "" if remembered is None else "".join(remembered.addresses)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ttl": 0}, "ttl must be a finite number > 0, got 0"),
        ({"ttl": math.nan}, "ttl must be a finite number > 0, got nan"),
        ({"ttl": math.inf}, "ttl must be a finite number > 0, got inf"),
        ({"ttl": True}, "ttl must be"),
        ({"ttl": "300"}, "ttl must be"),
        ({"max_hosts": 0}, "max_hosts must be an integer >= 1, got 0"),
        ({"max_hosts": True}, "max_hosts must be an integer"),
        ({"stale": -1}, "stale must be a finite number >= 0, got -1"),
    ],
)
def test_a_value_out_of_range_is_refused(options: Any, words: str) -> None:
    """The message names the option and the value."""
    with pytest.raises(ValueError, match=words):
        DnsCache(**options)


def test_the_options_are_frozen() -> None:
    """Several transports may share them."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        DnsCache().ttl = 1.0  # type: ignore[misc]  # that is the point


def test_an_unknown_host_has_to_be_looked_up() -> None:
    """There is nothing to serve."""
    assert cache().find(HOST, 0.0) is None


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (0.0, Remembered(("a", "b"))),
        (9.9, Remembered(("a", "b"))),
        (10.0, Remembered(("a", "b"), needs_refresh=True)),
        (14.9, Remembered(("a", "b"), needs_refresh=True)),
        (15.0, None),
        (99.0, None),
    ],
)
def test_an_answer_is_fresh_then_stale_then_forgotten(
    now: float, expected: Remembered[str] | None
) -> None:
    """The boundary instants belong to the later period."""
    known = cache(ttl=10.0, stale=5.0)
    known.store(HOST, ["a", "b"], now=0.0)
    assert known.find(HOST, now) == expected
    assert len(known) == (expected is not None)


def test_an_expired_answer_is_forgotten_at_once_without_a_stale_window() -> None:
    """With ``stale=0`` nobody gets it."""
    known = cache(ttl=10.0, stale=0.0)
    known.store(HOST, ["a"], now=0.0)
    assert known.find(HOST, 10.0) is None


def test_one_caller_refreshes_a_stale_answer() -> None:
    """If its lookup fails, another caller tries again, half a minute later at the earliest."""
    known = cache(ttl=100.0, stale=100.0)
    known.store(HOST, ["a"], now=0.0)
    assert known.find(HOST, 110.0) == Remembered(("a",), needs_refresh=True)
    assert known.find(HOST, 110.0) == Remembered(("a",))
    assert known.find(HOST, 139.9) == Remembered(("a",))
    assert known.find(HOST, 140.0) == Remembered(("a",), needs_refresh=True)


def test_a_refresh_is_tried_again_sooner_if_answers_are_short_lived() -> None:
    """After their own ttl."""
    known = cache(ttl=2.0, stale=100.0)
    known.store(HOST, ["a"], now=0.0)
    assert known.find(HOST, 5.0) == Remembered(("a",), needs_refresh=True)
    assert known.find(HOST, 6.9) == Remembered(("a",))
    assert known.find(HOST, 7.0) == Remembered(("a",), needs_refresh=True)


def test_a_refreshed_answer_is_fresh_again() -> None:
    """The new addresses replace the old ones."""
    known = cache(ttl=10.0, stale=10.0)
    known.store(HOST, ["a"], now=0.0)
    known.find(HOST, 12.0)
    known.store(HOST, ["b"], now=13.0)
    assert known.find(HOST, 22.9) == Remembered(("b",))


def test_an_answer_without_addresses_is_not_remembered() -> None:
    """It doesn't replace an earlier one either."""
    known = cache()
    known.store(HOST, ["a"], now=0.0)
    known.store(HOST, [], now=1.0)
    known.store("other.test", [], now=1.0)
    assert (addresses_of(known), len(known)) == ("a", 1)


@pytest.mark.parametrize(
    ("demoted", "expected"),
    [("a", "bca"), ("b", "acb"), ("c", "abc"), ("x", "abc"), ("ab", "cab"), ("ba", "cba")],
)
def test_an_address_that_refused_is_tried_last(demoted: str, expected: str) -> None:
    """The others keep their order; an unknown address changes nothing."""
    known = cache()
    known.store(HOST, "abc", now=0.0)
    for address in demoted:
        known.demote(HOST, address)
    assert addresses_of(known) == expected


def test_an_unknown_host_can_be_demoted_and_forgotten() -> None:
    """It may have been forgotten while a connection to it was tried."""
    known = cache()
    known.demote(HOST, "a")
    known.forget(HOST)
    assert len(known) == 0


def test_a_host_that_is_forgotten_is_looked_up_again() -> None:
    """Others are kept."""
    known = cache()
    known.store(HOST, "a", now=0.0)
    known.store("other.test", "b", now=0.0)
    known.forget("API.test")
    assert (addresses_of(known), addresses_of(known, "other.test")) == ("", "b")
    known.clear()
    assert len(known) == 0


def test_upper_and_lower_case_are_the_same_host() -> None:
    """Names are compared without regard to case, RFC 4343."""
    known = cache()
    known.store("API.Test", "ab", now=0.0)
    known.demote("Api.test", "a")
    assert addresses_of(known, "api.TEST") == "ba"


def test_the_host_used_least_recently_makes_room() -> None:
    """Serving an answer is a use, too."""
    known = cache(max_hosts=2)
    known.store("a.test", "a", now=0.0)
    known.store("b.test", "b", now=0.0)
    known.find("a.test", 1.0)
    known.store("c.test", "c", now=2.0)
    assert [addresses_of(known, f"{name}.test") for name in "abc"] == ["a", "", "c"]


HOSTS = st.sampled_from(["a.test", "b.test", "c.test"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("store"), HOSTS, st.text("xyz", max_size=4)),
        st.tuples(st.just("demote"), HOSTS, st.sampled_from("xyz")),
        st.tuples(st.just("forget"), HOSTS, st.just("")),
        st.tuples(st.just("find"), HOSTS, st.just("")),
        st.tuples(st.just("wait"), st.just(""), st.sampled_from(["1", "4", "9"])),
    ),
    max_size=60,
)


@given(STEPS, st.sampled_from([0.0, 5.0]))
def test_what_is_served_was_stored_within_the_time_it_is_good_for(
    steps: list[tuple[str, str, str]], stale: float
) -> None:
    """Never more hosts than allowed, never an address that wasn't stored, and none is lost."""
    known = cache(ttl=10.0, stale=stale, max_hosts=2)
    stored: dict[str, tuple[str, float]] = {}
    now = 0.0
    for action, host, text in steps:
        match action:
            case "store":
                known.store(host, text, now)
                stored |= {host: (text, now)} if text else {}
            case "demote":
                known.demote(host, text)
            case "forget":
                known.forget(host)
                stored.pop(host, None)
            case "wait":
                now += float(text)
            case _:
                remembered = known.find(host, now)
                if remembered is not None:
                    addresses, at = stored[host]
                    assert now < at + 10.0 + stale
                    assert sorted(remembered.addresses) == sorted(set(addresses))
                    assert not remembered.needs_refresh or now >= at + 10.0
        assert len(known) <= 2
