"""The frames of our requests, compared with those of curl for the same request."""

import asyncio
import dataclasses
import functools
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from frame_recorder import Connection, Recorder, Sent
from hyperframe.frame import HeadersFrame, PriorityFrame, PushPromiseFrame, SettingsFrame

from typed_async_client import AsyncPoolTransport, create_async_resilient_client

PSEUDO = [":method", ":scheme", ":authority", ":path"]

CONNECTION_SPECIFIC = {
    "connection",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
}
"""Fields that RFC 9113 section 8.2.2 forbids, and the two that HTTP/2 has no use for."""

_BODY = b"a body " * 10_000


@functools.cache
def curl_without_http2() -> str | None:
    """Return why curl can't be compared with; None if it can."""
    program = shutil.which("curl")
    if program is None:
        return "curl isn't installed"
    shown = subprocess.run([program, "--version"], capture_output=True, check=True, text=True)
    return None if " HTTP2 " in f"{shown.stdout} ".replace("\n", " ") else "curl has no HTTP/2"


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One request, in the words of curl and of httpx.

    Attributes:
        curl: options of curl; ``{file}`` is a file with the body.
        ours: arguments of ``httpx.AsyncClient.request``, without the URL.
        path: what follows the port in the URL.
        same: fields that must be equal, beside the pseudo-header fields.
    """

    curl: tuple[str, ...]
    ours: dict[str, Any]
    path: str = "/"
    same: tuple[str, ...] = ("content-length", "content-type", "te", "cookie", "expect")


def _with_header(name: str, value: str, *same: str, **ours: Any) -> Case:
    arguments = {"method": "GET", "headers": {name: value}, **ours}
    return Case(("-H", f"{name}: {value}"), arguments, same=(*same, name.lower()))


FORM = {"content-type": "application/x-www-form-urlencoded"}

CASES = {
    "GET": Case((), {"method": "GET"}),
    "GET of a path with a query": Case((), {"method": "GET"}, "/a%20b/c?d=e&f=%2F"),
    "GET of an empty path": Case((), {"method": "GET"}, ""),
    "GET of an empty query": Case((), {"method": "GET"}, "/a?"),
    "HEAD": Case(("-I",), {"method": "HEAD"}),
    "DELETE": Case(("-X", "DELETE"), {"method": "DELETE"}),
    "OPTIONS": Case(("-X", "OPTIONS"), {"method": "OPTIONS"}),
    "POST": Case(("-d", "a=b"), {"method": "POST", "data": {"a": "b"}}),
    "POST of an empty body": Case(("-d", ""), {"method": "POST", "content": b"", "headers": FORM}),
    "POST of a large body": Case(
        ("--data-binary", "@{file}", "-H", "content-type: text/plain"),
        {"method": "POST", "content": _BODY, "headers": {"Content-Type": "text/plain"}},
    ),
    "PUT": Case(("-T", "{file}"), {"method": "PUT", "content": _BODY}, "/body"),
    "te": _with_header("TE", "trailers"),
    "two cookies": Case(("-b", "a=b; c=d"), {"method": "GET", "headers": {"Cookie": "a=b; c=d"}}),
    "credentials": Case(
        ("-u", "user:secret"),
        {"method": "GET", "auth": ("user", "secret")},
        same=("authorization",),
    ),
    "a name in capitals": _with_header("X-CAPITALS", "Value As It Is"),
    "an empty value": Case(
        ("-H", "x-empty;"), {"method": "GET", "headers": {"x-empty": ""}}, same=("x-empty",)
    ),
    "another host": Case(
        ("-H", "Host: other.test"), {"method": "GET", "headers": {"Host": "other.test"}}
    ),
    "connection": _with_header("Connection", "keep-alive"),
    "transfer-encoding": Case(
        ("-d", "a=b", "-H", "Transfer-Encoding: chunked"),
        {"method": "POST", "content": b"a=b", "headers": {**FORM, "Transfer-Encoding": "chunked"}},
        same=("transfer-encoding", "content-type"),
    ),
}


@pytest.fixture(name="recorder")
async def _recorder() -> AsyncIterator[Recorder]:
    async with Recorder().running() as recorder:
        yield recorder


async def send_with_curl(case: Case, url: str, folder: Path) -> None:
    """Send a request with curl."""
    file = folder / "body"
    file.write_bytes(_BODY)
    options = [option.format(file=file) for option in case.curl]
    fixed = ("--http2-prior-knowledge", "--silent", "--show-error", "--noproxy", "*", "-q")
    process = await asyncio.create_subprocess_exec(
        "curl",
        "-q",
        *fixed,
        "--path-as-is",
        *options,
        f"{url}{case.path}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await process.communicate()
    assert (process.returncode, complaint) == (0, b"")


def our_transport() -> AsyncPoolTransport:
    """Create a transport that speaks HTTP/2 only."""
    return AsyncPoolTransport(http1=False, http2=True)


async def send_ours(url: str, **arguments: Any) -> None:
    """Send a request with our transport."""
    async with httpx.AsyncClient(transport=our_transport()) as client:
        response = await client.request(url=url, **arguments)
        assert (response.status_code, response.http_version) == (204, "HTTP/2")


def only_request(connection: Connection) -> Sent:
    """Return the request of a connection that has carried only one."""
    (request,) = connection.requests.values()
    return request


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_a_request_looks_like_one_of_curl(
    case: Case, recorder: Recorder, tmp_path: Path
) -> None:
    """Pseudo-header fields, body, the frame that ends it, and what describes it."""
    reason = curl_without_http2()
    if reason is not None:
        pytest.skip(reason)
    await send_with_curl(case, recorder.url, tmp_path)
    await send_ours(f"{recorder.url}{case.path}", **case.ours)
    theirs, ours = map(only_request, recorder.connections)
    assert sorted(ours.pseudo) == sorted(theirs.pseudo)
    for name in (*PSEUDO, *case.same):
        assert (name, ours.values(name)) == (name, theirs.values(name))
    assert ours.body == theirs.body
    if "0" not in ours.values("content-length"):  # both frames may end an empty body
        assert ours.ends_in == theirs.ends_in


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_a_request_is_well_formed(case: Case, recorder: Recorder) -> None:
    """By RFC 9113 section 8: pseudo-header fields first, lower case, nothing about the connection."""
    await send_ours(f"{recorder.url}{case.path}", **case.ours)
    request = only_request(recorder.connections[0])
    names = [name for name, _ in request.fields]
    assert sorted(names[:4]) == sorted(PSEUDO)
    assert names == [name.lower() for name in names]
    assert not CONNECTION_SPECIFIC & set(names)
    assert not any(name.startswith(":") for name in names[4:])
    assert request.values("te") in ([], ["trailers"])
    assert "PRIORITY" not in request.flags
    assert len(request.parts) == len([part for part in request.parts if 0 < part <= 16_384])


async def test_a_generated_body_has_no_length(recorder: Recorder) -> None:
    """The end of the stream is the end of the body."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"one "
        yield b""
        yield b"two"

    await send_ours(recorder.url, method="POST", content=parts())
    request = only_request(recorder.connections[0])
    assert (request.body, request.ends_in) == (b"one two", "DataFrame")
    assert request.values("content-length") == request.values("transfer-encoding") == []


