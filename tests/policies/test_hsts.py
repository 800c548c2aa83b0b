"""Which hosts are to be asked over https alone."""

import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.hsts import HSTSPolicy, KnownHosts, is_address, parse

YEAR = HSTSPolicy(max_age=31_536_000.0, include_subdomains=False)
YEAR_BELOW = HSTSPolicy(max_age=31_536_000.0, include_subdomains=True)
FORGET = HSTSPolicy(max_age=0.0, include_subdomains=False)

PIECES = ("max-age", "includeSubDomains", "x", "=", ";", " ", "\t", '"', "\\", ",", "0", "1", "9")
labels = st.text(string.ascii_lowercase, min_size=1, max_size=3)
names = st.lists(labels, min_size=1, max_size=4).map(".".join)
policies = st.builds(
    HSTSPolicy, max_age=st.floats(min_value=0, max_value=50), include_subdomains=st.booleans()
)
seconds = st.floats(min_value=0, max_value=100)


@pytest.mark.parametrize(
    ("header", "max_age", "below"),
    [
        ("max-age=31536000", 31_536_000, False),
        ("max-age=15768000 ; includeSubDomains", 15_768_000, True),
        ('max-age="31536000"', 31_536_000, False),
        ("max-age=0", 0, False),
        ("max-age=0; includeSubDomains", 0, True),
        ('max-age="0"; includeSubDomains', 0, True),
        ("MAX-AGE=5;INCLUDESUBDOMAINS", 5, True),
        (" includeSubDomains ;\tmax-age = 007 ", 7, True),
        (";; max-age=1;; ", 1, False),
        ("max-age=1; preload", 1, False),
        ('max-age=1; report="a;b\\"; max-age=2"; other=x', 1, False),
        ("max-age=1; includeSubDomain", 1, False),
    ],
)
def test_a_header_is_read_by_its_grammar(header: str, max_age: float, *, below: bool) -> None:
    """Names know no case, empty and unknown directives no meaning, quotes no difference."""
    assert parse(header) == HSTSPolicy(max_age=max_age, include_subdomains=below)


@pytest.mark.parametrize(
    "header",
    [
        "",
        ";",
        "includeSubDomains",
        "max-age",
        "max-age=",
        'max-age=""',
        "max-age=-1",
        "max-age=1.5",
        "max-age=1e3",
        "max-age=a",
        "max-age=٣",
        "max-age='1'",
        'max-age="1',
        "max-age=1 2",
        "max-age=1, max-age=1",
        "max-age=1; max-age=1",
        "max-age=1; MAX-AGE=2",
        "max-age=1; includeSubDomains; includeSubDomains",
        "max-age=1; includeSubDomains=true",
        "max-age=1; preload; preload",
        'max-age=1; x="',
        "max-age=1; =x",
        "max-age=1; (",
        "max-age:1",
    ],
)
def test_a_header_with_any_fault_says_nothing(header: str) -> None:
    """A directive that is missing, doubled or malformed makes the whole header void."""
    assert parse(header) is None


def test_no_max_age_is_too_large() -> None:
    """Python refuses to read an integer of more than 4300 digits; a header may hold more."""
    said = parse("max-age=" + "9" * 5000)
    assert said == HSTSPolicy(max_age=math.inf, include_subdomains=False)


@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
def test_no_header_makes_the_reader_fail(header: str) -> None:
    """What comes out is nothing, or seconds from zero up."""
    said = parse(header)
    assert said is None or said.max_age >= 0


@given(
    max_age=st.integers(min_value=0, max_value=2**53),
    order=st.permutations(range(3)),
    below=st.booleans(),
)
def test_the_order_of_directives_has_no_meaning(
    max_age: int, order: list[int], *, below: bool
) -> None:
    """Whatever stands first, the same is said."""
    parts = [f"max-age={max_age}", "includeSubDomains" if below else "", "preload"]
    assert parse("; ".join(parts[index] for index in order)) == HSTSPolicy(max_age, below)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1.", "127.1", "2130706433", "0x7f000001", "0X7F.1", "0x", "0177.1"),
        *("::1", "::ffff:127.0.0.1", "fe80::1%eth0"),
    ],
)
def test_every_form_of_an_address_is_an_address(host: str) -> None:
    """A resolver takes short, decimal, octal and hexadecimal forms for addresses too."""
    assert is_address(host)


@pytest.mark.parametrize(
    "host", ["example.org", "localhost", "1.example.org", "v1", "0xg", "a0x1", "1a", "127.0.0.1.io"]
)
def test_a_name_is_no_address(host: str) -> None:
    """A number before the last dot is a part of a name."""
    assert not is_address(host)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1", "::1"])
def test_an_address_is_never_known(address: str) -> None:
    """Section 8.1.1: who answers at an address speaks for no name."""
    hosts = KnownHosts()
    hosts.note(address, YEAR_BELOW, now=0.0)
    assert not hosts.must_upgrade(address, now=0.0)
    assert len(hosts) == 0
    with pytest.raises(ValueError, match="an HSTS host must be a name"):
        KnownHosts(always=("example.org", address))


@pytest.mark.parametrize(
    ("noted", "asked", "upgraded"),
    [
        ("example.org", "example.org", True),
        ("example.org", "EXAMPLE.org", True),
        ("example.org", "example.org.", True),
        ("Example.org.", "example.org", True),
        ("example.org", "a.example.org", False),
        ("a.example.org", "example.org", False),
        ("example.org", "badexample.org", False),
        ("example.org", "org", False),
    ],
)
def test_a_host_speaks_for_itself(noted: str, asked: str, *, upgraded: bool) -> None:
    """Names are compared label by label, without case and without the last dot."""
    hosts = KnownHosts()
    hosts.note(noted, YEAR, now=0.0)
    assert hosts.must_upgrade(asked, now=0.0) is upgraded


