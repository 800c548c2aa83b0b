"""The table "What is retried" of the README is true, row by row, on real sockets."""

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
from readmes import read_page

import typed_async_client
from typed_async_client import EventType, RequestContext, create_async_resilient_client
from typed_async_client.testing import FaultServer, Wire, answer, drop, half_body, reset, stall

_TABLE: Final = next(table for table in read_page("README.md").tables if "Retried" in table[0])

_LIBRARIES: Final = {"httpx": httpx, "asyncio": asyncio, "typed_async_client": typed_async_client}


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """One way to bring about what a row tells of.

    Attributes:
        server: makes the server that the request goes to.
        url: its address, when the server's own is not what is asked for.
        options: further options of the client.
    """

    server: Callable[[], FaultServer] = lambda: FaultServer(answer())
    url: Callable[[FaultServer], str] = lambda server: server.url
    options: Callable[[FaultServer], dict[str, Any]] = lambda _: {}


async def _cut_handshake(wire: Wire) -> None:
    await wire.read(1)
    wire.reset()


async def _speak_plainly(wire: Wire) -> None:
    await wire.read(1)
    await wire.answer(400)


def _self_certified() -> FaultServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    return FaultServer(answer(), tls=context)


def _tls(server: FaultServer) -> str:
    return f"https://127.0.0.1:{server.port}/"


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
    (Fault(_self_certified), Fault(lambda: FaultServer(_speak_plainly), _tls)),
    (Fault(url=lambda _: "http://127.0.0.1:65536/"),),
    (Fault(url=lambda _: "ftp://127.0.0.1/"),),
    (Fault(url=lambda _: "http://127.0.0.1:x/"), Fault(url=lambda _: "http://127.0.0.1/\n")),
    (Fault(lambda: FaultServer(answer(302, b"", "Location: /")), options=_following),),
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
"""How to bring about each row, in the order of the table."""

_NAME_SERVICE: Final = {
    "Temporary failure of the name service": socket.EAI_AGAIN,
    "Unknown host": socket.EAI_NONAME,
}
"""What the name service answers in the rows that tell of it."""

_CASES: Final = [
    pytest.param(row, fault, id=f"{row[0]}-{number}")
    for row, faults in zip(_TABLE[1:], _FAULTS, strict=True)
    for number, fault in enumerate(faults, start=1)
]


@pytest.mark.parametrize(("row", "fault"), _CASES)
async def test_a_row_tells_what_happens(
    row: tuple[str, str, str, str], fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The retries, the events and what the caller gets are those of the row."""
    what, retried, events, outcome = row
    if what in _NAME_SERVICE:
        monkeypatch.setattr(socket, "getaddrinfo", _failing_with(_NAME_SERVICE[what]))
    cancelling = "cancelled" in what

    seen, came = await _live(fault, cancelling=cancelling)

    assert [kind.name for kind in seen] == _names(events)
    assert (EventType.RETRY in seen) is (retried == "yes")
    kind = httpx.Response if isinstance(came, httpx.Response) else type(came)
    assert kind in [_class_of(name) for name in _names(outcome)]


async def _live(fault: Fault, *, cancelling: bool) -> tuple[list[EventType], object]:
    """Make one request, with one retry allowed; give its events, and what its caller got."""
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
        raise socket.gaierror(code, "as the test wants it")

    return fail


def _names(cell: str) -> list[str]:
    return cell.split("`")[1::2]


def _class_of(name: str) -> type:
    library, _, word = name.partition(".")
    found: type = getattr(_LIBRARIES[library], word)
    return found


def test_every_class_that_the_table_names_exists() -> None:
    """A reader can write ``except`` with each of them."""
    for *_, outcome in _TABLE[1:]:
        for name in _names(outcome):
            assert isinstance(_class_of(name), type), name
