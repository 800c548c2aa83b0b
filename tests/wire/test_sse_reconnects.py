"""``client.sse()`` connects again: after which ends, with which id, and how often."""

import asyncio
import contextlib
import io
import logging
from typing import Any

import httpx
import httpx2
import pytest
from event_servers import (
    active_in,
    breaks,
    chunk,
    ends,
    ids_sent,
    no_content,
    open_stream,
    serving,
    stalls,
)
from fault_handlers import wait_until
from leak_checks import no_leaks
from steady_loop import pass_time

from typed_async_client import (
    AsyncEvent,
    AsyncResilientClient,
    BudgetExhaustedError,
    ClientClosedError,
    ConnectError,
    DeadlineExceededError,
    EventStreamEndedError,
    EventType,
    NotEventStreamError,
    NotFoundError,
    Resilience,
    ResultStatus,
    RetryBudget,
    RetryPolicy,
)
from typed_async_client.stores import LocalStore
from typed_async_client.testing import FaultServer, Wire

pytestmark = pytest.mark.usefixtures("no_leaks")


async def test_another_connection_goes_on_after_the_last_event() -> None:
    """Whether the stream ended or broke; what wasn't complete comes again."""
    answers = (
        breaks(b"id: 1\ndata: a\n\nid: 2\ndata: unfini"),
        ends(b"id: 2\ndata: b\n\nid: \xe6\x97\xa5\ndata: c\n\n"),
        breaks(b"data: d\n\n"),
        ends(b"id: a\0b\ndata: e\n\nid\ndata: f\n\n"),
        no_content,
    )
    async with serving(*answers) as (server, client):
        async with client.sse(server.url) as events:
            seen = [(event.data, event.id) async for event in events]
            assert events.last_event_id == ""
        assert seen == [("a", "1"), ("b", "2"), ("c", "日"), ("d", "日"), ("e", "日"), ("f", "")]
        assert ids_sent(server) == [None, "1", "日", "日", None]
        assert active_in(client) == 0


@pytest.mark.parametrize("last", [b"a\tb\x01", b"\x0b", b"a\x7f"])
async def test_an_id_that_no_header_can_carry_is_not_sent(last: bytes) -> None:
    """The events have it, and the stream goes on."""
    answers = ends(b"id: 1\ndata: a\n\nid: " + last + b"\ndata: b\n\n"), ends(b"data: c\n\n")
    async with serving(*answers, no_content) as (server, client):
        async with client.sse(server.url, last_event_id="0") as events:
            seen = [(event.data, event.id) async for event in events]
            assert events.last_event_id == last.decode()
        assert seen == [("a", "1"), ("b", last.decode()), ("c", last.decode())]
        assert ids_sent(server) == ["0", None, None]


@pytest.mark.parametrize("library", [None, httpx, httpx2])
async def test_a_body_that_can_be_sent_once_has_one_connection(library: Any) -> None:
    """Nothing is waited for: the break is raised, with a note, and a normal end is one."""
    retry = b"retry: 60000\ndata: a\n\n"
    async with contextlib.AsyncExitStack() as stack:
        own: dict[str, Any] = {}
        if library is not None:
            own["http_client"] = await stack.enter_async_context(library.AsyncClient())
        server, client = await stack.enter_async_context(serving(breaks(retry), ends(retry), **own))
        options: Any = {"method": "POST", "reconnect": True}
        async with client.sse(server.url, content=iter([b"x"]), **options) as events:
            assert (await anext(events)).data == "a"
            with pytest.raises((library or httpx).RemoteProtocolError) as raised:
                await anext(events)
            assert [event async for event in events] == []
        (note,) = raised.value.__notes__
        assert note == (
            "not connected again: the body comes from an iterator, which can be read only once, and "
            "an earlier attempt has begun to read it; pass bytes, an open file, or an object that "
            "iterates from the start each time"
        )
        async with client.sse(server.url, content=iter([b"x"]), **options) as events:
            assert [event.data async for event in events] == ["a"]
        assert [seen.body for seen in server.requests] == [b"x"] * 2


async def test_a_form_with_a_file_that_can_be_read_once_has_one_connection() -> None:
    """Another one would get an empty file; a form that can be read again is sent again."""

    class Once(io.BytesIO):
        def seekable(self) -> bool:
            return False

    async with serving(breaks(b"data: a\n\n")) as (server, client):
        options: Any = {"method": "POST", "reconnect": True}
        async with client.sse(server.url, files={"f": Once(b"x")}, **options) as events:
            assert (await anext(events)).data == "a"
            with pytest.raises(httpx.RemoteProtocolError) as raised:
                await anext(events)
        assert "comes from a form with a file that can't be rewound" in raised.value.__notes__[0]
        assert len(server.requests) == 1
        async with client.sse(server.url, files={"f": io.BytesIO(b"x")}, **options) as events:
            assert [(await anext(events)).data for _ in range(2)] == ["a", "a"]


