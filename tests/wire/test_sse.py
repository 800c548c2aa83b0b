"""``client.sse()``: events from one connection, and what is refused."""

import asyncio
import contextlib
import re
import sys
from typing import Any

import httpx
import httpx2
import httpx_sse
import pytest
from event_servers import (
    active_in,
    breaks,
    ends,
    ids_sent,
    no_content,
    open_stream,
    serving,
    stalls,
)
from steady_loop import pass_time

from typed_async_client import (
    AsyncResilientClient,
    Call,
    CallNext,
    DeadlineExceededError,
    EventTooLargeError,
    NotEventStreamError,
    Resilience,
    ResultStatus,
    RetryPolicy,
    ServiceUnavailableError,
)
from typed_async_client.testing import Wire

pytestmark = pytest.mark.usefixtures("no_leaks")


async def test_events_are_those_of_httpx_sse() -> None:
    """With the headers that the standard asks for; a 204 ends them for good."""
    answer = ends(
        b"\xef\xbb\xbf: hello\nid: 1\ndata: {",
        b'"a": 1}\n\nevent: up',
        b"date\r\ndata: \xf0\x9f",
        b"\x98\x80\r\nretry: 2\r",
        b"\n\r\ndata: lost",
    )
    async with serving(answer, no_content) as (server, client):
        async with client.sse(server.url) as events:
            assert events.response.headers["content-type"] == "text/event-stream; charset=utf-8"
            first, second = [event async for event in events]
            assert [event async for event in events] == []
            assert events.response.status_code == 204
        assert isinstance(first, httpx_sse.ServerSentEvent)
        assert (first.event, first.json(), first.id, first.retry) == (
            "message",
            {"a": 1},
            "1",
            None,
        )
        assert (second.event, second.data, second.id, second.retry) == ("update", "😀", "1", 2)
        sent = server.requests[0].headers
        assert (sent["accept"], sent["cache-control"]) == ("text/event-stream", "no-store")
        assert "last-event-id" not in sent


async def test_an_event_is_returned_as_soon_as_it_is_complete() -> None:
    """The server says nothing more; leaving early frees the connection."""
    async with serving(stalls(b"data: 1\r\r", b"data: 2\n\n")) as (server, client):
        for _ in range(3):
            async with client.sse(server.url) as events:
                assert [(await anext(events)).data, (await anext(events)).data] == ["1", "2"]
        assert active_in(client) == 0
        assert client.statistics().succeeded == 3


async def test_the_server_may_be_silent_for_longer_than_the_read_timeout() -> None:
    """Unless the caller passes a timeout, which then breaks the connection as a loss does."""
    silent = stalls(b"data: 1\n\n")
    async with serving(silent, silent, ends(b"data: 2\n\n"), timeout=5.0) as (server, client):
        async with client.sse(server.url) as events:
            await anext(events)
            reading = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            await pass_time(10.0)
            assert not reading.done()
            reading.cancel()
        async with client.sse(server.url, timeout=5.0) as events:
            await anext(events)
            reading = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            await pass_time(10.0)
            assert (await reading).data == "2"


@pytest.mark.parametrize("reconnect", [None, False])
async def test_a_post_ends_with_its_stream(*, reconnect: bool | None) -> None:
    """It isn't sent again, and a body that breaks is an error."""
    answers = ends(b"data: 1\n\n"), breaks(b"data: 2\n\n")
    async with serving(*answers) as (server, client):
        options: Any = {"method": "post", "json": {"q": 1}, "reconnect": reconnect}
        async with client.sse(server.url, **options) as events:
            assert [event.data async for event in events] == ["1"]
        async with client.sse(server.url, client.new_context("r"), **options) as events:
            assert (await anext(events)).data == "2"
            with pytest.raises(httpx.RemoteProtocolError):
                await anext(events)
            assert [event async for event in events] == []
        assert [(seen.method, seen.body) for seen in server.requests] == [("POST", b'{"q":1}')] * 2
        assert (await client.wait_for_request("r")).status is ResultStatus.ERROR


async def test_a_get_needs_no_second_connection() -> None:
    """``reconnect=False`` ends the iteration with the stream."""
    async with serving(ends(b"data: 1\n\n")) as (server, client):
        async with client.sse(server.url, reconnect=False) as events:
            assert [event.data async for event in events] == ["1"]
        assert len(server.requests) == 1


def answers_with(status: int, content_type: str, body: bytes = b"data: 1\n\n") -> Any:
    """Answer with a whole body of some kind."""
    header = f"Content-Type: {content_type}" if content_type else "X-Nothing: here"
    return lambda wire: wire.answer(status, body, header, "Location: /elsewhere")


@pytest.mark.parametrize("content_type", ["text/event-stream", "Text/Event-Stream ; x=y"])
async def test_the_parameters_of_the_content_type_do_not_matter(content_type: str) -> None:
    """Events are always UTF-8."""
    async with (
        serving(answers_with(201, content_type)) as (server, client),
        client.sse(server.url, reconnect=False) as events,
    ):
        assert [event.data async for event in events] == ["1"]


