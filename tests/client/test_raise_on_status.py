"""With ``raise_on_status``, the last status ends a request as an error if it is 400 or above."""

import asyncio
import gc
import pickle
from typing import Any

import httpx
import httpx2
import pytest

from typed_async_client import (
    AsyncResilientClient,
    BadRequestError,
    Call,
    CallNext,
    EventType,
    RequestRecord,
    RequestResult,
    Resilience,
    RetryPolicy,
    StatusError,
)
from typed_async_client.bad_status import status_error
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request

RETRIED = Resilience(retry=RetryPolicy(max_retries=2, base_delay=0.001))


async def answer(request: SeenRequest, wire: Wire) -> None:
    """Answer with the status in the path."""
    status = int(request.target.split("?")[0][1:])
    await wire.answer(status, b"no such\nitem", "Content-Type: text/plain")


async def test_the_last_status_is_raised_once_no_retry_follows() -> None:
    """With its response, whose body was read, and the history; also in the event and the result."""
    kinds: list[str] = []
    async with (
        FaultServer(each_request(answer)) as server,
        AsyncResilientClient(raise_on_status=True, resilience=RETRIED) as client,
    ):
        for kind in EventType:
            client.add_event_callback(kind, lambda event: kinds.append(event.event_type.value))
        context = client.new_context("r")
        with pytest.raises(httpx.HTTPStatusError) as raised:
            await client.request("GET", f"{server.url}503?token=secret", context)
        error = raised.value
        assert isinstance(error, StatusError)
        said = f"GET {server.url}503?token=REDACTED: 503 Service Unavailable: no such item"
        assert str(error) == said
        assert error.__notes__ == ["after 3 attempts"]
        assert (error.response.status_code, error.response.content) == (503, b"no such\nitem")
        assert [record.status for record in error.history] == [503, 503, 503]
        result = (await client.wait_for_all_requests())["r"]
        assert (result.error, result.history) == (error, error.history)
        assert [kind for kind in kinds if kind != "started"] == ["retry", "retry", "error"]


@pytest.mark.parametrize(("of_client", "of_call", "raises"), [
    (False, None, False),
    (False, True, True),
    (True, None, True),
    (True, False, False),
])  # fmt: skip
async def test_a_request_may_decide_otherwise_than_its_client(
    *, of_client: bool, of_call: bool | None, raises: bool
) -> None:
    """None leaves it to the client; a view of the client decides as well."""
    async with (
        FaultServer(each_request(answer)) as server,
        AsyncResilientClient(raise_on_status=of_client) as client,
    ):
        of_view: dict[str, Any] = {}
        for sender, options in (
            (client, of_view | {"raise_on_status": of_call}),
            (client.with_options(raise_on_status=of_call), of_view),
        ):
            assert (await sender.request("GET", f"{server.url}200", **options)).is_success
            if not raises:
                response = await sender.request("GET", f"{server.url}404", **options)
                assert response.status_code == 404
                continue
            with pytest.raises(StatusError, match="404 Not Found") as raised:
                await sender.request("GET", f"{server.url}404", **options)
            assert not hasattr(raised.value, "__notes__")


async def test_a_middleware_gets_the_error_of_its_call() -> None:
    """And may answer in its place."""
    seen: list[Exception] = []

    async def middleware(call: Call, call_next: CallNext) -> httpx.Response:
        try:
            return await call_next(call)
        except StatusError as error:
            seen.append(error)
            return httpx.Response(200, text="from the cache")

    async with (
        FaultServer(each_request(answer)) as server,
        AsyncResilientClient(raise_on_status=True, middleware=[middleware]) as client,
    ):
        response = await client.request("GET", f"{server.url}404")
        assert (response.text, len(seen)) == ("from the cache", 1)


async def test_with_an_httpx2_client_it_is_an_error_of_httpx2() -> None:
    """Its response and its request are httpx2's as well."""
    async with (
        FaultServer(each_request(answer)) as server,
        httpx2.AsyncClient() as external,
        AsyncResilientClient(http_client=external, raise_on_status=True) as client,
    ):
        with pytest.raises(httpx2.HTTPStatusError, match="404 Not Found") as raised:
            await client.request("GET", f"{server.url}404")
        assert isinstance(raised.value, StatusError)
        assert isinstance(raised.value.response, httpx2.Response)


@pytest.mark.parametrize("value", [1, "yes", 0])
def test_a_value_that_is_no_flag_is_refused(value: Any) -> None:
    """With its name, before anything is sent."""
    with pytest.raises(ValueError, match=rf"raise_on_status must be .*{value!r}"):
        AsyncResilientClient(raise_on_status=value)


