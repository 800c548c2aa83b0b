"""An ASGI application for the tests with real peers, and the process that serves it with hypercorn.

Run as a program it serves two sockets that it inherits: HTTP/2 over TLS on the first, and on the
second HTTP/2 with prior knowledge or HTTP/1.1, which is how the proxies reach it.
"""

import argparse
import asyncio
import collections
import hashlib
import json
import random
from collections.abc import AsyncIterator
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

__all__ = ["LIMIT", "made_bytes"]

LIMIT = 64 * 1024
"""Bytes of a body after which ``/limited`` refuses it."""

_PART = 64 * 1024
_MANY = 10**9

_counts: collections.defaultdict[str, collections.Counter[str]] = collections.defaultdict(
    collections.Counter
)


def made_bytes(size: int) -> bytes:
    """Return that many bytes, always the same."""
    return random.Random(7).randbytes(size)


class _Exchange:
    """One request and its response.

    Attributes:
        can: the extensions of the server; early hints and trailers only over HTTP/2.
        words: the parts of its path.
    """

    def __init__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.can: dict[str, Any] = scope["extensions"]
        self.words: list[str] = scope["path"].strip("/").split("/")
        self.send = send
        self._receive = receive

    async def parts(self) -> AsyncIterator[bytes]:
        """Receive the request's body."""
        more = True
        while more:
            event = await self._receive()
            yield event.get("body", b"")
            more = event.get("more_body", False)

    async def start(self, status: int = 200, *headers: tuple[bytes, bytes], **more: bool) -> None:
        """Send the head of the response."""
        await self.send(
            {"type": "http.response.start", "status": status, "headers": headers, **more}
        )

    async def body(self, body: bytes = b"", *, more: bool = False) -> None:
        """Send a part of the response's body, the last unless there is more."""
        await self.send({"type": "http.response.body", "body": body, "more_body": more})


async def _echo(exchange: _Exchange) -> None:
    """Answer with the body, or with the end of the path if there is none; count it in its run."""
    _, run, name = exchange.words
    body = b"".join([part async for part in exchange.parts()]) or name.encode()
    _counts[run][name] += 1
    await exchange.start(200, (b"content-length", str(len(body)).encode()))
    await exchange.body(body)


async def _count(exchange: _Exchange) -> None:
    """Answer with how often each name of a run was echoed."""
    await exchange.start()
    await exchange.body(json.dumps(_counts[exchange.words[1]]).encode())


async def _bytes(exchange: _Exchange) -> None:
    """Answer with as many bytes as the path says."""
    body = made_bytes(int(exchange.words[1]))
    await exchange.start()
    for start in range(0, len(body), _PART):
        await exchange.body(body[start : start + _PART], more=True)
    await exchange.body()


async def _hash(exchange: _Exchange) -> None:
    """Answer with the size and the hash of the body."""
    digest, size = hashlib.sha256(), 0
    async for part in exchange.parts():
        digest.update(part)
        size += len(part)
    await exchange.start()
    await exchange.body(f"{size} {digest.hexdigest()}".encode())


async def _limited(exchange: _Exchange) -> None:
    """Refuse a body that is too large, without reading the rest."""
    size = 0
    async for part in exchange.parts():
        size += len(part)
        if size > LIMIT:
            break
    await exchange.start(413 if size > LIMIT else 200)
    await exchange.body(b"too large" if size > LIMIT else b"fine")


async def _status(exchange: _Exchange) -> None:
    """Read the body; answer with the status in the path, and without a body."""
    async for _ in exchange.parts():
        pass
    await exchange.start(int(exchange.words[1]), (b"etag", b'"1"'))
    await exchange.body()


async def _redirect(exchange: _Exchange) -> None:
    """Redirect, keeping the method, as many times as the path says; then echo the body."""
    body = b"".join([part async for part in exchange.parts()])
    remaining = int(exchange.words[1])
    if not remaining:
        await exchange.start()
    else:
        await exchange.start(307, (b"location", f"/redirect/{remaining - 1}".encode()))
    await exchange.body(body or b"here")


async def _hints(exchange: _Exchange) -> None:
    """Answer with early hints first."""
    if "http.response.early_hint" in exchange.can:
        await exchange.send({"type": "http.response.early_hint", "links": [b"</style.css>"]})
    await exchange.start()
    await exchange.body(b"after hints")


async def _trailers(exchange: _Exchange) -> None:
    """Answer with trailers after the body."""
    has_trailers = "http.response.trailers" in exchange.can
    await exchange.start(200, trailers=has_trailers)
    await exchange.body(b"before trailers")
    if has_trailers:
        headers = [(b"x-checksum", b"1")]
        await exchange.send({"type": "http.response.trailers", "headers": headers})


async def _cut(exchange: _Exchange) -> None:
    """Send the beginning of a body, and fail."""
    await exchange.start()
    await exchange.body(b"the beginning", more=True)
    raise RuntimeError


_ROUTES = {
    "cut": _cut,
    "echo": _echo,
    "counts": _count,
    "bytes": _bytes,
    "hash": _hash,
    "limited": _limited,
    "status": _status,
    "redirect": _redirect,
    "hints": _hints,
    "trailers": _trailers,
}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Serve a request."""
    if scope["type"] == "lifespan":
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})
        return
    exchange = _Exchange(scope, receive, send)
    await _ROUTES[exchange.words[0]](exchange)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("secure", "plain", "certificate", "key"):
        parser.add_argument(name)
    options = parser.parse_args()
    config = Config()
    config.bind = [f"fd://{options.secure}"]
    config.insecure_bind = [f"fd://{options.plain}"]
    config.certfile, config.keyfile = options.certificate, options.key
    config.loglevel = "CRITICAL"
    config.keep_alive_timeout = _MANY  # else a proxy might use a connection that is being closed
    config.keep_alive_max_requests = _MANY
    asyncio.run(serve(app, config))  # type: ignore[arg-type]  # the application takes plain dicts


if __name__ == "__main__":
    _main()
