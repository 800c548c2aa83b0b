"""What the client keeps of a response that nobody holds any more: all of it, in little room."""

import asyncio
import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client import AsyncPoolTransport, AsyncResilientClient, RequestResult
from typed_async_client.httpx_client.packed import PackedResponse
from typed_async_client.pool.response import SPENT
from typed_async_client.testing import FaultServer, answer

JSON = b'{"name": "Zo\xc3\xab"}'


def served(request: httpx.Request) -> httpx.Response:
    """Answer with some of everything."""
    headers = {"Content-Type": "application/json", "Set-Cookie": "a=b", "X-Path": request.url.path}
    return httpx.Response(201, headers=headers, content=JSON, extensions={"reason_phrase": b"So"})


async def let_go() -> None:
    """Let go of what asyncio holds for one turn, and of circles: httpx's responses are some."""
    await asyncio.sleep(0)
    gc.collect()


async def kept(url: str, client: AsyncResilientClient, **options: Any) -> RequestResult:
    """Make a request, let its response go, and give its result."""
    await (await client.post(url, client.new_context("r"), **options))
    await let_go()
    result = client.get_result("r")
    assert result is not None
    return result


def looks(response: httpx.Response) -> dict[str, Any]:
    """Tell all that can be seen of a response."""
    request = response.request
    return {
        "status": (response.status_code, response.reason_phrase, response.http_version),
        "body": (response.content, response.text, response.json(), response.encoding),
        "headers": (response.headers.raw, dict(response.cookies)),
        "extensions": {
            name: value for name, value in response.extensions.items() if name != "network_stream"
        },
        "state": (response.is_closed, response.is_stream_consumed, response.num_bytes_downloaded),
        "elapsed": response.elapsed,
        "request": (request.method, request.url, request.headers.raw, request.content),
        "timeouts": request.extensions,
        "more": (response.history, response.next_request, response.is_success, repr(response)),
    }


@pytest.mark.parametrize("new", [AsyncPoolTransport, httpx.AsyncHTTPTransport])
async def test_a_response_that_was_let_go_is_made_anew(new: Callable[[], Any]) -> None:
    """It looks as it looked, but for the connection that it came on."""
    async with (
        FaultServer(answer(201, JSON, "Content-Type: application/json")) as server,
        AsyncResilientClient(transport=new()) as client,
    ):
        response = await (await client.post(f"{server.url}/a?b=%20c", client.new_context("r")))
        looked, last = looks(response), weakref.ref(response)
        result = client.get_result("r")
        assert result is not None
        del response
        await let_go()
        assert last() is None
        anew = result.unwrap()
        assert looks(anew) == looked
        assert type(anew) is httpx.Response
        assert "network_stream" not in anew.extensions


async def test_a_response_that_somebody_holds_is_the_result_s_own() -> None:
    """And stays so, with all that its holder does to it."""
    async with AsyncResilientClient(transport=httpx.MockTransport(served)) as client:
        response = await (await client.get("http://a.test/", client.new_context("r")))
        result = client.get_result("r")
        assert result is not None
        assert result.response is response
        response.headers["X-Mine"] = "1"
        del response
        await let_go()
        assert result.unwrap().headers["X-Mine"] == "1"


async def test_a_response_that_somebody_holds_lacks_nothing() -> None:
    """Packing it takes its connection out of what is kept, and not out of what was given."""
    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        response = await (await client.get(server.url))
        await client.wait_for_all_requests()
        stream = response.extensions["network_stream"]
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", server.port)


async def test_a_response_made_anew_is_the_same_one_to_all_who_ask_for_it() -> None:
    """And may be changed by them, as the first one."""
    async with AsyncResilientClient(transport=httpx.MockTransport(served)) as client:
        first = await kept("http://a.test/", client, content=b"x")
        first.unwrap().encoding = "latin-1"
        await let_go()
        again = client.get_result("r")
        assert again is not None
        assert again.unwrap().text == JSON.decode("latin-1")
        assert client.get_all_results()["r"].response is first.response
        assert again.unwrap().request.content == b"x"