REFUSED: list[tuple[int, str, str]] = [
    (200, "text/html" + "x" * 200, "got status 200 with content type text/html" + "x" * 91),
    (200, "text/event-streams", "got status 200 with content type text/event-streams"),
    (200, "", "got status 200 with no content type"),
    (302, "text/event-stream", "; pass follow_redirects=True to follow the redirect"),
]


@pytest.mark.parametrize(("status", "content_type", "words"), REFUSED)
async def test_a_response_that_is_no_event_stream_is_an_error(
    status: int, content_type: str, words: str
) -> None:
    """No other connection follows; the request fails with the same error."""
    async with serving(answers_with(status, content_type)) as (server, client):
        with pytest.raises(NotEventStreamError, match="expected text/event-stream, ") as raised:
            async with client.sse(f"{server.url}?key=s3cret", client.new_context("r")):
                pytest.fail("there are no events")
        assert words in str(raised.value)
        assert "s3cret" not in str(raised.value)
        assert "x" * 92 not in str(raised.value)
        assert (await client.wait_for_request("r")).error is raised.value
        assert (len(server.requests), active_in(client)) == (1, 0)


async def test_a_status_of_400_or_above_is_raised_after_the_retries_of_the_policies() -> None:
    """With its class; an answer that comes in time is used."""
    policies = Resilience(retry=RetryPolicy(max_retries=1, base_delay=0.001))
    busy = answers_with(503, "text/plain", b"later")
    async with serving(busy, busy, busy, ends(b"data: 1\n\n"), resilience=policies) as (
        server,
        client,
    ):
        with pytest.raises(ServiceUnavailableError, match="later"):
            async with client.sse(server.url):
                pytest.fail("there are no events")
        async with client.sse(server.url) as events:
            assert (await anext(events)).data == "1"
        assert len(server.requests) == 4


@pytest.mark.parametrize("library", [None, httpx, httpx2])
async def test_an_event_beyond_the_limit_is_an_error(library: Any) -> None:
    """Those before it are returned; no other connection follows; httpx2 has its own class."""
    async with contextlib.AsyncExitStack() as stack:
        own = await stack.enter_async_context(library.AsyncClient()) if library else None
        options: Any = {"http_client": own} if own else {}
        answer = open_stream(b"data: ok\n\n" + b"data: s3cret\n" * 9, then=Wire.stall)
        server, client = await stack.enter_async_context(serving(answer, **options))
        async with client.sse(server.url, client.new_context("r"), max_event_bytes=100) as events:
            assert (await anext(events)).data == "ok"
            with pytest.raises((library or httpx).DecodingError) as raised:
                await anext(events)
            assert [event async for event in events] == []
        assert isinstance(raised.value, EventTooLargeError)
        assert str(raised.value) == f"GET {server.url}: an event is larger than max_event_bytes=100"
        assert (await client.wait_for_request("r")).status is ResultStatus.ERROR
        assert len(server.requests) == 1


async def test_the_deadline_of_the_policies_does_not_end_the_stream() -> None:
    """The preset's 30 seconds would end every stream; that of the call does."""
    policies = Resilience(retry=RetryPolicy(), deadline=5.0)
    async with serving(stalls(b"data: 1\n\n"), resilience=policies) as (server, client):
        for options, is_ended in (({}, False), ({"deadline": 5.0}, True)):
            async with client.sse(server.url, **options) as events:  # type: ignore[arg-type]  # one of them
                assert (await anext(events)).data == "1"
                reading = asyncio.ensure_future(anext(events))
                await asyncio.sleep(0)
                await pass_time(10.0)
                reading.cancel()
                await asyncio.wait([reading])
                assert reading.cancelled() != is_ended
                if is_ended:
                    assert isinstance(reading.exception(), DeadlineExceededError)


async def test_the_caller_may_choose_the_headers_and_the_id_to_start_after() -> None:
    """An id is sent as UTF-8, without blanks around it."""
    async with serving(ends(b"data: 1\n\n")) as (server, client):
        for given, sent in (("日本 7", "日本 7"), (" 7\t", "7"), ("", None), (None, None)):
            headers = {"ACCEPT": "text/event-stream, */*", "X-Own": "1"}
            async with client.sse(
                server.url, headers=headers, last_event_id=given, reconnect=False
            ) as events:
                assert events.last_event_id == (given or "")
                assert [event.id async for event in events] == [given or ""]
            assert ids_sent(server)[-1] == sent
            seen = server.requests[-1].headers
            assert (seen["accept"], seen["x-own"]) == ("text/event-stream, */*", "1")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"last_event_id": "a\r\nX-Evil: 1"}, "last_event_id must be text without control characters"),
    ({"last_event_id": "a\0"}, "last_event_id must be text without control characters"),
    ({"last_event_id": 7}, "last_event_id must be text without control characters, or None, got 7"),
    ({"last_event_id": "\ud800"}, "last_event_id must be text that UTF-8 can encode"),
    ({"max_event_bytes": 0}, "max_event_bytes must be an integer >= 1, got 0"),
    ({"max_event_bytes": None}, "max_event_bytes must be an integer >= 1, got None"),
    ({"reconnect": "no"}, "reconnect must be True or False, got 'no'"),
    ({"deadline": 0}, "deadline must be a finite number > 0, got 0"),
    ({"deadline": "1"}, "deadline must be a finite number > 0, got '1'"),
    ({"raise_on_status": False}, "raise_on_status must be True for sse"),
    ({"method": "GET /"}, "invalid HTTP method 'GET /'"),
]


