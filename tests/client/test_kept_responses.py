"""The responses that the client keeps in compact form once nothing else references them."""

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
from typed_async_client.pool.bounded import SPENT
from typed_async_client.testing import FaultServer, answer

JSON = b'{"name": "Zo\xc3\xab"}'


def respond(request: httpx.Request) -> httpx.Response:
    """Return a response in which as much as possible is set."""
    headers = {"Content-Type": "application/json", "Set-Cookie": "a=b", "X-Path": request.url.path}
    return httpx.Response(201, headers=headers, content=JSON, extensions={"reason_phrase": b"So"})


async def collect_garbage() -> None:
    """Free what asyncio references for one iteration, and cycles such as httpx's responses."""
    await asyncio.sleep(0)
    gc.collect()


async def kept_result(url: str, client: AsyncResilientClient, **options: Any) -> RequestResult:
    """Make a request, drop its response, and return its result."""
    await (await client.post(url, client.new_context("r"), **options))
    await collect_garbage()
    result = client.get_result("r")
    assert result is not None
    return result


def visible_state(response: httpx.Response) -> dict[str, Any]:
    """Return everything that a user can see of a response."""
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


@pytest.mark.parametrize("transport", [AsyncPoolTransport, httpx.AsyncHTTPTransport])
async def test_a_response_that_was_freed_is_recreated(transport: Callable[[], Any]) -> None:
    """It is equal to the original, but has no ``network_stream``."""
    async with (
        FaultServer(answer(201, JSON, "Content-Type: application/json")) as server,
        AsyncResilientClient(transport=transport()) as client,
    ):
        response = await (await client.post(f"{server.url}/a?b=%20c", client.new_context("r")))
        before, reference = visible_state(response), weakref.ref(response)
        result = client.get_result("r")
        assert result is not None
        del response
        await collect_garbage()
        assert reference() is None
        unpacked = result.unwrap()
        assert visible_state(unpacked) == before
        assert type(unpacked) is httpx.Response
        assert "network_stream" not in unpacked.extensions


async def test_a_response_that_is_still_referenced_is_the_one_in_the_result() -> None:
    """And it stays so, including later changes to it."""
    async with AsyncResilientClient(transport=httpx.MockTransport(respond)) as client:
        response = await (await client.get("http://a.test/", client.new_context("r")))
        result = client.get_result("r")
        assert result is not None
        assert result.response is response
        response.headers["X-Mine"] = "1"
        del response
        await collect_garbage()
        assert result.unwrap().headers["X-Mine"] == "1"


async def test_a_response_that_is_still_referenced_keeps_its_network_stream() -> None:
    """Packing removes it only from the packed copy."""
    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        response = await (await client.get(server.url))
        await client.wait_for_all_requests()
        stream = response.extensions["network_stream"]
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", server.port)


async def test_a_recreated_response_is_the_same_object_at_each_access() -> None:
    """And it can be changed like the original."""
    async with AsyncResilientClient(transport=httpx.MockTransport(respond)) as client:
        first = await kept_result("http://a.test/", client, content=b"x")
        first.unwrap().encoding = "latin-1"
        await collect_garbage()
        again = client.get_result("r")
        assert again is not None
        assert again.unwrap().text == JSON.decode("latin-1")
        assert client.get_all_results()["r"].response is first.response


async def test_a_recreated_response_is_closed_and_its_request_can_be_sent_again() -> None:
    """If it has no body. Reading or closing the response has no effect, as with the original."""
    sent: list[bytes] = []

    def record(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        return respond(request)

    transport = httpx.MockTransport(record)
    async with AsyncResilientClient(transport=transport) as client:
        unpacked = (await kept_result("http://a.test/", client)).unwrap()
        assert await unpacked.aread() == JSON
        await unpacked.aclose()
        with pytest.raises(httpx.StreamConsumed):
            await anext(unpacked.aiter_raw())
    async with httpx.AsyncClient(transport=transport) as other:
        await other.send(unpacked.request)
    assert sent == [b"", b""]


async def test_a_result_keeps_its_hash() -> None:
    """Its response is part of its hash, so it must not be replaced."""
    async with AsyncResilientClient(transport=httpx.MockTransport(respond)) as client:
        result = await kept_result("http://a.test/", client)
        found, others = {result}, [httpx.Response(200) for _ in range(10)]
        assert result in found
        assert copy.copy(result) in found
        del others


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda result: pickle.loads(pickle.dumps(result))]
)
async def test_a_result_can_be_copied_and_pickled(duplicate: Callable[[Any], Any]) -> None:
    """With its packed response."""
    async with AsyncResilientClient(transport=httpx.MockTransport(respond)) as client:
        result = duplicate(await kept_result("http://a.test/", client))
    assert result.unwrap().json() == {"name": "Zoë"}
    assert result.request_id == "r"
    with pytest.raises(AttributeError, match="'SuccessResult' object has no attribute 'answer'"):
        _ = result.answer