async def test_each_connection_is_a_request_of_its_own() -> None:
    """With its own id, result and events; the log says what broke and how long the wait is."""
    events_seen: list[tuple[str, EventType]] = []

    def note(event: AsyncEvent) -> None:
        events_seen.append((event.context.request_id, event.event_type))

    async with serving(breaks(b"data: 1\n\n"), ends(b"data: 2\n\n"), no_content) as (
        server,
        client,
    ):
        for kind in EventType:
            client.add_event_callback(kind, note)
        context = client.new_context("feed", metadata={"tenant": 7})
        async with client.sse(server.url, context) as events:
            assert [event.data async for event in events] == ["1", "2"]
        results = await client.wait_for_all_requests()
        assert {name: result.status for name, result in results.items()} == {
            "feed": ResultStatus.ERROR,
            "feed-2": ResultStatus.SUCCESS,
            "feed-3": ResultStatus.SUCCESS,
        }
        assert events_seen == [
            ("feed", EventType.ERROR),
            ("feed-2", EventType.SUCCESS),
            ("feed-3", EventType.SUCCESS),
        ]


async def test_the_log_tells_of_each_reconnection(caplog: pytest.LogCaptureFixture) -> None:
    """With the delay and the cause, and without secrets."""
    with caplog.at_level(logging.INFO, logger="typed_async_client"):
        async with (
            serving(ends(b"retry: 0\ndata: 1\n\n"), no_content) as (server, client),
            client.sse(f"{server.url}?token=s3cret") as events,
        ):
            assert [event.data async for event in events] == ["1"]
    lines = [record.getMessage() for record in caplog.records if "event stream" in record.message]
    assert lines == [
        f"GET {server.url}?token=REDACTED: reconnecting the event stream in 0.00 s (it ended)"
    ]


