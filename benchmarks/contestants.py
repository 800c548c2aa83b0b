"""Who is compared, in which words, and which libraries each of them needs.

It opens nothing by itself: ``peers.py`` and ``ours.py`` do.
"""

import dataclasses
import importlib.metadata
import importlib.util

import ours
import peers

__all__ = ["CONTESTANTS", "STOCK", "Contestant", "available", "versions"]

STOCK = "httpx"
"""The one that all others are measured by."""


@dataclasses.dataclass(frozen=True, slots=True)
class Contestant:
    """One row of the comparison.

    Attributes:
        name: what the row is called.
        says: what it does, in one line.
        opener: opens its client for a number of connections.
        needs: modules that must be installed.
        retries: whether it retries failed requests, or would.
        is_ours: whether it is this library's client.
        on_uvloop: whether its turns are played on uvloop.
        has_sniffio: whether it may find sniffio, which pip does not install with httpx.
    """

    name: str
    says: str
    opener: peers.Opener
    needs: tuple[str, ...] = ()
    retries: bool = False
    is_ours: bool = False
    on_uvloop: bool = False
    has_sniffio: bool = False


def _ours(over: str, opener: peers.Opener, *needs: str, on_uvloop: bool = False) -> Contestant:
    return Contestant(
        f"typed_async_client, {over}",
        f"ours over {over}: tasks, events, results, retries",
        opener,
        needs,
        retries=True,
        is_ours=True,
        on_uvloop=on_uvloop,
    )


CONTESTANTS = (
    _ours("h11", ours.over_pool("h11")),
    _ours("llhttp", ours.over_pool("llhttp"), "httptools"),
    _ours("h11, uvloop", ours.over_pool("h11"), "uvloop", on_uvloop=True),
    _ours("llhttp, uvloop", ours.over_pool("llhttp"), "httptools", "uvloop", on_uvloop=True),
    _ours("httpx-aiohttp", ours.over_httpx_aiohttp, "httpx_aiohttp"),
    _ours("pyreqwest", ours.over_pyreqwest, "pyreqwest"),
    Contestant(
        "httpx-retries",
        "httpx with a retrying transport",
        peers.httpx_retries,
        ("httpx_retries",),
        retries=True,
    ),
    Contestant(
        "tenacity + httpx",
        "httpx's get under tenacity's retry decorator",
        peers.tenacity_httpx,
        ("tenacity",),
        retries=True,
    ),
    Contestant(
        "httpware",
        "resilient client on httpx2, with its retry middleware",
        peers.httpware,
        ("httpware",),
        retries=True,
    ),
    Contestant(
        "aiohttp-retry",
        "aiohttp with a retrying client",
        peers.aiohttp_retry,
        ("aiohttp_retry",),
        retries=True,
    ),
    Contestant(STOCK, "httpx as pip installs it, the measure of all", peers.stock_httpx),
    Contestant(
        "httpx, sniffio",
        "httpx, with sniffio installed beside it",
        peers.stock_httpx,
        ("sniffio",),
        has_sniffio=True,
    ),
    Contestant(
        "httpx, uvloop", "httpx as it is, on uvloop", peers.stock_httpx, ("uvloop",), on_uvloop=True
    ),
    Contestant(
        "httpx on our pool",
        "httpx over AsyncPoolTransport, llhttp: no tasks, events or retries",
        peers.on_transport(ours.pool("llhttp")),
        ("httptools",),
    ),
    Contestant("httpx2", "the maintained fork of httpx", peers.httpx2, ("httpx2",)),
    Contestant("httpx-aiohttp", "httpx over aiohttp", peers.httpx_aiohttp, ("httpx_aiohttp",)),
    Contestant("aiohttp", "aiohttp as it is", peers.aiohttp, ("aiohttp",)),
    Contestant(
        "aiohttp, uvloop",
        "aiohttp as it is, on uvloop",
        peers.aiohttp,
        ("aiohttp", "uvloop"),
        on_uvloop=True,
    ),
    Contestant("niquests", "descendant of requests, as it is", peers.niquests, ("niquests",)),
    Contestant(
        "pyreqwest",
        "written in Rust, with threads of its own",
        peers.pyreqwest,
        ("pyreqwest",),
    ),
)
"""Those that retry stand first; all of them make the same requests."""


def available() -> dict[str, Contestant]:
    """Give the contestants whose libraries are installed, by name."""
    return {
        one.name: one
        for one in CONTESTANTS
        if all(importlib.util.find_spec(module) for module in one.needs)
    }


def versions() -> dict[str, str]:
    """Give the version of each library that plays, by the name of its distribution."""
    modules = {module for one in available().values() for module in one.needs}
    names = {module.replace("_", "-") for module in modules} | {"httpx", "httpcore"}
    return {name: importlib.metadata.version(name) for name in sorted(names)}
