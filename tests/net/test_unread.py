"""The bytes that were received and not read yet."""

from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.net.unread import UnreadBytes


@given(st.lists(st.binary(max_size=6) | st.integers(1, 9)))
def test_bytes_come_out_in_the_order_they_came_in(steps: list[bytes | int]) -> None:
    """As many as are asked for, if there are so many; a number takes, and bytes are appended."""
    unread, expected = UnreadBytes(), b""
    for step in steps:
        if isinstance(step, bytes):
            unread.append(memoryview(step))
            expected += step
        else:
            assert unread.take(step) == expected[:step]
            expected = expected[step:]
        assert (len(unread), bool(unread)) == (len(expected), bool(expected))


def test_what_a_reader_keeps_up_with_is_not_copied() -> None:
    """It gets the very object that was received."""
    unread, received = UnreadBytes(), b"x" * 100_000
    unread.append(received)
    assert unread.take(200_000) is received