async def test_a_response_made_anew_is_closed_and_its_request_can_be_sent_again() -> None:
    """With its body; to read the response and to close it change nothing, as with the first one."""
    sent: list[bytes] = []

    def note(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        return served(request)

    transport = httpx.MockTransport(note)
    async with AsyncResilientClient(transport=transport) as client:
        anew = (await kept("http://a.test/", client, content=b"x")).unwrap()
        assert await anew.aread() == JSON
        await anew.aclose()
        with pytest.raises(httpx.StreamConsumed):
            await anext(anew.aiter_raw())
    async with httpx.AsyncClient(transport=transport) as other:
        await other.send(anew.request)
    assert isinstance(anew.request.stream, httpx.ByteStream)
    assert list(anew.request.stream) == [b"x"]
    assert sent == [b"x", b"x"]


async def test_a_result_is_found_in_a_set_again() -> None:
    """Its response is a part of its hash, and does not become another one."""
    async with AsyncResilientClient(transport=httpx.MockTransport(served)) as client:
        result = await kept("http://a.test/", client)
        found, others = {result}, [httpx.Response(200) for _ in range(10)]
        assert result in found
        assert copy.copy(result) in found
        del others


@pytest.mark.parametrize(
    "twin", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))]
)
async def test_a_result_can_be_copied_and_pickled(twin: Callable[[Any], Any]) -> None:
    """With the response that it has packed."""
    async with AsyncResilientClient(transport=httpx.MockTransport(served)) as client:
        result = twin(await kept("http://a.test/", client))
    assert result.unwrap().json() == {"name": "Zoë"}
    assert result.request_id == "r"
    with pytest.raises(AttributeError, match="'RequestResult' object has no attribute 'answer'"):
        _ = result.answer


async def test_a_kept_response_is_three_objects_to_the_garbage_collector() -> None:
    """The result, what is packed, and the way to the response while somebody holds it."""
    before = 0
    async with AsyncResilientClient(transport=httpx.MockTransport(served)) as client:
        for _ in range(2):
            gc.collect()
            before = len(gc.get_objects())
            for _ in range(50):
                await (await client.get("http://a.test/"))
        gc.collect()
        assert round((len(gc.get_objects()) - before) / 50) == 3
        assert client.results_count == 100


@pytest.mark.parametrize("http11", ["h11", "llhttp"])
async def test_a_response_that_was_read_dies_with_its_last_holder(http11: Any) -> None:
    """Without a garbage collector: httpx's leads to its stream, which leads back to it."""
    gc.collect()
    gc.disable()
    try:
        async with (
            FaultServer(answer()) as server,
            httpx.AsyncClient(transport=AsyncPoolTransport(http11=http11)) as client,
        ):
            response = await client.get(server.url)
            with pytest.raises(httpx.StreamConsumed):
                await anext(aiter(response.stream))  # type: ignore[arg-type]  # an async one
            last = weakref.ref(response)
            del response
            await asyncio.sleep(0)
            assert last() is None
    finally:
        gc.enable()


# What cannot be packed is kept as it is


class Richer(httpx.Response):
    """A response of somebody's own kind."""


def with_attribute(response: httpx.Response) -> None:
    """Put something of the caller's own on a response."""
    response.parsed = object()  # type: ignore[attr-defined]  # as an event hook may


def with_extension(response: httpx.Response) -> None:
    """Put something of the caller's own into the extensions."""
    response.extensions["parsed"] = object()


def with_buffer(response: httpx.Response) -> None:
    """Put something into the extensions that is no bytes, but has some."""
    response.extensions["parsed"] = bytearray(b"parsed")


def with_list(response: httpx.Response) -> None:
    """Put a list on a response, which may grow later."""
    response.parsed = []  # type: ignore[attr-defined]  # as an event hook may


def with_sent_list(response: httpx.Response) -> None:
    """Put a list on the request, which may grow later."""
    response.request.signed = []  # type: ignore[attr-defined]  # as an event hook may


def with_timeout(response: httpx.Response) -> None:
    """Put something into the timeouts of the request that is no bytes, but has some."""
    response.request.extensions["timeout"]["read"] = bytearray(b"5")


def with_trailer(response: httpx.Response) -> None:
    """Put the same into the trailers."""
    response.extensions["trailing_headers"] = [(b"X-Sum", bytearray(b"5"))]


def with_other_trailers(response: httpx.Response) -> None:
    """Put trailers of another kind in place, with a list in them."""
    response.extensions["trailing_headers"] = {"X-Sum": []}


def with_stream(response: httpx.Response) -> None:
    """Put another stream in the place of the response's."""
    response.stream = httpx.ByteStream(JSON)


def with_sent_stream(response: httpx.Response) -> None:
    """Put another stream in the place of the request's, as what signs or codes a body does."""
    response.request.stream = httpx.ByteStream(b"coded")


