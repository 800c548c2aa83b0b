"""``client.download()`` from servers that lie, and what it refuses before it asks them."""

import pickle
from pathlib import Path
from typing import Any

import httpx
import pytest
from file_server import FILE, FileServer, Reply, lie, names, part, serving

from typed_async_client import (
    AsyncResilientClient,
    DownloadError,
    DownloadProgress,
    NotFoundError,
)
from typed_async_client.testing import SeenRequest, Wire

SIZE = len(FILE)
CUT = 100_000
REST = FILE[CUT:]

pytestmark = pytest.mark.usefixtures("no_leaks")


def chunked(body: bytes) -> Reply:
    """Announce the rest of the file, and send a body of another length."""

    async def reply(request: SeenRequest, wire: Wire) -> None:
        head = f"Content-Range: bytes {CUT}-{SIZE - 1}/{SIZE}".encode()
        await wire.send(b'HTTP/1.1 206 OK\r\nETag: "v1"\r\nTransfer-Encoding: chunked\r\n' + head)
        await wire.send(b"\r\n\r\n" + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    return reply


LIES: dict[str, tuple[Reply, str]] = {
    "another offset": (part(0), "bytes from 0 on, instead of 100000"),
    "another offset, unsaid": (part(CUT - 1, SIZE - 1, shift=1), "bytes from 99999 on"),
    "another total": (part(CUT, total=SIZE + 1), "a file of 300001 bytes, which had 300000"),
    "another entity tag": (part(CUT, None, 'ETag: "v2"'), "another version of the file"),
    "a weak entity tag": (part(CUT, None, 'ETag: W/"v1"'), "another version of the file"),
    "no entity tag": (part(CUT, None, "X: y"), "another version of the file"),
    "no place": (lie(206, REST, 'ETag: "v1"'), "without a valid Content-Range"),
    "two places": (
        lie(206, REST, 'ETag: "v1"', *[f"Content-Range: bytes {CUT}-{SIZE - 1}/{SIZE}"] * 2),
        "without a valid Content-Range",
    ),
    "several parts": (
        lie(206, REST, "Content-Type: multipart/byteranges; boundary=x"),
        "multipart/byteranges",
    ),
    "more bytes": (chunked(FILE), "more bytes than the 300000"),
    "one byte more": (chunked(REST + b"x"), "more bytes than the 300000"),
    "fewer bytes": (
        lie(206, b"x", 'ETag: "v1"', f"Content-Range: bytes {CUT}-{SIZE - 1}/{SIZE}"),
        "1 bytes, which aren't those of",
    ),
    "no rest of a longer file": (
        lie(416, b"", f"Content-Range: bytes */{SIZE}"),
        "a file of 300000 bytes, of which there are 100000",
    ),
    "no rest of another file": (lie(416, b"", f"Content-Range: bytes */{CUT}"), "no rest"),
    "no rest at all": (lie(416), "no rest, with Content-Range: None"),
}
"""What a server may answer to a request for the rest, and what is wrong with it."""


@pytest.mark.parametrize("name", list(LIES))
async def test_a_rest_that_does_not_fit_is_thrown_away(tmp_path: Path, name: str) -> None:
    """The download starts over, once; no byte of the lie is in the file."""
    reply, reason = LIES[name]
    files = FileServer(cuts=[CUT], replies=[None, reply])
    async with serving(files) as (url, client):
        done = await client.download(url, tmp_path / "a")
        assert done.path.read_bytes() == FILE
        assert files.ranges == [("", ""), (f"bytes={CUT}-", '"v1"'), ("", "")]
        assert (done.resumed_at, done.status_code) == (0, 200)
        files.cuts, files.replies = [CUT, CUT], [None, reply, None, reply]
        with pytest.raises(DownloadError) as raised:
            await client.download(url, tmp_path / "b")
        assert str(raised.value).count(reason) == 2
        assert raised.value.request.url == url
        assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
    assert not (tmp_path / "b").exists()


async def test_a_server_that_only_lies_about_the_rest_is_not_asked_forever(tmp_path: Path) -> None:
    """One that ignores ranges, and always breaks off at the same place, makes no progress."""
    files = FileServer(knows_ranges=False, cuts=[CUT] * 9)
    async with serving(files, max_retries=2) as (url, client):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.download(url, tmp_path / "a")
    assert len(files.ranges) == 3


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (
            lie(200, FILE, "Content-Encoding: gzip"),
            r"compressed the file \(Content-Encoding: 'gzip'",
        ),
        (lie(204), "status 204 comes with no file"),
        (lie(302, b"", "Location: /file"), "pass follow_redirects=True"),
        (part(0), "although the whole file was asked for"),
    ],
)
async def test_what_is_no_file_is_refused(tmp_path: Path, reply: Reply, reason: str) -> None:
    """At once, and nothing is left behind."""
    files = FileServer(replies=[reply])
    async with serving(files) as (url, client):
        with pytest.raises(DownloadError, match=reason) as raised:
            await client.download(f"{url}?sig=canary", tmp_path / "a")
    assert "canary" not in str(raised.value)
    assert len(files.ranges) == 1
    assert names(tmp_path) == set()


