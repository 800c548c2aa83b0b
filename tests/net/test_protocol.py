"""What arrives on a socket: it lands where everything lands, and is kept by whom it is for."""

import threading

import pytest

from typed_async_client.net.protocol import SocketProtocol

KIB = 1024


def land(protocol: SocketProtocol, data: bytes) -> None:
    """Let bytes arrive, as asyncio does it."""
    protocol.get_buffer(-1)[: len(data)] = data
    protocol.buffer_updated(len(data))


@pytest.mark.parametrize("size", [1, 8 * KIB, 100 * KIB])
def test_what_lands_is_what_is_read(size: int) -> None:
    """Whatever lands upon it later, for itself or for another connection."""
    protocol, other = SocketProtocol(), SocketProtocol()
    sent = (bytes(range(256)) * (size // 256 + 1))[:size]
    for start in range(0, size, 5 * KIB):
        land(protocol, sent[start : start + 5 * KIB])
        land(other, b"something else")
    assert protocol.take(size) == sent
    assert protocol.received == size
    assert not protocol.has_news


def test_connections_have_no_buffer_of_their_own_to_land_in() -> None:
    """A thousand idle ones would keep a thousand."""
    assert SocketProtocol().get_buffer(-1).obj is SocketProtocol().get_buffer(-1).obj


def test_each_thread_has_a_buffer_to_land_in() -> None:
    """Its event loop may take bytes while that of another thread does."""
    protocol, rooms = SocketProtocol(), []
    thread = threading.Thread(target=lambda: rooms.append(protocol.get_buffer(-1).obj))
    thread.start()
    thread.join()
    assert rooms[0] is not protocol.get_buffer(-1).obj


def test_what_a_sieve_keeps_back_is_no_news() -> None:
    """It has come for all that."""
    protocol = SocketProtocol()
    protocol.read_through(lambda data: data.replace(b"chaff", b""))
    land(protocol, b"chaff")
    assert not protocol.has_news
    land(protocol, b"chaffwheat")
    assert (protocol.received, protocol.take(99)) == (15, b"wheat")


def test_what_came_before_a_sieve_passes_through_it() -> None:
    """A server may speak first."""
    protocol = SocketProtocol()
    land(protocol, b"chaffwheat")
    protocol.read_through(lambda data: data.replace(b"chaff", b""))
    assert protocol.take(99) == b"wheat"


async def test_who_waits_is_woken_by_what_can_be_read() -> None:
    """Be it put there; woken by nothing, a reader would take it for the end."""
    protocol = SocketProtocol()
    protocol.read_through(lambda data: data.replace(b"chaff", b""))
    waiter = protocol.wait_for_news()
    land(protocol, b"chaff")
    protocol.insert(b"")
    assert not waiter.done()
    protocol.insert(b"put there")
    assert waiter.done()
    assert protocol.take(99) == b"put there"


async def test_what_comes_for_who_has_stopped_waiting_is_kept() -> None:
    """Once, twice and to the end, for who reads next."""
    protocol = SocketProtocol()
    protocol.wait_for_news().cancel()
    land(protocol, b"a")
    waiter = protocol.wait_for_news()
    land(protocol, b"b")
    land(protocol, b"c")
    protocol.eof_received()
    protocol.connection_lost(None)
    assert waiter.done()
    assert protocol.take(99) == b"abc"