async def three_large_results(client: AsyncResilientClient) -> dict[str, RequestResult]:
    """Let three requests fail, each with a body of 60 kB; only their results are left of them."""

    async def large(_: SeenRequest, wire: Wire) -> None:
        await wire.answer(500, b"x" * 60_000)

    async with FaultServer(each_request(large)) as server:
        for number in range(3):
            await asyncio.wait({await client.get(server.url, client.new_context(f"r{number}"))})
    gc.collect()
    return client.get_all_results()


async def test_the_responses_of_errors_count_as_kept_bytes() -> None:
    """The oldest result loses the response of its error, and says so; its message stays."""
    async with AsyncResilientClient(raise_on_status=True, max_result_bytes=100_000) as client:
        results = await three_large_results(client)
        evicted = [results[f"r{number}"].response_evicted for number in range(3)]
        assert evicted == [True, True, False]
        assert client.statistics().responses_evicted == 2
        first: Any = results["r0"].error
        last: Any = results["r2"].error
        assert (first.response, str(first)) == (None, str(last))
        assert len(last.response.content) == 60_000
        assert first.status_code == 500
        assert "InternalServerError" in repr(results["r0"])
        assert "network_stream" not in last.response.extensions


def error_with(content: bytes, content_type: str) -> StatusError:
    """Return the error of a response."""
    request = httpx.Request("GET", "https://api.test/x")
    headers = {"content-type": content_type}
    response = httpx.Response(400, content=content, headers=headers, request=request)
    return status_error(response, RequestRecord("GET", "https://api.test/x"))


@pytest.mark.parametrize(
    ("content_type", "content", "shown"),
    [
        ("text/plain", b"a" * 500, ": " + "a" * 200),
        ("text/plain; charset=latin-1", b"caf\xe9\x00", ": café?"),
        ("text/plain; charset=idna", b"\xff", ": \ufffd"),
        ("text/plain; charset=undefined", b"abc", ": abc"),
        ("text/plain; charset=unicode_escape", b"\\N", ": \\N"),
        ("text/plain; charset*=us-ascii''a%00b", b"abc", ": abc"),
        ("text/plain; charset=unknown", b"caf\xc3\xa9", ": café"),
        ("application/json", b'{"a": 1}', ': {"a": 1}'),
        ("application/problem+json", b'{"a": 1}', ': {"a": 1}'),
        ("application/octet-stream", b"abc", ""),
        ("", b"abc", ""),
        ("text/html", b"", ""),
    ],
)
def test_a_message_shows_the_beginning_of_a_text(
    content_type: str, content: bytes, shown: str
) -> None:
    """On one line, without control characters; nothing of what isn't text."""
    said = str(error_with(content, content_type))
    assert said == f"GET https://api.test/x: 400 Bad Request{shown}"


def test_the_error_survives_pickling() -> None:
    """With its response."""
    error = pickle.loads(pickle.dumps(error_with(b"abc", "text/plain")))
    assert type(error) is BadRequestError
    assert (error.response.text, error.response.request.url.host) == ("abc", "api.test")


def test_a_reason_phrase_is_shown_on_one_line_and_without_secrets() -> None:
    """An external client passes on what the server has sent."""
    request = httpx.Request("GET", "https://api.test/x")
    reason = b"no\x1b[31m https://user:secret@h/ " + b"x" * 500
    response = httpx.Response(404, request=request, extensions={"reason_phrase": reason})
    said = str(status_error(response, RequestRecord("GET", "https://api.test/x")))
    assert said.isprintable()
    assert "secret" not in said
    assert len(said) < 250


async def test_a_client_that_is_none_of_httpx_may_return_a_response_without_its_request() -> None:
    """The error then names what was asked for."""

    class Other:
        async def request(self, method: str, url: str, **_: Any) -> httpx.Response:
            return httpx.Response(404)

    client = AsyncResilientClient(http_client=Other(), raise_on_status=True)
    with pytest.raises(StatusError, match=r"^GET http://a\.test/x\?token=REDACTED: 404 Not Found$"):
        await client.request("GET", "http://a.test/x?token=1")
    await client.close()


@pytest.mark.parametrize("kind", ["args", "nested", "list of errors", "list of responses"])
async def test_bodies_count_wherever_an_error_refers_to_them(kind: str) -> None:
    """As errors of SDKs do, which a middleware may raise."""

    class ApiError(Exception):
        pass

    async def middleware(call: Call, call_next: CallNext) -> httpx.Response:
        response = await call_next(call)
        inner = ApiError("inner", response)
        raise {
            "args": inner,
            "nested": ApiError("outer", inner),
            "list of errors": ApiError([inner, inner]),
            "list of responses": ApiError("outer", [response]),
        }[kind]

    async with AsyncResilientClient(middleware=[middleware], max_result_bytes=100_000) as client:
        results = await three_large_results(client)
        assert results["r0"].response_evicted
        assert "Response" not in repr(results["r0"].error)
        assert "Response" in repr(results["r2"].error) or kind == "list of errors"