async def test_a_kept_response_is_four_objects_for_the_garbage_collector() -> None:
    """The result, the record of its attempt, the packed response, and a weak reference to it."""
    before = 0
    async with AsyncResilientClient(transport=httpx.MockTransport(respond)) as client:
        for _ in range(2):
            gc.collect()
            before = len(gc.get_objects())
            for _ in range(50):
                await (await client.get("http://a.test/"))
        gc.collect()
        assert round((len(gc.get_objects()) - before) / 50) == 4
        assert client.results_count == 100


@pytest.mark.parametrize("http11", ["h11", "llhttp"])
async def test_a_read_response_is_freed_with_its_last_reference(http11: Any) -> None:
    """Without the garbage collector: unlike httpx's, it has no reference cycle."""
    gc.collect()
    gc.disable()
    try:
        async with (
            FaultServer(answer()) as server,
            httpx.AsyncClient(transport=AsyncPoolTransport(http11=http11)) as client,
        ):
            response = await client.get(server.url)
            with pytest.raises(httpx.StreamConsumed):
                await anext(aiter(response.stream))  # type: ignore[arg-type]  # it's async
            reference = weakref.ref(response)
            del response
            await asyncio.sleep(0)
            assert reference() is None
    finally:
        gc.enable()


# Responses that can't be packed are kept unchanged


class CustomResponse(httpx.Response):
    """A user-defined response."""


def with_attribute(response: httpx.Response) -> None:
    """Set an attribute on the response."""
    response.parsed = object()  # type: ignore[attr-defined]  # as an event hook may


def with_extension(response: httpx.Response) -> None:
    """Add an object to the extensions."""
    response.extensions["parsed"] = object()


def with_buffer(response: httpx.Response) -> None:
    """Add a mutable buffer to the extensions."""
    response.extensions["parsed"] = bytearray(b"parsed")


def with_list(response: httpx.Response) -> None:
    """Set a list, which may change later, on the response."""
    response.parsed = []  # type: ignore[attr-defined]  # as an event hook may


def with_request_list(response: httpx.Response) -> None:
    """Set a list, which may change later, on the request."""
    response.request.signed = []  # type: ignore[attr-defined]  # as an event hook may


def with_timeout(response: httpx.Response) -> None:
    """Put a mutable buffer into the timeouts of the request."""
    response.request.extensions["timeout"]["read"] = bytearray(b"5")


def with_trailer(response: httpx.Response) -> None:
    """Put a mutable buffer into the trailers."""
    response.extensions["trailing_headers"] = [(b"X-Sum", bytearray(b"5"))]


def with_other_trailers(response: httpx.Response) -> None:
    """Replace the trailers by a dict that contains a list."""
    response.extensions["trailing_headers"] = {"X-Sum": []}


def with_stream(response: httpx.Response) -> None:
    """Replace the stream of the response."""
    response.stream = httpx.ByteStream(JSON)


def with_request_stream(response: httpx.Response) -> None:
    """Replace the stream of the request, as code that signs or encodes a body does."""
    response.request.stream = httpx.ByteStream(b"encoded")


def with_headers(response: httpx.Response) -> None:
    """Replace the headers by an instance of a subclass."""
    response.headers = type("Ordered", (httpx.Headers,), {})(response.headers)


def with_url(response: httpx.Response) -> None:
    """Replace the URL by an instance of a subclass."""
    response.request.url = type("CustomURL", (httpx.URL,), {})(response.request.url)


def with_custom_class(response: httpx.Response) -> None:
    """Change the class of the response."""
    response.__class__ = CustomResponse