async def test_a_bad_status_is_raised(tmp_path: Path) -> None:
    """Whatever the client says otherwise; a part of the file stays."""
    missing = lie(404, b"gone", "Content-Type: text/plain")
    files = FileServer(cuts=[CUT], replies=[missing, lie(416), None, missing])
    async with serving(files) as (url, client):
        with pytest.raises(NotFoundError, match="gone"):
            await client.download(url, tmp_path / "a")
        with pytest.raises(httpx.HTTPStatusError, match="416"):
            await client.download(url, tmp_path / "a")
        assert names(tmp_path) == set()
        with pytest.raises(NotFoundError):
            await client.download(url, tmp_path / "a")
        assert (tmp_path / "a.part").read_bytes() == FILE[:CUT]
        assert (await client.download(url, tmp_path / "a")).resumed_at == CUT


async def test_a_redirect_is_followed_with_the_range(tmp_path: Path) -> None:
    """If the caller says so."""
    to = lie(302, b"", "Location: /file")
    files = FileServer(cuts=[CUT], replies=[to, None, to])
    async with serving(files) as (url, client):
        done = await client.download(f"{url}?a", tmp_path / "a", follow_redirects=True)
    assert (done.path.read_bytes(), files.sent) == (FILE, SIZE)
    assert files.ranges[2] == files.ranges[3] == (f"bytes={CUT}-", '"v1"')


async def test_a_compressed_file_is_stored_as_it_is_sent_if_asked_for(tmp_path: Path) -> None:
    """It is resumed as well: the entity tag is that of the compressed file."""
    files = FileServer(headers=['ETag: "gz"', "Content-Encoding: gzip"], cuts=[CUT])
    async with serving(files) as (url, client):
        done = await client.download(url, tmp_path / "a", headers={"Accept-Encoding": "gzip"})
    assert (done.path.read_bytes(), files.sent) == (FILE, SIZE)


async def test_two_downloads_to_the_same_path_are_refused(tmp_path: Path) -> None:
    """Also by two clients; the first is not disturbed."""
    refused: list[DownloadError] = []

    async def again(progress: DownloadProgress) -> None:
        async with AsyncResilientClient() as other:
            with pytest.raises(DownloadError, match="another download is writing to") as raised:
                await other.download(url, tmp_path / "a")
        refused.append(raised.value)

    files = FileServer()
    async with serving(files) as (url, client):
        done = await client.download(url, tmp_path / "a", progress=again)
    assert (done.path.read_bytes(), len(files.ranges)) == (FILE, 1)
    assert refused


