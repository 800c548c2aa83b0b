"""The buffer that a connection's bytes land in: it grows with what comes, and shrinks again."""

from collections.abc import Iterable

import pytest

from typed_async_client.transports.sockets.protocol import SocketProtocol

KIB = 1024


def rooms(arrivals: Iterable[int | None]) -> list[int]:
    """Give the room before each arrival of so many bytes, None for all that there is room for."""
    protocol, told = SocketProtocol(), []
    for arrival in arrivals:
        room = protocol.get_buffer(-1)
        told.append(len(room) // KIB)
        protocol.buffer_updated(len(room) if arrival is None else arrival)
    return told


def test_a_buffer_that_is_filled_grows_up_to_256_kib() -> None:
    """Twice as large each time."""
    assert rooms([None] * 8) == [8, 16, 32, 64, 128, 256, 256, 256]


def test_a_buffer_that_is_hardly_used_shrinks_down_to_8_kib() -> None:
    """By half each time; one that is used by a quarter stays."""
    filled = [None] * 3
    assert rooms([*filled, 16 * KIB, 16 * KIB - 1, 1, 1, 1]) == [8, 16, 32, 64, 64, 32, 16, 8]


@pytest.mark.parametrize("size", [1, 8 * KIB, 100 * KIB])
def test_what_lands_is_what_is_read(size: int) -> None:
    """Whatever lands upon it later."""
    protocol, sent = SocketProtocol(), bytes(range(256)) * (size // 256 + 1)
    for start in range(0, size, 5 * KIB):
        part = sent[start : min(start + 5 * KIB, size)]
        protocol.get_buffer(-1)[: len(part)] = part
        protocol.buffer_updated(len(part))
    assert protocol.take(size) == sent[:size]
    assert protocol.received == size
    assert not protocol.has_news


def test_what_a_sieve_keeps_back_is_no_news() -> None:
    """It has come for all that, and the buffer is fit for it."""
    protocol = SocketProtocol()
    protocol.read_through(lambda data: data.replace(b"chaff", b""))
    protocol.get_buffer(-1)[:5] = b"chaff"
    protocol.buffer_updated(5)
    assert not protocol.has_news
    protocol.get_buffer(-1)[:10] = b"chaffwheat"
    protocol.buffer_updated(10)
    assert (protocol.received, protocol.take(99)) == (15, b"wheat")
