"""A server for large bodies: it sends as many bytes as the path says, and counts those of an upload.

Run as a script, it prints the port on 127.0.0.1 that it listens on, and serves until terminated. Each
connection has a thread, and plain blocking sockets: nothing in Python moves bytes faster.
"""

import re
import socket
import threading

PIECE = 1024 * 1024
_ZEROS = memoryview(bytes(PIECE))
_LENGTH = re.compile(rb"(?i)content-length: *(\d+)")
_END = b"0\r\n\r\n"


def serve(connection: socket.socket) -> None:
    """Answer the requests of one connection."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    rest, buffer = b"", bytearray(PIECE)
    with connection:
        while True:
            while b"\r\n\r\n" not in rest:
                received = connection.recv(65536)
                if not received:
                    return
                rest += received
            head, _, rest = rest.partition(b"\r\n\r\n")
            rest = skip_body(connection, head, rest, buffer)
            size = int(head.split(b" ", 2)[1].rpartition(b"/")[2] or 0)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            while size > 0:
                connection.sendall(_ZEROS[:size])
                size -= PIECE


def skip_body(connection: socket.socket, head: bytes, rest: bytes, buffer: bytearray) -> bytes:
    """Read the body of a request; return what follows it."""
    if b"chunked" in head.lower():
        tail = rest
        while not tail.endswith(_END):
            count = connection.recv_into(buffer)
            tail = (tail + bytes(buffer[max(0, count - 8) : count]))[-8:]
        return b""
    found = _LENGTH.search(head)
    left = int(found[1]) - len(rest) if found else 0
    while left > 0:
        left -= connection.recv_into(buffer)
    return b"" if found else rest


def main() -> None:
    """Serve until the process is terminated."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