@pytest.mark.parametrize(
    ("asked", "upgraded"),
    [
        ("example.org", True),
        ("a.example.org", True),
        ("c.b.a.example.org.", True),
        ("badexample.org", False),
        ("org", False),
    ],
)
def test_a_host_may_speak_for_all_hosts_below_it(asked: str, *, upgraded: bool) -> None:
    """With ``includeSubDomains`` the distance does not matter; the label's edge does."""
    learned, always = KnownHosts(), KnownHosts(always=("Example.org.",))
    learned.note("example.org", YEAR_BELOW, now=0.0)
    assert learned.must_upgrade(asked, now=0.0) is upgraded
    assert always.must_upgrade(asked, now=1e12) is upgraded


def test_one_host_above_that_speaks_for_all_is_enough() -> None:
    """A nearer one that speaks for itself alone takes nothing back."""
    hosts = KnownHosts()
    hosts.note("example.org", YEAR_BELOW, now=0.0)
    hosts.note("a.example.org", YEAR, now=0.0)
    assert hosts.must_upgrade("b.a.example.org", now=0.0)


def test_a_host_is_known_until_its_time_is_over() -> None:
    """The instant at which it ends is outside already."""
    hosts = KnownHosts()
    hosts.note("example.org", HSTSPolicy(max_age=10.0, include_subdomains=True), now=100.0)
    assert hosts.must_upgrade("example.org", now=109.9)
    assert hosts.must_upgrade("a.example.org", now=109.9)
    assert not hosts.must_upgrade("example.org", now=110.0)
    assert not hosts.must_upgrade("a.example.org", now=110.0)


def test_the_latest_header_counts() -> None:
    """It moves the end, for better or worse, and takes back what it says no more."""
    hosts = KnownHosts()
    hosts.note("example.org", YEAR_BELOW, now=0.0)
    hosts.note("example.org", HSTSPolicy(max_age=5.0, include_subdomains=False), now=1.0)
    assert hosts.must_upgrade("example.org", now=5.9)
    assert not hosts.must_upgrade("a.example.org", now=5.9)
    assert not hosts.must_upgrade("example.org", now=6.0)


def test_zero_seconds_forget_a_host_and_no_other() -> None:
    """What a host below says of itself leaves the host above as it is."""
    hosts = KnownHosts(always=("example.net",))
    for name in ("example.org", "a.example.org"):
        hosts.note(name, YEAR_BELOW, now=0.0)
    for name in ("a.example.org", "never.example.com", "example.net"):
        hosts.note(name, FORGET, now=1.0)
    assert len(hosts) == 1
    assert hosts.must_upgrade("a.example.org", now=1.0)
    assert hosts.must_upgrade("example.net", now=1.0)
    hosts.note("example.org", FORGET, now=1.0)
    assert not hosts.must_upgrade("a.example.org", now=1.0)


def test_the_host_noted_longest_ago_makes_room() -> None:
    """One noted anew counts from then; those known from the start take no room."""
    hosts = KnownHosts(always=("example.net",), max_hosts=2)
    for name in ("a.org", "b.org", "a.org", "c.org"):
        hosts.note(name, YEAR, now=0.0)
    known = [name for name in ("a.org", "b.org", "c.org") if hosts.must_upgrade(name, now=0.0)]
    assert known == ["a.org", "c.org"]
    assert len(hosts) == 2
    assert hosts.must_upgrade("example.net", now=0.0)
    with pytest.raises(ValueError, match="max_hosts must be >= 1, got 0"):
        KnownHosts(max_hosts=0)


def test_a_name_that_no_host_can_have_costs_nothing() -> None:
    """A URL may hold tens of thousands of labels; none above 253 characters can be looked up."""
    hosts = KnownHosts(always=("org",))
    longest = "a." * 124 + "b.org"
    assert len(longest) == 253
    hosts.note(f"a{longest}", YEAR, now=0.0)
    assert len(hosts) == 0
    assert not hosts.must_upgrade(f"a{longest}", now=0.0)
    assert hosts.must_upgrade(longest, now=0.0)


@given(st.lists(st.tuples(names, policies, seconds)), names, seconds)
def test_the_answer_is_the_one_that_the_rfc_spells_out(
    notes: list[tuple[str, HSTSPolicy, float]], asked: str, later: float
) -> None:
    """Section 8.2, word for word, over the last header of each host."""
    hosts = KnownHosts()
    now = 0.0
    latest: dict[str, tuple[HSTSPolicy, float]] = {}
    for name, said, pause in notes:
        now += pause
        hosts.note(name, said, now=now)
        latest[name] = (said, now)
    now += later
    expected = any(
        now < then + said.max_age
        and (name == asked or (said.include_subdomains and asked.endswith(f".{name}")))
        for name, (said, then) in latest.items()
    )
    assert hosts.must_upgrade(asked, now=now) is expected


@given(st.lists(st.tuples(names, policies)), st.integers(min_value=1, max_value=5))
def test_what_is_learned_never_outgrows_its_bound(
    notes: list[tuple[str, HSTSPolicy]], max_hosts: int
) -> None:
    """Whatever hosts say, in whatever order."""
    hosts = KnownHosts(max_hosts=max_hosts)
    for name, said in notes:
        hosts.note(name, said, now=0.0)
        assert len(hosts) <= max_hosts
