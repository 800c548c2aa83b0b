"""The tables "What is retried" are true, row by row.

The full one is checked on real sockets, and the README's summary against the full one.
"""

import asyncio
import dataclasses
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import pytest
import trustme
from docs_pages import code_names, read_page

import typed_async_client
from typed_async_client import EventType, RequestContext, create_async_resilient_client
from typed_async_client.testing import FaultServer, Wire, answer, drop, half_body, reset, stall

_TABLE: Final = next(t for t in read_page("docs/usage.md").tables if "Retried" in t[0])

_SUMMARY: Final = next(t for t in read_page("README.md").tables if "Retried" in t[0])

_LIBRARIES: Final = {"httpx": httpx, "asyncio": asyncio, "typed_async_client": typed_async_client}


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """One way to cause what a row describes.

    Attributes:
        server: creates the server that the request goes to.
        url: returns the address to request, when it isn't the server's own.
        options: returns further options of the client.
    """

    server: Callable[[], FaultServer] = lambda: FaultServer(answer())
    url: Callable[[FaultServer], str] = lambda server: server.url
    options: Callable[[FaultServer], dict[str, Any]] = lambda _: {}


async def _cut_handshake(wire: Wire) -> None:
    await wire.read(1)
    wire.reset()


async def _answer_without_tls(wire: Wire) -> None:
    await wire.read(1)
    await wire.answer(400)


def _self_certified() -> FaultServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    return FaultServer(answer(), tls=context)


def _tls(server: FaultServer) -> str:
    return f"https://127.0.0.1:{server.port}/"


def _leaving_tls() -> FaultServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    return FaultServer(answer(302, b"", "Location: http://127.0.0.1/"), tls=context)


def _with_a_named_header(_: FaultServer) -> dict[str, Any]:
    return {
        "follow_redirects": True,
        "verify": False,
        "headers": {"X-Api-Key": "secret"},
        "redirect_headers": ["X-Api-Key"],
    }


def _soon(_: FaultServer) -> dict[str, Any]:
    return {"timeout": 0.1}


def _following(_: FaultServer) -> dict[str, Any]:
    return {"follow_redirects": True}


def _by_name(_: FaultServer) -> str:
    return "http://api.example.com/"


_FAULTS: Final[list[tuple[Fault, ...]]] = [
    (Fault(lambda: FaultServer(answer(), refusing=True)),),
    (Fault(lambda: FaultServer(_cut_handshake), _tls),),
    (Fault(url=_by_name),),
    (Fault(url=_by_name),),
    (Fault(_self_certified), Fault(lambda: FaultServer(_answer_without_tls), _tls)),
    (Fault(url=lambda _: "ftp://127.0.0.1/"),),
    (Fault(lambda: FaultServer(answer(302, b"", "Location: /")), options=_following),),
    (Fault(_leaving_tls, _tls, _with_a_named_header),),
    (
        Fault(
            lambda: FaultServer(answer(403)),
            lambda _: "https://api.example.com/",
            lambda server: {"proxy": server.url},
        ),
    ),
    (
        Fault(lambda: FaultServer(stall), options=_soon),
        Fault(lambda: FaultServer(stall), _tls, _soon),
    ),
    (
        Fault(lambda: FaultServer(drop)),
        Fault(lambda: FaultServer(reset)),
        Fault(lambda: FaultServer(half_body)),
    ),
    (Fault(lambda: FaultServer(answer(404))), Fault(lambda: FaultServer(answer(503)))),
    (Fault(lambda: FaultServer(stall)),),
]
"""How to cause each row, in the order of the table."""

_DNS: Final = {
    "Temporary DNS failure": socket.EAI_AGAIN,
    "Unknown host": socket.EAI_NONAME,
}
"""What the resolver answers in the rows about DNS."""

_CASES: Final = [
    pytest.param(row, fault, id=f"{row[0]}-{number}")
    for row, faults in zip(_TABLE[1:], _FAULTS, strict=True)
    for number, fault in enumerate(faults, start=1)
]


@pytest.mark.parametrize(("row", "fault"), _CASES)
async def test_rows_describe_what_happens(
    row: tuple[str, str, str, str, str], fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The retries, the events and what the caller gets are those of the row."""
    what, retried, _, events, outcome = row
    if what in _DNS:
        monkeypatch.setattr(socket, "getaddrinfo", _failing_with(_DNS[what]))
    cancelling = "cancelled" in what

    seen, came = await _live(fault, cancelling=cancelling)

    assert [kind.name for kind in seen] == code_names(events)
    assert (EventType.RETRY in seen) is (retried == "yes")
    kind = httpx.Response if isinstance(came, httpx.Response) else type(came)
    assert kind in [_class_of(name) for name in code_names(outcome)]


async def _live(fault: Fault, *, cancelling: bool) -> tuple[list[EventType], object]:
    """Make one request with one retry allowed; return its events and what its caller got."""
    seen: list[EventType] = []
    async with fault.server() as server, _client(fault, server) as client:
        for kind in EventType:
            client.add_event_callback(kind, lambda event: seen.append(event.event_type))
        context = RequestContext(max_retries=1, base_delay=0.0)
        task = await client.get(fault.url(server), context=context)
        if cancelling:
            await asyncio.wait({task}, timeout=0.1)
            task.cancel()
        (came,) = await asyncio.gather(task, return_exceptions=True)
        await client.wait_for_all_requests()
    return seen, came


@asynccontextmanager
async def _client(
    fault: Fault, server: FaultServer
) -> AsyncIterator[typed_async_client.AsyncResilientClient]:
    options = {"timeout": 20.0, "trust_env": False} | fault.options(server)
    async with create_async_resilient_client(**options) as client:
        yield client


def _failing_with(code: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "simulated")

    return fail


def _class_of(name: str) -> type:
    library, _, word = name.partition(".")
    found: type = getattr(_LIBRARIES[library], word)
    return found


def test_every_class_in_the_table_exists() -> None:
    """A reader can write ``except`` with each of them."""
    names = [name for row in _TABLE[1:] for name in code_names(row[-1])]
    assert len(names) >= len(_TABLE[1:])
    for name in names:
        assert isinstance(_class_of(name), type), name


_SUMMARIZED: Final = {
    "Connection refused, TLS handshake interrupted, temporary DNS failure": (0, 1, 2),
    "Unknown host, certificate rejected": (3, 4),
    "Timeout": (9,),
    "Connection lost after it was established": (10,),
    "Status 4xx or 5xx": (11,),
    "Task cancelled": (12,),
}
"""The rows of the full table that each row of the README summarizes."""


def test_the_summary_has_the_rows_that_are_checked() -> None:
    """Nobody can add a row to the README's table that no test looks at."""
    assert [row[0] for row in _SUMMARY[1:]] == list(_SUMMARIZED)


@pytest.mark.parametrize("row", _SUMMARY[1:], ids=[row[0] for row in _SUMMARY[1:]])
def test_the_summary_agrees_with_the_full_table(row: tuple[str, str, str]) -> None:
    """It says the same of retries, and its class catches whatever the caller gets."""
    what, retried, outcome = row
    (caught,) = code_names(outcome)
    for number in _SUMMARIZED[what]:
        full = _TABLE[1 + number]
        assert full[1] == retried
        for name in code_names(full[-1]):
            assert issubclass(_class_of(name), _class_of(caught)), name