def with_headers(response: httpx.Response) -> None:
    """Put headers of the caller's own kind in place."""
    response.headers = type("Ordered", (httpx.Headers,), {})(response.headers)


def with_url(response: httpx.Response) -> None:
    """Lead to an address of the caller's own kind."""
    response.request.url = type("Place", (httpx.URL,), {})(response.request.url)


def of_own_kind(response: httpx.Response) -> None:
    """Make it a response of another class."""
    response.__class__ = Richer


def changing(change: Callable[[httpx.Response], None]) -> AsyncResilientClient:
    """Make a client one of whose event hooks does something to each response."""

    async def hook(response: httpx.Response) -> None:
        await response.aread()
        change(response)

    transport = httpx.MockTransport(served)
    return AsyncResilientClient(transport=transport, event_hooks={"response": [hook]})


@pytest.mark.parametrize(
    "change",
    [
        with_attribute,
        with_extension,
        with_buffer,
        with_list,
        with_sent_list,
        with_timeout,
        with_trailer,
        with_other_trailers,
        with_stream,
        with_sent_stream,
        with_headers,
        with_url,
        of_own_kind,
    ],
)
async def test_a_response_that_carries_more_is_kept_itself(
    change: Callable[[httpx.Response], None],
) -> None:
    """Nothing that somebody put there is lost."""
    async with changing(change) as client:
        response = await (await client.get("http://a.test/", client.new_context("r")))
        last = weakref.ref(response)
        del response
        await let_go()
        result = client.get_result("r")
        assert result is not None
        assert result.response is last()


def without_extensions(response: httpx.Response) -> None:
    """Take away what no response lacks."""
    response.extensions = None  # type: ignore[assignment]  # that is the point


def without_request(response: httpx.Response) -> None:
    """Take away the request."""
    del response._request


@pytest.mark.parametrize("change", [without_extensions, without_request])
async def test_a_response_that_a_hook_has_broken_ends_its_request(
    change: Callable[[httpx.Response], None],
) -> None:
    """With a result, and its task with that response: packing it is no concern of theirs."""
    async with changing(change) as client:
        response = await (await client.get("http://a.test/", client.new_context("r")))
        result = (await client.wait_for_all_requests())["r"]
        assert result.response is response
        assert client.active_tasks_count == 0


async def test_a_response_that_a_plain_client_could_close_is_kept_itself() -> None:
    """One that a client of the caller's has made can be closed without waiting."""

    class Canned:
        async def request(self, method: str, url: Any, **_: Any) -> httpx.Response:
            return httpx.Response(200, content=JSON, request=httpx.Request(method, url))

    async with AsyncResilientClient(http_client=Canned()) as client:
        result = await kept("http://a.test/", client)
        result.unwrap().close()
        assert result.unwrap().content == JSON


async def test_a_response_behind_a_redirect_keeps_its_history() -> None:
    """With all the responses on the way to it."""

    def redirect(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/old":
            return httpx.Response(302, headers={"Location": "/new"})
        return httpx.Response(200)

    transport = httpx.MockTransport(redirect)
    async with AsyncResilientClient(transport=transport, follow_redirects=True) as client:
        result = await kept("http://a.test/old", client)
        assert [one.status_code for one in result.unwrap().history] == [302]


VALUES = st.text(st.characters(codec="latin-1", exclude_characters="\0\r\n"))
PATHS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40)


@given(VALUES, VALUES, PATHS, st.binary())
def test_whatever_stands_in_a_response_stands_in_the_one_made_anew(
    name: str, value: str, path: str, body: bytes
) -> None:
    """Headers of any bytes, any address, any body."""
    pair = [(name.encode("latin-1"), value.encode("latin-1"))]
    request = httpx.Request("GET", f"http://u:p@a.test/{path}", headers=pair)
    response = httpx.Response(200, headers=pair, content=body, request=request)
    before = (response.headers.raw, request.headers.raw, request.url, str(request.url))
    response.stream = SPENT
    packed = PackedResponse(response)
    del response
    gc.collect(0)
    anew = packed.unpack()
    sent = anew.request
    assert (anew.headers.raw, sent.headers.raw, sent.url, str(sent.url)) == before
    assert sent.url.raw_path == before[2].raw_path
    assert anew.content == body
    with pytest.raises(RuntimeError, match="elapsed"):
        _ = anew.elapsed  # which only a client tells
