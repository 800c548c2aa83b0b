"""HSTS policies and the hosts they apply to."""

import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.hosts import is_address
from typed_async_client.policies.hsts import HSTSPolicy, KnownHosts, parse

YEAR = HSTSPolicy(max_age=31_536_000.0, include_subdomains=False)
YEAR_WITH_SUBDOMAINS = HSTSPolicy(max_age=31_536_000.0, include_subdomains=True)
REMOVED = HSTSPolicy(max_age=0.0, include_subdomains=False)

FRAGMENTS = (
    "max-age",
    "includeSubDomains",
    "x",
    "=",
    ";",
    " ",
    "\t",
    '"',
    "\\",
    ",",
    "0",
    "1",
    "9",
)
labels = st.text(string.ascii_lowercase, min_size=1, max_size=3)
names = st.lists(labels, min_size=1, max_size=4).map(".".join)
policies = st.builds(
    HSTSPolicy, max_age=st.floats(min_value=0, max_value=50), include_subdomains=st.booleans()
)
seconds = st.floats(min_value=0, max_value=100)


@pytest.mark.parametrize(
    ("header", "max_age", "subdomains"),
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
def test_a_valid_header_is_parsed(header: str, max_age: float, *, subdomains: bool) -> None:
    """Case and quotes don't matter; empty and unknown directives are ignored."""
    assert parse(header) == HSTSPolicy(max_age=max_age, include_subdomains=subdomains)


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
def test_an_invalid_header_is_ignored(header: str) -> None:
    """If a directive is missing, repeated or malformed, the whole header is ignored."""
    assert parse(header) is None


def test_no_max_age_is_too_large() -> None:
    """``int()`` accepts at most 4,300 digits by default; a header may have more."""
    policy = parse("max-age=" + "9" * 5000)
    assert policy == HSTSPolicy(max_age=math.inf, include_subdomains=False)


@given(st.text() | st.lists(st.sampled_from(FRAGMENTS)).map("".join))
def test_no_header_makes_the_parser_raise(header: str) -> None:
    """The result is None, or a policy with a ``max_age`` of at least zero."""
    policy = parse(header)
    assert policy is None or policy.max_age >= 0


@given(
    max_age=st.integers(min_value=0, max_value=2**53),
    order=st.permutations(range(3)),
    subdomains=st.booleans(),
)
def test_the_order_of_directives_does_not_matter(
    max_age: int, order: list[int], *, subdomains: bool
) -> None:
    """Every order parses to the same policy."""
    parts = [f"max-age={max_age}", "includeSubDomains" if subdomains else "", "preload"]
    assert parse("; ".join(parts[index] for index in order)) == HSTSPolicy(max_age, subdomains)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1.", "127.1", "2130706433", "0x7f000001", "0X7F.1", "0x", "0177.1"),
        *("::1", "::ffff:127.0.0.1", "fe80::1%eth0"),
    ],
)
def test_every_form_of_an_ip_address_is_an_address(host: str) -> None:
    """Resolvers accept short, decimal, octal and hexadecimal forms too."""
    assert is_address(host)


@pytest.mark.parametrize(
    "host", ["example.org", "localhost", "1.example.org", "v1", "0xg", "a0x1", "1a", "127.0.0.1.io"]
)
def test_a_name_is_not_an_address(host: str) -> None:
    """Only a number in the last label makes it one."""
    assert not is_address(host)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1", "::1"])
def test_an_address_never_has_a_policy(address: str) -> None:
    """RFC 6797 section 8.1.1."""
    hosts = KnownHosts()
    hosts.note(address, YEAR_WITH_SUBDOMAINS, now=0.0)
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
def test_a_policy_applies_to_its_host(noted: str, asked: str, *, upgraded: bool) -> None:
    """Names are compared label by label, ignoring case and a trailing dot."""
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
def test_a_policy_may_apply_to_all_subdomains(asked: str, *, upgraded: bool) -> None:
    """At any depth, but only at label boundaries."""
    noted, always = KnownHosts(), KnownHosts(always=("Example.org.",))
    noted.note("example.org", YEAR_WITH_SUBDOMAINS, now=0.0)
    assert noted.must_upgrade(asked, now=0.0) is upgraded
    assert always.must_upgrade(asked, now=1e12) is upgraded


def test_a_policy_of_any_parent_domain_applies() -> None:
    """A nearer parent with a policy only for itself doesn't override it."""
    hosts = KnownHosts()
    hosts.note("example.org", YEAR_WITH_SUBDOMAINS, now=0.0)
    hosts.note("a.example.org", YEAR, now=0.0)
    assert hosts.must_upgrade("b.a.example.org", now=0.0)


