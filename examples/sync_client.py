"""Add retries to a synchronous httpx client; the rest of the program stays the same.

The server, on a local port, only starts after the first attempt. Run it as it is:
``python examples/sync_client.py``.
"""

import http.server
import threading

import httpx

from typed_async_client import AsyncEvent, EventType, ResilientTransport


class Greeter(http.server.BaseHTTPRequestHandler):
    """Answers every GET request with a greeting."""

    def do_GET(self) -> None:
        """Send the greeting."""
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def main() -> None:
    """Send a request to a server that starts late."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Greeter, bind_and_activate=False)
    server.server_bind()  # reserves the port, which refuses connections

    def watch(event: AsyncEvent) -> None:
        print(f"{event.event_type} at attempt {event.attempts}")
        if event.event_type is EventType.RETRY:
            server.server_activate()
            threading.Thread(target=server.serve_forever, daemon=True).start()

    transport = ResilientTransport(max_retries=3, base_delay=0.1, on_event=watch)
    with httpx.Client(transport=transport) as client:
        response = client.get(f"http://127.0.0.1:{server.server_port}/")
    history = response.extensions["typed_async_client.attempts"]
    print(f"{response.text!r} after {history.attempts} attempts")
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    main()
