"""A transport that records how it is entered, left and closed."""

from typing import Self

import httpx

__all__ = ["Entered"]


class Entered(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport of both kinds that records how it is used."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __enter__(self) -> Self:
        self.calls.append("enter")
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.calls.append(f"exit with {exc_info[1]!r}")

    async def __aenter__(self) -> Self:
        self.calls.append("aenter")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.calls.append(f"aexit with {exc_info[1]!r}")

    def close(self) -> None:
        """Record the call."""
        self.calls.append("close")

    async def aclose(self) -> None:
        """Record the call."""
        self.calls.append("aclose")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Respond."""
        return httpx.Response(200)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Respond."""
        return httpx.Response(200)