MISSPELT: list[tuple[dict[str, Any], str]] = [
    ({"methd": "POST"}, "unknown sse() option 'methd': did you mean 'method'? Known are auth, "),
    ({"max_event_byte": 3}, "did you mean 'max_event_bytes'"),
    ({"reconect": True}, "did you mean 'reconnect'"),
    ({"last_id": "3"}, "did you mean 'last_event_id'"),
]


@pytest.mark.parametrize(("options", "words"), MISSPELT)
async def test_a_misspelt_option_is_refused_at_once(options: dict[str, Any], words: str) -> None:
    """The message names the option of the call; other names are explained as for ``stream()``."""
    async with AsyncResilientClient() as client:
        with pytest.raises(TypeError, match=re.escape(words)):
            client.sse("http://a.test/", **options)
        for name, advice in (
            ("max_result_bytes", "option of the client"),
            ("max_retries", "new_con"),
        ):
            stream = client.sse("http://a.test/", **{name: 3})  # type: ignore[arg-type]  # unknown
            with pytest.raises(TypeError, match=advice):
                await stream.__aenter__()
        assert client.statistics().submitted == 0


@pytest.mark.parametrize(("options", "words"), WRONG)
async def test_a_wrong_option_is_refused_at_once(options: dict[str, Any], words: str) -> None:
    """Before anything is sent; unknown ones on entering, as for ``stream()``."""
    async with AsyncResilientClient() as client:
        with pytest.raises(ValueError, match=re.escape(words)):
            client.sse("http://a.test/", **options)
        with pytest.raises(TypeError, match="did you mean 'headers'"):
            await client.sse("http://a.test/", header={}).__aenter__()  # type: ignore[call-arg]  # misspelt
        assert client.statistics().submitted == 0


async def test_events_are_only_read_within_the_context() -> None:
    """The message says how."""
    async with serving(stalls(b"data: 1\n\n")) as (server, client):
        stream = client.sse(server.url)
        assert stream.last_event_id == ""
        for use in (lambda: aiter(stream), lambda: stream.response):
            with pytest.raises(RuntimeError, match="use it in `async with`"):
                use()
        async with stream as events:
            await anext(events)
        with pytest.raises(RuntimeError, match="within it only"):
            await anext(events)
        with pytest.raises(RuntimeError, match="entered before"):
            await stream.__aenter__()


async def test_the_extra_is_named_if_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the stream is created."""
    async with AsyncResilientClient() as client:
        monkeypatch.setitem(sys.modules, "httpx_sse", None)
        with pytest.raises(ImportError, match=r"pip install 'typed-async-client\[sse\]'"):
            client.sse("http://a.test/")


async def test_middleware_sees_the_request_of_each_connection() -> None:
    """With the id of the last event among its headers."""
    seen: list[tuple[str, str | None]] = []

    async def watch(call: Call, call_next: CallNext) -> httpx.Response:
        headers = httpx.Headers(call.options["headers"])
        seen.append((call.context.request_id, headers.get("last-event-id")))
        return await call_next(call)

    answers = breaks(b"id: 7\ndata: 1\n\n"), ends(b"data: 2\n\n"), no_content
    async with (
        serving(*answers, middleware=[watch]) as (server, client),
        client.sse(server.url, client.new_context("feed")) as events,
    ):
        assert [event.data async for event in events] == ["1", "2"]
    assert seen == [("feed", None), ("feed-2", "7"), ("feed-3", "7")]


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_a_client_of_the_caller_streams_events(library: Any) -> None:
    """Its read timeout doesn't apply; its broken bodies are followed by other connections."""

    async def late(wire: Wire) -> None:
        await pass_time(10.0)
        await breaks("id: 日\ndata: 1\n\n".encode())(wire)

    async with (
        library.AsyncClient(timeout=5.0) as own,
        serving(late, ends(b"data: 2\n\n"), no_content, http_client=own) as (server, client),
    ):
        async with client.sse(server.url) as events:
            assert isinstance(events.response, library.Response)
            assert [event.data async for event in events] == ["1", "2"]
        assert ids_sent(server) == [None, "日", "日"]