async def test_a_connection_starts_with_sane_settings(recorder: Recorder) -> None:
    """No push, windows that a server may fill, then requests; and the server's are acknowledged."""
    await send_ours(recorder.url, method="GET")
    (connection,) = recorder.connections
    assert isinstance(connection.frames[0], SettingsFrame)
    settings = connection.settings
    assert settings[SettingsFrame.ENABLE_PUSH] == 0
    assert 65_535 <= settings.get(SettingsFrame.INITIAL_WINDOW_SIZE, 65_535) < 2**31
    assert 16_384 <= settings.get(SettingsFrame.MAX_FRAME_SIZE, 16_384) < 2**24
    assert 4096 <= settings.get(SettingsFrame.HEADER_TABLE_SIZE, 4096) <= 2**20
    acknowledged = [frame for frame in connection.frames if "ACK" in frame.flags]
    assert [type(frame) for frame in acknowledged] == [SettingsFrame]
    assert not any(
        isinstance(frame, PriorityFrame | PushPromiseFrame) for frame in connection.frames
    )


async def test_streams_are_odd_and_increase(recorder: Recorder) -> None:
    """Fifty concurrent requests of the resilient client open streams 1, 3, 5 and so on."""
    async with create_async_resilient_client(http1=False, http2=True) as client:
        tasks = [await client.get(f"{recorder.url}/{number}") for number in range(50)]
        responses = await asyncio.gather(*tasks)
    assert {response.status_code for response in responses} == {204}
    (connection,) = recorder.connections
    opened = [frame.stream_id for frame in connection.frames if isinstance(frame, HeadersFrame)]
    assert opened == list(range(1, 100, 2))
    paths = {path for sent in connection.requests.values() for path in sent.values(":path")}
    assert paths == {f"/{number}" for number in range(50)}
