"""Which name is looked up next; the time is an argument, so no test waits."""

import pytest

from typed_async_client.net.lookup_queue import LookupLimits, LookupQueue

LIMITS = LookupLimits(usual=8, most=20, recent=4, reserved=4, hangs_after=1.0, crowd=3)


def queue_of(*hosts: str, limits: LookupLimits = LIMITS) -> LookupQueue:
    """Return a queue of names."""
    queue = LookupQueue(limits)
    for host in hosts:
        queue.add(host)
    return queue


def numbered(domain: str, count: int) -> list[str]:
    """Return that many names in a domain, or that many domains if it contains ``{}``."""
    return [domain.format(n) if "{}" in domain else f"h{n}.{domain}" for n in range(count)]


def take_all(queue: LookupQueue, now: float) -> list[str]:
    """Take names until none may start."""
    taken = []
    while (host := queue.take(now)) is not None:
        taken.append(host)
    return taken


def make_known(queue: LookupQueue, *hosts: str, seconds: float) -> None:
    """Look names up, one after another, each for that many seconds."""
    for host in hosts:
        queue.add(host)
        assert queue.take(0.0) == host
        queue.end(host, seconds)


def test_names_start_in_the_order_of_arrival() -> None:
    """Up to the usual number."""
    hosts = numbered("d{}.test", 10)
    queue = queue_of(*hosts)
    assert take_all(queue, 0.0) == hosts[:8]
    assert (hosts[8] in queue, hosts[7] in queue) == (True, False)


def test_a_lookup_that_ends_makes_room() -> None:
    """Whatever its result was."""
    queue = queue_of(*numbered("d{}.test", 10))
    take_all(queue, 0.0)
    queue.end("d3.test", 0.1)
    assert take_all(queue, 0.1) == ["d8.test"]


def test_lookups_that_hang_make_room_for_some_more() -> None:
    """At the instant from which they count as hanging, not before."""
    queue = queue_of(*numbered("d{}.test", 30))
    take_all(queue, 0.0)
    assert queue.next_change(0.25) == 0.75
    assert take_all(queue, 0.99) == []
    assert len(take_all(queue, 1.0)) == LIMITS.recent
    assert queue.hanging == 8


def test_the_number_of_lookups_is_limited_even_if_all_of_them_hang() -> None:
    """The last ones are reserved, and an unknown name never gets them."""
    queue = queue_of(*numbered("d{}.test", 100))
    for now in range(20):
        take_all(queue, float(now))
    assert queue.running == LIMITS.most - LIMITS.reserved
    assert queue.next_change(20.0) is None


def test_a_name_that_was_answered_promptly_may_use_the_reserve() -> None:
    """It goes first as well, though it arrived last."""
    queue = LookupQueue(LIMITS)
    make_known(queue, "good.test", "fine.test", seconds=0.5)
    for host in numbered("d{}.test", 100):
        queue.add(host)
    for now in range(20):
        take_all(queue, float(now))
    queue.add("good.test")
    queue.add("fine.test")
    assert take_all(queue, 21.0) == ["good.test", "fine.test"]


def test_the_reserve_is_limited_too() -> None:
    """Names that were answered once may hang later."""
    limits = LookupLimits(usual=2, most=4, recent=2, reserved=1, hangs_after=1.0, crowd=9)
    queue = LookupQueue(limits)
    make_known(queue, *numbered("d{}.test", 10), seconds=0.1)
    for host in numbered("d{}.test", 10):
        queue.add(host)
    for now in range(10):
        take_all(queue, float(now))
    assert queue.running == limits.most


def test_a_name_that_hung_last_time_goes_last() -> None:
    """Even if it arrived first."""
    queue = LookupQueue(LIMITS)
    make_known(queue, "slow.test", seconds=5.0)
    queue.add("slow.test")
    queue.add("new.test")
    assert take_all(queue, 6.0) == ["new.test", "slow.test"]


def test_a_name_that_recovers_is_trusted_again() -> None:
    """Only the last lookup counts."""
    queue = LookupQueue(LIMITS)
    make_known(queue, "slow.test", seconds=5.0)
    make_known(queue, "slow.test", seconds=0.1)
    queue.add("new.test")
    queue.add("slow.test")
    assert take_all(queue, 6.0) == ["slow.test", "new.test"]


def test_names_of_a_domain_that_hangs_go_last() -> None:
    """However many of them have been waiting for longer."""
    queue = queue_of(*numbered("dead.test", 30), "a.healthy.test")
    assert take_all(queue, 0.0) == numbered("dead.test", 8)
    assert take_all(queue, 1.0)[0] == "a.healthy.test"


def test_names_of_a_domain_that_hangs_leave_threads_for_others() -> None:
    """They use no more than half of what is there beyond the usual number."""
    queue = queue_of(*numbered("dead.test", 100))
    for now in range(20):
        take_all(queue, float(now))
    assert queue.running == 14
    for host in ("a.test", "b.test"):
        queue.add(host)
        assert queue.take(20.0) == host


def test_a_domain_is_not_suspected_for_a_few_names() -> None:
    """Nor once its lookups have ended."""
    queue = queue_of("h0.dead.test", "h1.dead.test")
    take_all(queue, 0.0)
    queue.add("www.dead.test")
    queue.add("other.test")
    assert take_all(queue, 2.0) == ["www.dead.test", "other.test"]
    queue.add("h3.dead.test")
    queue.add("new.test")
    for host in ("h0.dead.test", "h1.dead.test", "www.dead.test"):
        queue.end(host, 4.0)
    assert take_all(queue, 4.0) == ["h3.dead.test", "new.test"]


@pytest.mark.parametrize("seconds", [0.1, 5.0])
def test_a_discarded_name_is_not_looked_up(seconds: float) -> None:
    """Whatever was known about it; one that isn't queued is ignored."""
    queue = LookupQueue(LIMITS)
    make_known(queue, "a.test", seconds=seconds)
    for host in ("a.test", "b.test"):
        queue.add(host)
        queue.discard(host)
        queue.discard(host)
    assert queue.take(9.0) is None


def test_nothing_changes_by_itself_if_no_name_is_queued() -> None:
    """So nothing has to be watched."""
    queue = queue_of("a.test")
    assert queue.take(0.0) == "a.test"
    assert queue.next_change(0.0) is None
    queue.add("b.test")
    queue.end("a.test", 0.1)
    assert queue.next_change(0.1) is None


def test_only_the_latest_names_are_remembered() -> None:
    """So that memory is bounded; a forgotten name is as good as a new one."""
    queue = LookupQueue(LIMITS)
    make_known(queue, "slow.test", seconds=5.0)
    make_known(queue, *numbered("d{}.test", 4096), seconds=0.1)
    queue.add("slow.test")
    queue.add("new.test")
    assert take_all(queue, 6.0) == ["slow.test", "new.test"]
