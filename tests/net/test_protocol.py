"""The socket protocol: received bytes go through a shared buffer and are kept per connection."""

import threading
import weakref

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


class Recorder:
    """Records what a protocol delivers."""

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.ends: list[Exception | None] = []

    def data_received(self, data: bytes) -> None:
        """Record received bytes."""
        self.data.append(data)

    def connection_ended(self, error: Exception | None) -> None:
        """Record the end."""
        self.ends.append(error)


def test_bytes_are_delivered_as_they_arrive() -> None:
    """Those that had arrived before, too; none of them is kept, and the end is told once."""
    protocol, recorder = SocketProtocol(), Recorder()
    receive(protocol, b"early")
    protocol.deliver_to(weakref.ref(recorder))
    receive(protocol, b"late")
    assert not protocol.is_readable
    protocol.eof_received()
    protocol.connection_lost(OSError("late"))
    assert (protocol.received, recorder.data, recorder.ends) == (9, [b"early", b"late"], [None])


def test_an_end_that_has_come_already_is_delivered() -> None:
    """With the error that the connection was lost with."""
    protocol, recorder, lost = SocketProtocol(), Recorder(), OSError("lost")
    protocol.connection_lost(lost)
    protocol.deliver_to(weakref.ref(recorder))
    assert recorder.ends == [lost]


def test_nothing_is_delivered_to_a_receiver_that_is_gone() -> None:
    """The protocol doesn't keep it alive."""
    protocol, recorder = SocketProtocol(), Recorder()
    protocol.deliver_to(weakref.ref(recorder))
    del recorder
    receive(protocol, b"x")
    protocol.connection_lost(None)
    assert not protocol.take(1)


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