def test_a_policy_applies_until_it_expires() -> None:
    """At the instant of its expiry it no longer applies."""
    hosts = KnownHosts()
    hosts.note("example.org", HSTSPolicy(max_age=10.0, include_subdomains=True), now=100.0)
    assert hosts.must_upgrade("example.org", now=109.9)
    assert hosts.must_upgrade("a.example.org", now=109.9)
    assert not hosts.must_upgrade("example.org", now=110.0)
    assert not hosts.must_upgrade("a.example.org", now=110.0)


def test_the_latest_policy_replaces_earlier_ones() -> None:
    """It may shorten the time and exclude subdomains again."""
    hosts = KnownHosts()
    hosts.note("example.org", YEAR_WITH_SUBDOMAINS, now=0.0)
    hosts.note("example.org", HSTSPolicy(max_age=5.0, include_subdomains=False), now=1.0)
    assert hosts.must_upgrade("example.org", now=5.9)
    assert not hosts.must_upgrade("a.example.org", now=5.9)
    assert not hosts.must_upgrade("example.org", now=6.0)


def test_a_max_age_of_zero_removes_only_the_policy_of_that_host() -> None:
    """The policy of a parent domain remains, and applies to the subdomain."""
    hosts = KnownHosts(always=("example.net",))
    for name in ("example.org", "a.example.org"):
        hosts.note(name, YEAR_WITH_SUBDOMAINS, now=0.0)
    for name in ("a.example.org", "never.example.com", "example.net"):
        hosts.note(name, REMOVED, now=1.0)
    assert len(hosts) == 1
    assert hosts.must_upgrade("a.example.org", now=1.0)
    assert hosts.must_upgrade("example.net", now=1.0)
    hosts.note("example.org", REMOVED, now=1.0)
    assert not hosts.must_upgrade("a.example.org", now=1.0)


def test_the_host_noted_longest_ago_is_dropped() -> None:
    """Noting a host again makes it the latest; preconfigured hosts don't count."""
    hosts = KnownHosts(always=("example.net",), max_hosts=2)
    for name in ("a.org", "b.org", "a.org", "c.org"):
        hosts.note(name, YEAR, now=0.0)
    known = [name for name in ("a.org", "b.org", "c.org") if hosts.must_upgrade(name, now=0.0)]
    assert known == ["a.org", "c.org"]
    assert len(hosts) == 2
    assert hosts.must_upgrade("example.net", now=0.0)
    with pytest.raises(ValueError, match=r"^max_hosts must be an integer >= 1, got 0$"):
        KnownHosts(max_hosts=0)


def test_names_that_are_too_long_are_ignored() -> None:
    """A URL may have tens of thousands of labels; DNS allows at most 253 characters."""
    hosts = KnownHosts(always=("org",))
    longest = "a." * 124 + "b.org"
    assert len(longest) == 253
    hosts.note(f"a{longest}", YEAR, now=0.0)
    assert len(hosts) == 0
    assert not hosts.must_upgrade(f"a{longest}", now=0.0)
    assert hosts.must_upgrade(longest, now=0.0)


@given(st.lists(st.tuples(names, policies, seconds)), names, seconds)
def test_matching_follows_the_rfc(
    notes: list[tuple[str, HSTSPolicy, float]], asked: str, later: float
) -> None:
    """RFC 6797 section 8.2, applied literally to the latest policy of each host."""
    hosts = KnownHosts()
    now = 0.0
    latest: dict[str, tuple[HSTSPolicy, float]] = {}
    for name, policy, pause in notes:
        now += pause
        hosts.note(name, policy, now=now)
        latest[name] = (policy, now)
    now += later
    expected = any(
        now < then + policy.max_age
        and (name == asked or (policy.include_subdomains and asked.endswith(f".{name}")))
        for name, (policy, then) in latest.items()
    )
    assert hosts.must_upgrade(asked, now=now) is expected


@given(st.lists(st.tuples(names, policies)), st.integers(min_value=1, max_value=5))
def test_the_number_of_noted_hosts_is_bounded(
    notes: list[tuple[str, HSTSPolicy]], max_hosts: int
) -> None:
    """Whatever the policies and their order."""
    hosts = KnownHosts(max_hosts=max_hosts)
    for name, policy in notes:
        hosts.note(name, policy, now=0.0)
        assert len(hosts) <= max_hosts