async def test_what_the_server_has_asked_for_applies_to_later_connections(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The second one doesn't say it again."""
    answers = ends(b"retry: 10\ndata: 1\n\n"), ends(b"data: 2\n\n"), no_content
    with caplog.at_level(logging.INFO, logger="typed_async_client"):
        async with serving(*answers) as (server, client), client.sse(server.url) as events:
            assert [event.data async for event in events] == ["1", "2"]
    waits = [line for line in caplog.messages if "reconnecting the event stream" in line]
    assert [line.partition("stream in ")[2] for line in waits] == ["0.01 s (it ended)"] * 2


async def test_connections_without_an_event_are_limited() -> None:
    """An event starts the count again; a stream that always ends isn't asked for forever."""
    answers = (ends(), ends(b"data: 1\n\n"), ends(b": nothing\n\n"), ends(), ends(b"id: 9\n\n"))
    async with serving(*answers) as (server, client):
        async with client.sse(server.url) as events:
            assert (await anext(events)).data == "1"
            with pytest.raises(EventStreamEndedError, match="3 attempts in a row") as raised:
                await anext(events)
            assert [event async for event in events] == []
            assert events.last_event_id == "9"
        assert raised.value.request.url == server.url
        assert len(server.requests) == 5


async def test_a_connection_that_has_brought_an_event_need_not_end_with_one() -> None:
    """A comment may follow it, as servers send to show that they are alive."""
    was_read = asyncio.Event()

    async def comment(wire: Wire) -> None:
        await was_read.wait()
        await wire.send(chunk(b": alive\n"))
        await wire.finish()

    answer = open_stream(b"data: 1\n\n", then=comment)
    async with serving(answer, no_content) as (server, client):
        async with client.sse(server.url, client.new_context(max_retries=0)) as events:
            assert (await anext(events)).data == "1"
            was_read.set()
            assert [event async for event in events] == []
        assert len(server.requests) == 2


async def test_a_204_ends_its_request_at_once() -> None:
    """It needn't be left for that."""
    async with (
        serving(no_content) as (server, client),
        client.sse(server.url) as events,
    ):
        assert client.statistics().active == 0
        assert [event async for event in events] == []
        assert len(server.requests) == 1


async def test_connections_that_break_without_an_event_are_limited() -> None:
    """The error of the last one is raised; without retries there is no second one."""
    async with serving(breaks(b"data: 1\n\n"), breaks()) as (server, client):
        context = client.new_context(max_retries=0)
        async with client.sse(server.url, context) as events:
            assert (await anext(events)).data == "1"
            with pytest.raises(httpx.RemoteProtocolError) as raised:
                await anext(events)
        assert raised.value.__notes__[-1].startswith("gave up with max_retries=0: 1 attempts")
        assert len(server.requests) == 2


async def test_retries_of_a_connection_count_as_attempts_without_an_event() -> None:
    """So ``max_retries`` limits all of them together, not each connection anew."""

    async def busy(wire: Wire) -> None:
        await wire.answer(503, b"later")

    policies = Resilience(retry=RetryPolicy(max_retries=3, base_delay=0.001))
    answers = busy, busy, ends(), busy, breaks(b"data: 1\n\n")
    async with serving(*answers, resilience=policies) as (server, client):
        context = client.new_context("r", max_retries=2)
        with pytest.raises(EventStreamEndedError, match="max_retries=2: 3 attempts in a row"):
            async with client.sse(server.url, context) as events:
                await anext(events)
        assert len(server.requests) == 3
        assert (await client.wait_for_request("r")).attempts == 3


async def test_an_outage_between_two_connections_is_survived() -> None:
    """A connection that is reset before its head is followed by another, as one that broke is."""

    async def reset(wire: Wire) -> None:
        wire.reset()

    answers = breaks(b"id: 1\ndata: a\n\n"), reset, reset, ends(b"data: b\n\n"), no_content
    async with serving(*answers) as (server, client):
        async with client.sse(server.url) as events:
            assert [event.data async for event in events] == ["a", "b"]
        assert ids_sent(server) == [None, "1", "1", "1", "1"]


async def test_a_first_connection_that_fails_raises_on_entering() -> None:
    """Under the policies of the client, as any request."""

    async def reset(wire: Wire) -> None:
        wire.reset()

    async with serving(reset) as (server, client):
        with pytest.raises(httpx.ReadError):
            await client.sse(server.url).__aenter__()
        assert len(server.requests) == 1


async def test_a_server_that_is_gone_ends_the_stream() -> None:
    """With the error of a request that can't connect, which has made the retries itself."""
    async with AsyncResilientClient(base_delay=0.001) as client:
        async with FaultServer(lambda wire: _read_and(wire, ends(b"data: 1\n\n"))) as server:
            stream = client.sse(server.url, client.new_context("r"))
            events = await stream.__aenter__()
            assert (await anext(events)).data == "1"
        with pytest.raises(ConnectError):
            await anext(events)
        await stream.__aexit__(None, None, None)
        assert (await client.wait_for_request("r-2")).attempts == 3
        assert client.results_count == 2


async def _read_and(wire: Wire, answer: Any) -> None:
    await wire.read_request()
    await answer(wire)


@pytest.mark.parametrize(
    ("status", "content_type", "kind"),
    [(404, "text/plain", NotFoundError), (200, "text/html", NotEventStreamError)],
)
async def test_another_kind_of_answer_ends_the_stream(
    status: int, content_type: str, kind: type[Exception]
) -> None:
    """No other connection follows."""
    answers = (
        ends(b"data: 1\n\n"),
        lambda wire: wire.answer(status, b"no", f"Content-Type: {content_type}"),
    )
    async with serving(*answers) as (server, client):
        async with client.sse(server.url) as events:
            assert (await anext(events)).data == "1"
            with pytest.raises(kind):
                await anext(events)
            assert [event async for event in events] == []
        assert (len(server.requests), active_in(client)) == (2, 0)


@pytest.mark.parametrize("shared", [False, True])
async def test_the_budget_limits_connections_that_break(*, shared: bool) -> None:
    """Even if each brings events; that one comes gives back what its connection took."""
    budget = RetryBudget(ratio=0.0, min_per_second=0.2, ttl=10.0)
    policies = Resilience(retry=RetryPolicy(base_delay=0.001), budget=budget)
    options: dict[str, Any] = {"store": LocalStore()} if shared else {}
    answers = (*(breaks(b"data: 1\n\n"),) * 4, ends(b"data: 1\n\n"), breaks())
    async with serving(*answers, resilience=policies, **options) as (server, client):
        context = client.new_context(max_retries=9)
        async with client.sse(server.url, context) as events:
            assert [(await anext(events)).data for _ in range(5)] == ["1"] * 5
            with pytest.raises(BudgetExhaustedError) as raised:
                await anext(events)
        assert isinstance(raised.value.__cause__, httpx.RemoteProtocolError)
        # After the stream that ended, the budget pays for two more that break.
        assert len(server.requests) == 8


async def test_a_wait_is_not_begun_that_would_pass_the_deadline() -> None:
    """The server asks for a second."""
    async with serving(ends(b"retry: 1000\ndata: 1\n\n")) as (server, client):
        async with client.sse(server.url, deadline=0.9) as events:
            assert (await anext(events)).data == "1"
            with pytest.raises(DeadlineExceededError, match="no time is left before the deadline"):
                await anext(events)
        assert len(server.requests) == 1


async def test_the_deadline_bounds_all_connections_together() -> None:
    """Also if the loop was held up during the wait."""
    async with serving(ends(b"data: 1\n\n"), stalls(b"data: 2\n\n")) as (server, client):
        async with client.sse(server.url, deadline=5.0) as events:
            assert [(await anext(events)).data for _ in range(2)] == ["1", "2"]
            reading = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            await pass_time(10.0)
            with pytest.raises(DeadlineExceededError):
                await reading
        assert len(server.requests) == 2


async def test_a_stream_can_be_resumed_after_the_events_that_were_returned() -> None:
    """Events that arrived, but weren't taken, aren't lost."""
    two = ends(b"id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: c\n\n")
    async with serving(two) as (server, client):
        async with client.sse(server.url) as events:
            await anext(events)
            assert events.last_event_id == "1"
            assert (await anext(events)).data == "b"
        assert events.last_event_id == "2"
        async with client.sse(server.url, last_event_id=events.last_event_id) as events:
            await anext(events)
        assert ids_sent(server) == [None, "2"]


async def test_a_post_may_be_reconnected() -> None:
    """If the caller says so; what it has passed can be changed in the meantime."""
    async with serving(breaks(b"id: 1\ndata: a\n\n"), no_content) as (server, client):
        question = {"q": 1}
        stream = client.sse(server.url, method="POST", json=question, reconnect=True)
        question["q"] = 2
        async with stream as events:
            assert [event.data async for event in events] == ["a"]
        assert [seen.body for seen in server.requests] == [b'{"q":1}'] * 2


@pytest.mark.parametrize("reads", [True, False])
async def test_cancelling_the_reader_frees_the_connection(*, reads: bool) -> None:
    """While it reads, and while it does something else."""
    is_inside = asyncio.Event()

    async def use(url: str, client: AsyncResilientClient) -> None:
        async with client.sse(url) as events:
            await anext(events)
            is_inside.set()
            await (anext(events) if reads else asyncio.Event().wait())

    async with serving(stalls(b"data: 1\n\n")) as (server, client):
        reader = asyncio.create_task(use(server.url, client))
        await is_inside.wait()
        await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert client.statistics().cancelled == 1
        assert active_in(client) == 0


@pytest.mark.parametrize("doing", ["reading", "waiting", "connecting"])
async def test_leaving_while_another_task_reads_ends_its_reading(doing: str) -> None:
    """Whether it reads, waits for the next connection, or makes it: none stays open."""
    may_answer = asyncio.Event()

    async def late(wire: Wire) -> None:
        await may_answer.wait()
        await stalls(b"data: 2\n\n")(wire)

    retry = b"retry: 5000\n" if doing == "waiting" else b""
    first = (stalls if doing == "reading" else ends)(retry + b"data: 1\n\n")
    async with serving(first, late) as (server, client):
        async with client.sse(server.url) as events:
            await anext(events)
            reading = asyncio.ensure_future(anext(events))
            await pass_time(0.1)
            if doing == "connecting":
                await wait_until(lambda: len(server.requests) == 2)
        may_answer.set()
        await pass_time(10.0)
        with pytest.raises(httpx.TransportError if doing == "reading" else RuntimeError):
            await reading
        assert len(server.requests) == (2 if doing == "connecting" else 1)
        assert active_in(client) == 0


async def test_closing_the_client_ends_the_stream() -> None:
    """It doesn't try to connect again."""
    async with serving(stalls(b"data: 1\n\n")) as (server, client):
        async with client.sse(server.url) as events:
            await anext(events)
            await client.close()
            with pytest.raises(httpx.ReadError, match="the client was closed meanwhile"):
                await anext(events)
        with pytest.raises(ClientClosedError):
            await client.sse(server.url).__aenter__()
        assert len(server.requests) == 1


async def test_cancelling_at_any_turn_leaves_nothing_behind() -> None:
    """Native cancellation after each number of turns of the loop, through two connections."""
    policies = Resilience(
        retry=RetryPolicy(base_delay=0.0), budget=RetryBudget(min_per_second=100.0)
    )

    async def use(url: str, client: AsyncResilientClient) -> None:
        async with client.sse(url, method="GET") as events:
            assert [event.data async for event in events] == ["1", "2"]

    cycle = (breaks(b"data: 1\n\n"), ends(b"data: 2\n\n"), no_content)
    turns, is_cancelled = 0, True
    while is_cancelled:
        async with no_leaks(), serving(*cycle, resilience=policies) as (server, client):
            reader = asyncio.create_task(use(server.url, client))
            for _ in range(turns):
                await asyncio.sleep(0)
            reader.cancel()
            await asyncio.wait({reader})
            is_cancelled, turns = reader.cancelled(), turns + 1
            await wait_until(lambda: active_in(client) == 0)
            counted = client.statistics()
            assert (counted.active, counted.submitted) == (0, client.results_count)
    assert turns > 20
