"""A web of hosts that redirect as the paths of their URLs say, and keep what they received."""

import dataclasses
from typing import Any

import httpx

from typed_async_client import AsyncResilientClient

__all__ = ["Web", "secrets_in"]

_PREFIX = "canary"
"""What every secret of these tests starts with."""


@dataclasses.dataclass
class Web:
    """The hosts behind a mock transport.

    Attributes:
        hops: the answers, one for each request: a status and a location, or a ``Set-Cookie`` line
            too. A request beyond them is answered with 200.
        seen: the requests received.
    """

    hops: list[tuple[Any, ...]]
    seen: list[httpx.Request] = dataclasses.field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer the next request."""
        request.read()
        self.seen.append(request)
        if len(self.seen) > len(self.hops):
            return httpx.Response(200)
        status, location, *cookies = self.hops[len(self.seen) - 1]
        headers = [("Location", location), *(("Set-Cookie", cookie) for cookie in cookies)]
        return httpx.Response(status, headers=headers)

    def client(self, **options: Any) -> AsyncResilientClient:
        """Create a client of this web, which follows redirects by default."""
        options = {"follow_redirects": True, **options}
        return AsyncResilientClient(transport=httpx.MockTransport(self.answer), **options)

    @property
    def last(self) -> httpx.Request:
        """The last request received."""
        return self.seen[-1]


def secrets_in(request: httpx.Request) -> list[str]:
    """Return the secrets in the headers and the body of a request: words that start the same."""
    text = f"{request.headers.raw!r} {request.content!r} {request.extensions!r}"
    words = "".join(c if c.isalnum() or c == "-" else " " for c in text).split()
    return sorted(word for word in words if word.startswith(_PREFIX))
