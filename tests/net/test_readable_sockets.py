"""Whether the kernel holds bytes of a socket, asked without waiting."""

import socket

from typed_async_client.net.polling import is_socket_readable


def test_a_socket_is_readable_once_bytes_have_arrived() -> None:
    """Bytes, and the end of the connection, both count."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not is_socket_readable(ours)
        theirs.send(b"x")
        assert is_socket_readable(ours)
        ours.recv(1)
        assert not is_socket_readable(ours)
        theirs.close()
        assert is_socket_readable(ours)


def test_a_closed_socket_is_readable() -> None:
    """Asyncio closes a socket one iteration before it reports that the connection was lost."""
    ours, theirs = socket.socketpair()
    theirs.close()
    ours.close()
    assert is_socket_readable(ours)