def client_with_hook(change: Callable[[httpx.Response], None]) -> AsyncResilientClient:
    """Create a client with an event hook that changes each response."""

    async def hook(response: httpx.Response) -> None:
        await response.aread()
        change(response)

    transport = httpx.MockTransport(respond)
    return AsyncResilientClient(transport=transport, event_hooks={"response": [hook]})


@pytest.mark.parametrize(
    "change",
    [
        with_attribute,
        with_extension,
        with_buffer,
        with_list,
        with_request_list,
        with_timeout,
        with_trailer,
        with_other_trailers,
        with_stream,
        with_request_stream,
        with_headers,
        with_url,
        with_custom_class,
    ],
)
async def test_a_response_that_cannot_be_packed_completely_is_kept_as_a_copy(
    change: Callable[[httpx.Response], None],
) -> None:
    """With whatever was set on it, but without what it holds open and what was sent."""
    async with client_with_hook(change) as client:
        response = await client.request("POST", "http://a.test/", client.new_context("r"), json=1)
        visible = vars(response).keys() - {
            "stream",
            "_decoder",
            "_request",
            "extensions",
            "headers",
        }
        expected = {name: vars(response)[name] for name in visible}
        extensions, headers, reference = (
            response.extensions,
            response.headers,
            weakref.ref(response),
        )
        del response
        await collect_garbage()
        assert reference() is None
        result = client.get_result("r")
        assert result is not None
        copied = result.unwrap()
    assert {name: vars(copied)[name] for name in visible} == expected
    assert (copied.extensions, copied.headers) == (extensions, headers)
    with pytest.raises(httpx.RequestNotRead):
        assert copied.request.content


def without_extensions(response: httpx.Response) -> None:
    """Remove the extensions, which every response has."""
    response.extensions = None  # type: ignore[assignment]  # the point of the test


def without_request(response: httpx.Response) -> None:
    """Remove the request."""
    del response._request


@pytest.mark.parametrize("change", [without_extensions, without_request])
async def test_a_request_ends_even_if_a_hook_breaks_its_response(
    change: Callable[[httpx.Response], None],
) -> None:
    """The result and the task have that response; that it can't be packed doesn't matter."""
    async with client_with_hook(change) as client:
        response = await (await client.get("http://a.test/", client.new_context("r")))
        result = (await client.wait_for_all_requests())["r"]
        assert result.response is response
        assert client.active_tasks_count == 0


async def test_a_response_that_can_be_closed_synchronously_is_kept_itself() -> None:
    """Such as one created by an external client."""

    class StaticClient:
        async def request(self, method: str, url: Any, **_: Any) -> httpx.Response:
            return httpx.Response(200, content=JSON, request=httpx.Request(method, url))

    async with AsyncResilientClient(http_client=StaticClient()) as client:
        result = await kept_result("http://a.test/", client)
        result.unwrap().close()
        assert result.unwrap().content == JSON


async def test_a_response_after_a_redirect_keeps_its_history() -> None:
    """With all the responses that led to it."""

    def redirect(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/old":
            return httpx.Response(302, headers={"Location": "/new"})
        return httpx.Response(200)

    transport = httpx.MockTransport(redirect)
    async with AsyncResilientClient(transport=transport, follow_redirects=True) as client:
        result = await kept_result("http://a.test/old", client)
        assert [one.status_code for one in result.unwrap().history] == [302]


VALUES = st.text(st.characters(codec="latin-1", exclude_characters="\0\r\n"))
PATHS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40)


@given(VALUES, VALUES, PATHS, st.binary())
def test_a_recreated_response_has_the_same_contents(
    name: str, value: str, path: str, body: bytes
) -> None:
    """Whatever its headers, URL and body."""
    pair = [(name.encode("latin-1"), value.encode("latin-1"))]
    request = httpx.Request("GET", f"http://u:p@a.test/{path}", headers=pair)
    response = httpx.Response(200, headers=pair, content=body, request=request)
    before = (response.headers.raw, request.headers.raw, request.url, str(request.url))
    response.stream = SPENT
    packed = PackedResponse(response)
    del response
    gc.collect(0)
    unpacked = packed.unpack()
    sent = unpacked.request
    assert (unpacked.headers.raw, sent.headers.raw, sent.url, str(sent.url)) == before
    assert sent.url.raw_path == before[2].raw_path
    assert unpacked.content == body
    with pytest.raises(RuntimeError, match="elapsed"):
        _ = unpacked.elapsed  # which only a client sets
