"""``client.download()`` from servers that cut connections: what is on the disk isn't sent again."""

import asyncio
from pathlib import Path

import httpx
import pytest
from fault_handlers import wait_until
from file_server import FILE, FileServer, lie, names, part, serving, size_of
from steady_loop import advance

from typed_async_client import (
    AsyncResilientClient,
    BudgetExhaustedError,
    ClientClosedError,
    DeadlineExceededError,
    DownloadProgress,
    Resilience,
    RetryBudget,
    RetryPolicy,
)
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request

SIZE = len(FILE)
OLD = ["Last-Modified: Mon, 01 Jan 2024 10:00:00 GMT", "Date: Mon, 01 Jan 2024 10:05:00 GMT"]
QUICK = RetryPolicy(max_retries=2, base_delay=0.001)

pytestmark = pytest.mark.usefixtures("no_leaks")


async def stall(request: SeenRequest, wire: Wire) -> None:
    """Send the beginning of a file, and nothing more."""
    await wire.send(b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nContent-Length: 9\r\n\r\nabc')
    await wire.stall()


async def lose_head(request: SeenRequest, wire: Wire) -> None:
    """Close the connection instead of answering."""
    await wire.finish()


async def test_a_file_is_stored_with_what_is_known_about_it(tmp_path: Path) -> None:
    """It is asked for uncompressed, and nothing else is left in its folder."""
    files, seen = FileServer(), list[DownloadProgress]()
    async with serving(files) as (url, client):
        context = client.new_context("big", {"job": 7})
        done = await client.download(url, tmp_path / "a", context, progress=seen.append)
        result = client.get_result("big")
    assert (done.path.read_bytes(), names(tmp_path)) == (FILE, {"a"})
    assert (done.size, done.etag, done.fetched, done.attempts) == (SIZE, '"v1"', SIZE, 1)
    assert (done.status_code, done.headers["etag"], done.request_ids) == (200, '"v1"', ("big",))
    assert result is not None
    assert result.is_success
    assert seen[-1] == DownloadProgress(SIZE, SIZE)
    assert seen[-1].fraction == 1.0
    assert [each.received for each in seen] == sorted({each.received for each in seen})


async def test_what_is_asked_for_is_not_compressed(tmp_path: Path) -> None:
    """Whatever the client asks for otherwise."""
    seen: list[str] = []

    async def reply(request: SeenRequest, wire: Wire) -> None:
        seen.append(request.headers["accept-encoding"])
        await wire.answer(200, FILE)

    async with serving(reply, headers={"Accept-Encoding": "br"}) as (url, client):
        await client.download(url, tmp_path / "a")
    assert seen == ["identity"]


async def test_a_download_that_breaks_off_goes_on_where_it_was(tmp_path: Path) -> None:
    """No byte is sent twice."""
    files = FileServer(cuts=[100_000, 50_000, 1])
    async with serving(files) as (url, client):
        done = await client.download(url, tmp_path / "a", client.new_context("iso"))
    assert done.path.read_bytes() == FILE
    assert files.sent == done.fetched == SIZE
    assert files.ranges == [
        ("", ""),
        ("bytes=100000-", '"v1"'),
        ("bytes=150000-", '"v1"'),
        ("bytes=150001-", '"v1"'),
    ]
    assert (done.resumes, done.resumed_at, done.attempts, done.status_code) == (3, 0, 4, 206)
    assert done.request_ids == ("iso", "iso-2", "iso-3", "iso-4")


async def test_another_call_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    """Even if it has another client; the error of the first says so."""
    files, seen = FileServer(cuts=[100_000]), list[DownloadProgress]()
    async with serving(files, max_retries=0) as (url, client):
        with pytest.raises(httpx.RemoteProtocolError) as raised:
            await client.download(url, tmp_path / "a")
        assert "100000 bytes are on the disk" in raised.value.__notes__[0]
        assert names(tmp_path) == {"a.part", "a.part.json"}
        async with AsyncResilientClient() as other:
            done = await other.download(url, tmp_path / "a", progress=seen.append)
    assert (done.path.read_bytes(), names(tmp_path)) == (FILE, {"a"})
    assert (files.sent, done.fetched) == (SIZE, SIZE - 100_000)
    assert (done.resumed_at, done.resumes) == (100_000, 1)
    assert seen[-1] == DownloadProgress(SIZE, SIZE, 100_000, 1)


@pytest.mark.parametrize(
    ("user", "signature", "is_resumed"),
    [("me:two@", "one", True), ("", "one", True), ("me:one@", "two", False)],
)
async def test_a_part_belongs_to_a_url_whoever_asks_for_it(
    tmp_path: Path, user: str, signature: str, *, is_resumed: bool
) -> None:
    """Its parameters count, also those that the note hides; the password in it doesn't."""
    files = FileServer(cuts=[100_000])
    async with serving(files, max_retries=0) as (url, client):
        first = url.replace("//", "//me:one@")
        with pytest.raises(httpx.RemoteProtocolError):
            await client.download(first, tmp_path / "a", params={"sig": "one"})
        again = url.replace("//", f"//{user}")
        done = await client.download(again, tmp_path / "a", params={"sig": signature})
    assert (done.path.read_bytes(), done.resumed_at) == (FILE, 100_000 if is_resumed else 0)


async def test_a_file_needs_no_room_in_memory(tmp_path: Path) -> None:
    """The limit on responses that are kept doesn't apply to it, nor to its rest."""
    files = FileServer(cuts=[100_000])
    async with serving(files, max_response_bytes=1000) as (url, client):
        done = await client.download(url, tmp_path / "a")
    assert (done.path.read_bytes(), done.resumes) == (FILE, 1)


async def test_a_client_that_was_not_entered_counts_the_deadline_by_its_loop(
    tmp_path: Path,
) -> None:
    """It is bound to the loop by the first download."""

    async def look(progress: DownloadProgress) -> None:
        await asyncio.sleep(0)

    advance(100.0)
    async with FaultServer(each_request(FileServer())) as server:
        client = AsyncResilientClient()
        done = await client.download(server.url, tmp_path / "a", deadline=50.0, progress=look)
        await client.close()
    assert done.path.read_bytes() == FILE


async def test_an_error_says_nothing_of_resuming_if_there_is_nothing_to_resume(
    tmp_path: Path,
) -> None:
    """The connection was lost before the first byte."""
    async with serving(FileServer(cuts=[0]), max_retries=0) as (url, client):
        with pytest.raises(httpx.RemoteProtocolError) as raised:
            await client.download(url, tmp_path / "a")
    assert not any("on the disk" in note for note in getattr(raised.value, "__notes__", []))


async def test_an_old_date_will_do_without_an_entity_tag(tmp_path: Path) -> None:
    """The file hasn't changed for minutes when it was sent."""
    files = FileServer(headers=OLD, cuts=[100_000])
    async with serving(files) as (url, client):
        done = await client.download(url, tmp_path / "a")
    assert done.path.read_bytes() == FILE
    assert files.ranges[1] == ("bytes=100000-", "Mon, 01 Jan 2024 10:00:00 GMT")
    assert (files.sent, done.etag) == (SIZE, None)


@pytest.mark.parametrize(
    "headers", [[], ['ETag: W/"v1"'], ['ETag: W/"v1"', *OLD], [OLD[0]], [OLD[0], "Date: now"]]
)
async def test_a_download_starts_over_without_a_strong_validator(
    tmp_path: Path, headers: list[str]
) -> None:
    """Nothing tells whether the rest would fit."""
    files = FileServer(headers=headers, cuts=[100_000])
    async with serving(files) as (url, client):
        done = await client.download(url, tmp_path / "a")
    assert done.path.read_bytes() == FILE
    assert files.ranges == [("", ""), ("", "")]
    assert (files.sent, done.fetched, done.resumes) == (SIZE + 100_000, SIZE + 100_000, 0)


async def test_a_file_that_has_changed_since_the_last_call_is_sent_whole(tmp_path: Path) -> None:
    """Nothing of the part is in the file, and nothing says so."""
    files, seen = FileServer(cuts=[100_000]), list[DownloadProgress]()
    async with serving(files, max_retries=0) as (url, client):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.download(url, tmp_path / "a")
        files.body, files.headers = FILE[::-1], ['ETag: "v2"']
        done = await client.download(url, tmp_path / "a", progress=seen.append)
    assert (done.path.read_bytes(), done.resumed_at, done.resumes) == (FILE[::-1], 0, 0)
    assert {each.resumed_at for each in seen} == {0}


async def test_the_size_may_be_known_only_with_the_rest(tmp_path: Path) -> None:
    """The first response didn't announce it."""
    seen: list[DownloadProgress] = []

    async def begin(request: SeenRequest, wire: Wire) -> None:
        await wire.send(b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nTransfer-Encoding: chunked\r\n\r\n')
        await wire.send(b"a\r\n" + FILE[:10])
        await wire.finish()

    async with serving(FileServer(replies=[begin])) as (url, client):
        done = await client.download(url, tmp_path / "a", progress=seen.append)
    assert (done.path.read_bytes(), done.resumes) == (FILE, 1)
    assert (seen[0].total, seen[-1].total) == (None, SIZE)


async def test_a_file_that_has_changed_is_sent_whole(tmp_path: Path) -> None:
    """The server ignores the range, because its validator is another."""
    files = FileServer(cuts=[100_000])
    changed = FILE[::-1]

    def change(progress: DownloadProgress) -> None:
        if progress.received == 100_000:
            files.body, files.headers = changed, ['ETag: "v2"']

    async with serving(files) as (url, client):
        done = await client.download(url, tmp_path / "a", progress=change)
    assert files.ranges[1] == ("bytes=100000-", '"v1"')
    assert (done.path.read_bytes(), done.etag, done.resumed_at) == (changed, '"v2"', 0)


async def test_the_rest_may_come_in_pieces(tmp_path: Path) -> None:
    """A server may send less than was asked for, RFC 9110 section 14.2; it isn't waited for."""
    files = FileServer(cuts=[100_000])
    files.replies = [None, part(100_000, 150_000), part(150_000, 150_001, total="*")]
    async with serving(files, base_delay=30.0, max_delay=0.001) as (url, client):
        done = await client.download(url, tmp_path / "a")
    assert (done.path.read_bytes(), done.resumes, done.fetched) == (FILE, 3, SIZE)


async def test_nothing_is_sent_again_if_the_file_is_whole(tmp_path: Path) -> None:
    """The process was killed between the last byte and the end: the server says 416."""

    def die(progress: DownloadProgress) -> None:
        if progress.received == SIZE:
            raise LookupError("killed")

    files = FileServer()
    async with serving(files) as (url, client):
        with pytest.raises(LookupError):
            await client.download(url, tmp_path / "a", progress=die)
        done = await client.download(url, tmp_path / "a", progress=die)
    assert (done.path.read_bytes(), names(tmp_path)) == (FILE, {"a"})
    assert (files.sent, done.fetched, done.status_code, done.etag) == (SIZE, 0, 416, '"v1"')
    assert files.ranges[1] == (f"bytes={SIZE}-", '"v1"')


async def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    """And one without a length is as long as what is sent."""
    async with serving(FileServer(body=b"")) as (url, client):
        assert (await client.download(url, tmp_path / "a")).size == 0
        assert (tmp_path / "a").read_bytes() == b""

    async def chunked(request: SeenRequest, wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await wire.send(b"0\r\n\r\n")

    seen: list[DownloadProgress] = []
    async with serving(chunked) as (url, client):
        done = await client.download(url, tmp_path / "a", progress=seen.append)
    assert (done.size, done.complete, seen) == (3, True, [DownloadProgress(3)])
    assert seen[0].fraction is None


async def test_a_file_whose_end_is_not_marked_may_be_incomplete(tmp_path: Path) -> None:
    """The download says so."""

    async def until_close(request: SeenRequest, wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\n\r\nabc")
        await wire.finish()

    async with serving(until_close) as (url, client):
        done = await client.download(url, tmp_path / "a")
    assert (done.size, done.complete) == (3, None)


async def test_requests_without_progress_are_limited(tmp_path: Path) -> None:
    """Two retries are three requests, in whichever phase they break; progress allows as many again."""
    files = FileServer(cuts=[10, 0, 10, 0, 0, 0, 0])
    files.replies = [None, None, None, lose_head]
    async with serving(files, max_retries=2) as (url, client):
        with pytest.raises(httpx.RemoteProtocolError, match="no complete response"):
            await client.download(url, tmp_path / "a")
    assert [int(asked[6:-1] or 0) for asked, _ in files.ranges if asked] == [10, 10, 20, 20]


async def test_a_part_that_cannot_be_resumed_is_no_progress(tmp_path: Path) -> None:
    """It doesn't hide the progress that the next call makes."""
    files = FileServer(headers=[], cuts=[100_000])
    async with serving(files, max_retries=1) as (url, client):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.download(url, tmp_path / "a", client.new_context(max_retries=0))
        assert size_of(tmp_path / "a.part") == 100_000
        files.headers, files.cuts, files.replies = ['ETag: "v1"'], [10, 10], [lose_head]
        done = await client.download(url, tmp_path / "a")
    assert (done.path.read_bytes(), done.resumed_at, done.fetched) == (FILE, 0, SIZE)
    assert [asked for asked, _ in files.ranges] == ["", "", "", "bytes=10-", "bytes=20-"]


async def test_a_policy_that_retries_counts_together_with_the_download(tmp_path: Path) -> None:
    """What breaks before the head is retried by the policy, and not by the download as well."""
    files = FileServer(cuts=[10])
    files.replies = [None, *[lose_head] * 9]
    async with serving(files, resilience=Resilience(retry=QUICK)) as (url, client):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.download(url, tmp_path / "a")
        assert len(files.ranges) == 3
        files.replies = [lie(503, b"later"), None]
        assert (await client.download(url, tmp_path / "a")).attempts == 2
    assert (tmp_path / "a").read_bytes() == FILE


async def test_the_budget_limits_requests_for_the_rest(tmp_path: Path) -> None:
    """The error says so, and its cause is what broke."""
    files = FileServer(cuts=[10, 10, 10])
    budget = RetryBudget(ratio=0.0, min_per_second=0.1, ttl=10.0)
    async with serving(files, resilience=Resilience(retry=QUICK, budget=budget)) as (url, client):
        with pytest.raises(BudgetExhaustedError, match="isn't asked for the rest") as raised:
            await client.download(url, tmp_path / "a")
    assert isinstance(raised.value.__cause__, httpx.RemoteProtocolError)
    assert len(files.ranges) == 2


async def test_the_deadline_bounds_all_requests(tmp_path: Path) -> None:
    """Their bodies, the waits between them, and the callback."""

    async def hang(progress: DownloadProgress) -> None:
        await asyncio.Event().wait()

    files = FileServer(replies=[stall])
    async with serving(files, base_delay=60.0) as (url, client):
        with pytest.raises(DeadlineExceededError, match="before the response from"):
            await client.download(url, tmp_path / "a", deadline=0.1)
        assert (tmp_path / "a.part").read_bytes() == b"abc"
        files.cuts = [10]
        with pytest.raises(DeadlineExceededError, match="no time is left") as raised:
            await client.download(url, tmp_path / "b", deadline=30.0)
        assert isinstance(raised.value.__cause__, httpx.RemoteProtocolError)
        with pytest.raises(DeadlineExceededError, match="progress callback"):
            await client.download(url, tmp_path / "c", deadline=0.1, progress=hang)
        resilience = Resilience(deadline=0.1)
        with pytest.raises(DeadlineExceededError, match="progress callback"):
            await client.download(url, tmp_path / "c", resilience=resilience, progress=hang)


async def test_cancelling_at_any_turn_loses_nothing_that_was_written(tmp_path: Path) -> None:
    """The next call goes on from there; no task, connection or file is left open."""
    files = FileServer(cuts=[20_000] * 1000)
    limits = httpx.Limits(max_connections=1)
    path, turns, kept = tmp_path / "a", 0, 0
    async with serving(files, limits=limits, base_delay=0.0) as (url, client):
        while not path.exists():
            task = asyncio.create_task(client.download(url, path))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            written = size_of(path) or size_of(tmp_path / "a.part")
            assert written >= kept
            kept, turns = written, turns + 1
            await wait_until(lambda: client.active_tasks_count == 0)
    assert (path.read_bytes(), names(tmp_path)) == (FILE, {"a"})
    assert turns > 20


async def test_closing_the_client_ends_a_download(tmp_path: Path) -> None:
    """Nobody waits before a request that couldn't be sent."""

    async def stop(progress: DownloadProgress) -> None:
        await client.close()

    async with serving(FileServer(replies=[stall]), base_delay=60.0) as (url, client):
        with pytest.raises(httpx.ReadError, match="the client was closed meanwhile"):
            await client.download(url, tmp_path / "a", progress=stop)
        with pytest.raises(ClientClosedError):
            await client.download(url, tmp_path / "a")
