"""The socket protocol: received bytes go through a shared buffer and are kept per connection."""

import threading

import pytest

from typed_async_client.net.protocol import SocketProtocol

KIB = 1024


def receive(protocol: SocketProtocol, data: bytes) -> None:
    """Receive bytes in the way asyncio does."""
    protocol.get_buffer(-1)[: len(data)] = data
    protocol.buffer_updated(len(data))


@pytest.mark.parametrize("size", [1, 8 * KIB, 100 * KIB])
def test_received_bytes_are_read_unchanged(size: int) -> None:
    """Later bytes, of this or another connection, overwrite the shared buffer but not what is kept."""
    protocol, other = SocketProtocol(), SocketProtocol()
    sent = (bytes(range(256)) * (size // 256 + 1))[:size]
    for start in range(0, size, 5 * KIB):
        receive(protocol, sent[start : start + 5 * KIB])
        receive(other, b"something else")
    assert protocol.take(size) == sent
    assert protocol.received == size
    assert not protocol.is_readable


def test_connections_share_a_receive_buffer() -> None:
    """A thousand idle connections don't hold a thousand buffers."""
    assert SocketProtocol().get_buffer(-1).obj is SocketProtocol().get_buffer(-1).obj


def test_each_thread_has_its_own_receive_buffer() -> None:
    """Event loops in different threads may receive at the same time."""
    protocol, buffers = SocketProtocol(), []
    thread = threading.Thread(target=lambda: buffers.append(protocol.get_buffer(-1).obj))
    thread.start()
    thread.join()
    assert buffers[0] is not protocol.get_buffer(-1).obj


def test_bytes_that_a_filter_removes_are_not_readable() -> None:
    """They count as received all the same."""
    protocol = SocketProtocol()
    protocol.filter_input(lambda data: data.replace(b"chaff", b""))
    receive(protocol, b"chaff")
    assert not protocol.is_readable
    receive(protocol, b"chaffwheat")
    assert (protocol.received, protocol.take(99)) == (15, b"wheat")


def test_a_filter_applies_to_bytes_received_before_it_was_set() -> None:
    """The server may be the first to send."""
    protocol = SocketProtocol()
    receive(protocol, b"chaffwheat")
    protocol.filter_input(lambda data: data.replace(b"chaff", b""))
    assert protocol.take(99) == b"wheat"


async def test_a_waiter_is_woken_by_readable_bytes_only() -> None:
    """Inserted ones included. If woken without any, a reader would assume the end of the stream."""
    protocol = SocketProtocol()
    protocol.filter_input(lambda data: data.replace(b"chaff", b""))
    waiter = protocol.wait_readable()
    receive(protocol, b"chaff")
    protocol.insert(b"")
    assert not waiter.done()
    protocol.insert(b"inserted")
    assert waiter.done()
    assert protocol.take(99) == b"inserted"


async def test_bytes_that_arrive_after_a_cancelled_wait_are_kept() -> None:
    """They are there for the next reader, up to the end of the connection."""
    protocol = SocketProtocol()
    protocol.wait_readable().cancel()
    receive(protocol, b"a")
    waiter = protocol.wait_readable()
    receive(protocol, b"b")
    receive(protocol, b"c")
    protocol.eof_received()
    protocol.connection_lost(None)
    assert waiter.done()
    assert protocol.take(99) == b"abc"
