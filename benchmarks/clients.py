"""The clients that are compared, their descriptions, and the libraries that they need.

``peers.py`` and ``ours.py`` open them.
"""

import dataclasses
import importlib.metadata
import importlib.util

import ours
import peers

__all__ = ["BASELINE", "CLIENTS", "Client", "available", "versions"]

BASELINE = "httpx"
"""The client that the others are compared with."""


@dataclasses.dataclass(frozen=True, slots=True)
class Client:
    """One row of the comparison.

    Attributes:
        name: the name of the row.
        description: what it is, in one line.
        opener: opens the client for a number of connections.
        requires: modules that must be installed.
        retries: whether it retries failed requests.
        is_ours: whether it is this library's client.
        on_uvloop: whether it runs on uvloop.
        has_sniffio: whether it can import sniffio, which isn't installed with httpx.
    """

    name: str
    description: str
    opener: peers.Opener
    requires: tuple[str, ...] = ()
    retries: bool = False
    is_ours: bool = False
    on_uvloop: bool = False
    has_sniffio: bool = False


def _ours(over: str, opener: peers.Opener, *requires: str, on_uvloop: bool = False) -> Client:
    return Client(
        f"typed_async_client, {over}",
        f"ours over {over}: tasks, events, results, retries",
        opener,
        requires,
        retries=True,
        is_ours=True,
        on_uvloop=on_uvloop,
    )


CLIENTS = (
    _ours("h11", ours.over_pool("h11")),
    _ours("llhttp", ours.over_pool("llhttp"), "httptools"),
    _ours("h11, uvloop", ours.over_pool("h11"), "uvloop", on_uvloop=True),
    _ours("llhttp, uvloop", ours.over_pool("llhttp"), "httptools", "uvloop", on_uvloop=True),
    _ours("httpx-aiohttp", ours.over_httpx_aiohttp, "httpx_aiohttp"),
    _ours("pyreqwest", ours.over_pyreqwest, "pyreqwest"),
    Client(
        "httpx-retries",
        "httpx with a retrying transport",
        peers.httpx_retries,
        ("httpx_retries",),
        retries=True,
    ),
    Client(
        "tenacity + httpx",
        "httpx's get under tenacity's retry decorator",
        peers.tenacity_httpx,
        ("tenacity",),
        retries=True,
    ),
    Client(
        "httpware",
        "resilient client on httpx2, with its retry middleware",
        peers.httpware,
        ("httpware",),
        retries=True,
    ),
    Client(
        "aiohttp-retry",
        "aiohttp with a retrying client",
        peers.aiohttp_retry,
        ("aiohttp_retry",),
        retries=True,
    ),
    Client(BASELINE, "httpx as installed by pip, the baseline", peers.stock_httpx),
    Client(
        "httpx, sniffio",
        "httpx with sniffio installed",
        peers.stock_httpx,
        ("sniffio",),
        has_sniffio=True,
    ),
    Client("httpx, uvloop", "httpx on uvloop", peers.stock_httpx, ("uvloop",), on_uvloop=True),
    Client(
        "httpx on our pool",
        "httpx over AsyncPoolTransport, llhttp: no tasks, events or retries",
        peers.on_transport(ours.pool("llhttp")),
        ("httptools",),
    ),
    Client("httpx2", "the maintained fork of httpx", peers.httpx2, ("httpx2",)),
    Client("httpx-aiohttp", "httpx over aiohttp", peers.httpx_aiohttp, ("httpx_aiohttp",)),
    Client("aiohttp", "aiohttp", peers.aiohttp, ("aiohttp",)),
    Client(
        "aiohttp, uvloop",
        "aiohttp on uvloop",
        peers.aiohttp,
        ("aiohttp", "uvloop"),
        on_uvloop=True,
    ),
    Client("niquests", "a fork of requests", peers.niquests, ("niquests",)),
    Client(
        "pyreqwest",
        "written in Rust, with its own threads",
        peers.pyreqwest,
        ("pyreqwest",),
    ),
)
"""Clients that retry come first; all of them make the same requests."""


def available() -> dict[str, Client]:
    """Return the clients whose libraries are installed, by name."""
    return {
        client.name: client
        for client in CLIENTS
        if all(importlib.util.find_spec(module) for module in client.requires)
    }


def versions() -> dict[str, str]:
    """Return the version of each library in use, by distribution name."""
    modules = {module for client in available().values() for module in client.requires}
    names = {module.replace("_", "-") for module in modules} | {"httpx", "httpcore"}
    return {name: importlib.metadata.version(name) for name in sorted(names)}