@pytest.mark.parametrize("error", [httpx.ReadError("mine"), TimeoutError("mine"), OSError("mine")])
async def test_an_exception_of_the_callback_ends_the_download(
    tmp_path: Path, error: Exception
) -> None:
    """Even one that looks like that of a lost connection."""

    async def fail(progress: DownloadProgress) -> None:
        raise error

    files = FileServer()
    async with serving(files) as (url, client):
        with pytest.raises(type(error)) as raised:
            await client.download(url, tmp_path / "a", progress=fail)
        assert raised.value is error
        assert len(files.ranges) == 1
        done = await client.download(url, tmp_path / "a")
    assert done.resumed_at > 0
    assert done.path.read_bytes() == FILE


@pytest.mark.parametrize(
    ("options", "kind", "reason"),
    [
        ({"json": 1}, TypeError, r"'json': a download is a GET without a body: use client\.stream"),
        ({"raise_on_status": False}, TypeError, "always raises a status"),
        ({"header": {}}, TypeError, "did you mean 'headers'"),
        ({"progres": print}, TypeError, "did you mean 'progress'"),
        ({"headers": {"range": "bytes=0-1"}}, ValueError, "sets the header range itself"),
        ({"headers": [(b"If-Range", b"x")]}, ValueError, "sets the header If-Range itself"),
        ({"deadline": 0}, ValueError, "deadline must be"),
        ({"progress": 5}, TypeError, "progress must be callable, got 5"),
        ({"path": ""}, ValueError, "must name a file"),
        ({"path": None}, TypeError, "path must be a str or a path of text, got None"),
        ({"path": "a.part"}, ValueError, r"must not end with '\.part'"),
        ({"path": "/nowhere/at/all"}, FileNotFoundError, "no such folder"),
        ({"context": 5}, TypeError, "context must be a RequestContext"),
        ({"url": "http://[::1"}, httpx.InvalidURL, "Invalid"),
    ],
)
async def test_what_is_wrong_is_refused_before_anything_is_sent(
    tmp_path: Path, options: dict[str, Any], kind: type[Exception], reason: str
) -> None:
    """No file is created either."""
    files = FileServer()
    async with serving(files) as (url, client):
        with pytest.raises(kind, match=reason):
            await client.download(**{"url": url, "path": tmp_path / "a", **options})
    assert files.ranges == []
    assert names(tmp_path) == set()


async def test_a_file_in_the_place_of_the_part_is_neither_lost_nor_stored(tmp_path: Path) -> None:
    """Whether it is there before the download, or replaces the part meanwhile."""
    other = tmp_path / "a.part"
    other.write_bytes(b"mine")

    def replace(progress: DownloadProgress) -> None:
        (tmp_path / "new").write_bytes(b"mine")
        (tmp_path / "new").replace(other)

    files = FileServer()
    async with serving(files) as (url, client):
        with pytest.raises(DownloadError, match=r"a\.part' is in the way"):
            await client.download(url, tmp_path / "a")
        assert files.ranges == []
        other.unlink()
        with pytest.raises(DownloadError, match="was removed or replaced during the download"):
            await client.download(url, tmp_path / "a", progress=replace)
    assert names(tmp_path) == {"a.part"}
    assert other.read_bytes() == b"mine"


async def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """The file that it leads to is the one that is downloaded."""
    (tmp_path / "link").symlink_to(tmp_path / "real")
    async with serving(FileServer()) as (url, client):
        await client.download(url, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == FILE
    assert names(tmp_path) == {"link", "real"}


async def test_a_disk_that_fails_is_reported_as_it_is(tmp_path: Path) -> None:
    """The target has become a folder; what was received stays."""

    def spoil(progress: DownloadProgress) -> None:
        (tmp_path / "a").mkdir(exist_ok=True)

    async with serving(FileServer()) as (url, client):
        with pytest.raises(OSError, match="a"):
            await client.download(url, tmp_path / "a", progress=spoil)
        (tmp_path / "a").rmdir()
        assert (await client.download(url, tmp_path / "a")).fetched == 0
