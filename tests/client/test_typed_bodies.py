"""``response_model``: a request gives the value that its body was decoded as."""

import asyncio
import contextlib
import copy
import dataclasses
import gc
import pickle
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx
import httpx2
import msgspec
import pydantic
import pytest

from typed_async_client import (
    AsyncEvent,
    AsyncResilientClient,
    Call,
    CallNext,
    DecodeError,
    EventType,
    NotFoundError,
    Resilience,
    ResultStatus,
    RetryPolicy,
    StatusError,
    simple_async_request,
)
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request

T = TypeVar("T")

RETRIED = Resilience(retry=RetryPolicy(max_retries=2, base_delay=0.001))


@dataclasses.dataclass
class Item:
    """What the server has."""

    id: int


class Model(pydantic.BaseModel):
    """The same, of pydantic."""

    id: int


class Struct(msgspec.Struct):
    """The same, of msgspec."""

    id: int


PAGES: dict[str, tuple[int, bytes]] = {
    "/item": (200, b'{"id": 7}'),
    "/items": (200, b'[{"id": 7}, {"id": 8}]'),
    "/wrong": (200, b'{"id": "seven"}'),
    "/none": (204, b""),
    "/empty": (200, b""),
    "/missing": (404, b'{"id": 0}'),
    "/busy": (503, b"try later"),
}


async def answer(request: SeenRequest, wire: Wire) -> None:
    """Answer with the page of that path."""
    status, body = PAGES[request.target]
    await wire.answer(status, body, "Content-Type: application/json")


Serving = Callable[..., contextlib.AbstractAsyncContextManager[AsyncResilientClient]]


@pytest.fixture(name="serving")
def serve_pages() -> Serving:
    """Return what makes a client whose ``base_url`` is that of a server of the pages."""

    @contextlib.asynccontextmanager
    async def serving(**options: Any) -> Any:
        async with (
            FaultServer(each_request(answer)) as server,
            AsyncResilientClient(base_url=server.url, **options) as client,
        ):
            yield client

    return serving


@pytest.mark.parametrize(
    ("model", "value"),
    [
        (Item, Item(7)),
        (Model, Model(id=7)),
        (Struct, Struct(7)),
        (dict[str, int], {"id": 7}),
        (bytes, b'{"id": 7}'),
        (str, '{"id": 7}'),
    ],
)
async def test_the_task_gives_the_value(serving: Serving, model: Any, value: object) -> None:
    """The event and the result have the response."""
    seen: list[object] = []
    async with serving() as client:
        client.add_event_callback(EventType.SUCCESS, lambda event: seen.append(event.data.text))
        task = await client.get("/item", client.new_context("r"), response_model=model)
        assert await task == value
        result = (await client.wait_for_all_requests())["r"]
        assert result.unwrap().json() == {"id": 7}
        assert result.unwrap_or(None) is result.response
        assert seen == ['{"id": 7}']


async def test_every_way_to_make_a_request_takes_a_model(serving: Serving) -> None:
    """Each verb, the method by its name, a view, and a request without a client."""
    async with serving() as client:
        for verb in (client.get, client.post, client.put, client.patch, client.delete):
            assert await (await verb("/item", response_model=Item)) == Item(7)
        assert await (await client.options("/items", response_model=list[Item])) == [
            Item(7),
            Item(8),
        ]
        assert await (await client.head("/item", response_model=Item | None)) is None
        assert await client.with_options().request("GET", "/item", response_model=Item) == Item(7)
        url = str(client._client.base_url.join("/item"))
    with pytest.raises(httpx.ConnectError):
        await simple_async_request("GET", url, response_model=Item, max_retries=0)


async def test_a_body_that_does_not_fit_ends_the_request_with_an_error(serving: Serving) -> None:
    """It isn't sent again; event and result have the error, and the error has the response."""
    seen: list[AsyncEvent] = []
    async with serving(resilience=RETRIED) as client:
        for kind in EventType:
            client.add_event_callback(kind, seen.append)
        with pytest.raises(DecodeError, match=r"as Item: \$\.id: expected an integer") as raised:
            await client.request("GET", "/wrong", client.new_context("r"), response_model=Item)
        error = raised.value
        assert error.response.json() == {"id": "seven"}
        assert error.model is Item
        assert isinstance(error.__cause__, ValueError)
        assert [record.status for record in error.history] == [200]
        result = (await client.wait_for_all_requests())["r"]
        assert result.status is ResultStatus.ERROR
        assert result.error is error
        terminal = [event for event in seen if event.is_terminal]
        assert [(event.event_type, event.error) for event in terminal] == [(EventType.ERROR, error)]
        assert client.statistics().failed == 1


async def test_a_bad_status_is_raised_unless_the_request_says_otherwise(serving: Serving) -> None:
    """A value of the type can't be made of an error page; with False, the page is decoded."""
    async with serving() as client:
        with pytest.raises(NotFoundError):
            await client.request("GET", "/missing", response_model=Item)
        item = await client.request("GET", "/missing", response_model=Item, raise_on_status=False)
        assert item == Item(0)
        with pytest.raises(DecodeError, match=": 503: "):
            await client.request("GET", "/busy", response_model=Item, raise_on_status=False)


async def test_an_empty_body_is_none_where_the_type_allows_it(serving: Serving) -> None:
    """Whatever the status; otherwise it doesn't fit."""
    async with serving() as client:
        for path in ("/none", "/empty"):
            assert await client.request("GET", path, response_model=Item | None) is None
            assert await client.request("GET", path, response_model=bytes) == b""
            with pytest.raises(DecodeError, match="the body is empty"):
                await client.request("GET", path, response_model=Item)


class Unknown:
    """A type that nobody decodes."""


async def test_a_type_that_nobody_decodes_is_refused_before_anything_is_sent() -> None:
    """The request isn't even counted."""
    requests: list[httpx.Request] = []

    def record(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200)

    async with AsyncResilientClient(transport=httpx.MockTransport(record)) as client:
        ways: list[Callable[..., Awaitable[Any]]] = [
            client.request,
            client.request_async,
            client.fetch,
        ]
        for way in ways:
            with pytest.raises(TypeError, match="no decoder for response_model=Unknown"):
                await way("GET", "http://a.test/", response_model=Unknown)
        assert client.statistics().submitted == 0
        assert client.results_count == 0
    assert requests == []


class UpperDecoder:
    """Decodes a type of the caller's own."""

    def can_decode(self, model: Any) -> bool:
        """Return whether it is that type."""
        return model is Unknown

    def decode(self, content: bytes, model: type[T]) -> T:
        """Return a value of it, or be interrupted."""
        if b"seven" in content:
            raise KeyboardInterrupt
        return model()


async def test_a_client_and_its_views_have_decoders_of_their_own(serving: Serving) -> None:
    """Which are asked first, and checked when the client is created."""
    async with serving(decoders=[UpperDecoder()]) as client:
        for each in (client, client.with_options(deadline=5.0)):
            assert type(await each.request("GET", "/item", response_model=Unknown)) is Unknown
    with pytest.raises(TypeError, match="pass an instance, UpperDecoder"):
        AsyncResilientClient(decoders=[UpperDecoder])  # type: ignore[list-item]  # the point of the test


async def test_a_middleware_sees_responses_and_its_own_is_decoded(serving: Serving) -> None:
    """The option isn't passed on to it, so each call gives a response."""
    seen: list[object] = []

    async def middleware(call: Call, call_next: CallNext) -> httpx.Response:
        seen.append(dict(call.options))
        response = await call_next(call)
        seen.append(response.json())
        match call.url:
            case "/item":
                return httpx.Response(200, json={"id": 70})
            case "/items":
                return httpx.Response(410, json={"id": 70})
        return response

    async with serving(middleware=[middleware]) as client:
        assert await client.request("GET", "/item", response_model=Item) == Item(70)
        assert seen == [{"raise_on_status": True}, {"id": 7}]
        with pytest.raises(StatusError, match=": 410 Gone"):
            await client.request("GET", "/items", client.new_context("gone"), response_model=Item)
        with pytest.raises(DecodeError) as raised:
            await client.request("GET", "/wrong", client.new_context("wrong"), response_model=Item)
        assert len(raised.value.history) == 1
        with pytest.raises(NotFoundError):
            await client.request("GET", "/missing", response_model=Item)
        options: dict[str, Any] = {"response_model": Item, "raise_on_status": False}
        assert await client.request("GET", "/missing", **options) == Item(0)
        results = await client.wait_for_all_requests()
        assert results["gone"].status is results["wrong"].status is ResultStatus.ERROR
        assert isinstance(results["wrong"].error, DecodeError)


async def test_a_call_of_a_middleware_has_no_model(serving: Serving) -> None:
    """The request has one."""

    async def middleware(call: Call, call_next: CallNext) -> httpx.Response:
        return await call_next(dataclasses.replace(call, options={"response_model": Item}))

    async with serving(middleware=[middleware]) as client:
        with pytest.raises(TypeError, match="pass response_model to the request"):
            await client.request("GET", "/item")


async def test_with_an_httpx2_client_the_error_is_one_of_httpx2() -> None:
    """And ours."""
    async with (
        FaultServer(each_request(answer)) as server,
        httpx2.AsyncClient() as external,
        AsyncResilientClient(http_client=external) as client,
    ):
        assert await client.request("GET", f"{server.url}item", response_model=Item) == Item(7)
        with pytest.raises(httpx2.DecodingError) as raised:
            await client.request("GET", f"{server.url}wrong", response_model=Item)
        for error in (raised.value, pickle.loads(pickle.dumps(raised.value))):
            assert isinstance(error, DecodeError)
            assert isinstance(error.response, httpx2.Response)


@pytest.mark.parametrize("model", [Item, Model, Struct])
async def test_the_error_survives_pickle_copy_and_the_ledger(serving: Serving, model: Any) -> None:
    """Although the error of a library, its cause, may survive none of them."""

    async def fail(client: AsyncResilientClient, request_id: str) -> str:
        try:
            await client.request(
                "GET", "/wrong", client.new_context(request_id), response_model=model
            )
        except DecodeError as error:
            copies = [pickle.loads(pickle.dumps(error)), copy.deepcopy(error)]
            said = str(error)
        assert [(str(each), each.model) for each in copies] == [(said, model)] * 2
        assert [each.response.json() for each in copies] == [{"id": "seven"}] * 2
        return said

    async with serving(max_result_bytes=20) as client:
        said = await fail(client, "r")
        await asyncio.sleep(0)  # the callbacks of the task have a reference until then
        gc.collect()
        kept = client.get_all_results()["r"].error
        assert isinstance(kept, DecodeError)
        assert (str(kept), kept.response.json(), kept.__traceback__) == (
            said,
            {"id": "seven"},
            None,
        )
        del kept
        await fail(client, "another")
        evicted = client.get_all_results()["r"]
        assert evicted.response_evicted
        assert isinstance(evicted.error, DecodeError)
        assert evicted.error.response is None


async def test_a_type_that_pickle_does_not_find_is_left_out(serving: Serving) -> None:
    """The error itself is restored."""

    @dataclasses.dataclass
    class Local:
        id: int

    async with serving() as client:
        with pytest.raises(DecodeError) as raised:
            await client.request("GET", "/wrong", response_model=Local)
    assert raised.value.model is Local
    restored = pickle.loads(pickle.dumps(raised.value))
    assert (str(restored), restored.model) == (str(raised.value), None)
    assert copy.deepcopy(raised.value).model is Local


async def test_a_failed_request_is_freed_without_the_collector(serving: Serving) -> None:
    """Its error makes no reference cycle, nor does a value."""

    async def middleware(call: Call, call_next: CallNext) -> httpx.Response:
        return await call_next(call)

    for options in ({}, {"middleware": [middleware]}):
        async with serving(max_results=0, **options) as client:

            async def responses(path: str, client: Any = client) -> "weakref.ref[Any]":
                try:
                    return weakref.ref(await client.request("GET", path, response_model=Item))
                except DecodeError as error:
                    return weakref.ref(error.response)

            await responses("/item")
            gc.collect()
            gc.disable()
            try:
                for path in ("/wrong", "/item"):
                    freed = await responses(path)
                    for _ in range(3):
                        await asyncio.sleep(0)
                    assert freed() is None, (path, options)
            finally:
                gc.enable()


async def test_a_streamed_response_is_not_decoded() -> None:
    """Its body isn't there yet; nothing is sent."""
    options: dict[str, Any] = {"response_model": Item}
    async with AsyncResilientClient() as client:
        for stream in (
            client.stream("GET", "http://a.test/", **options),
            client.lines("GET", "http://a.test/", **options),
        ):
            with pytest.raises(TypeError, match="a streamed response isn't decoded"):
                await stream.__aenter__()
        assert client.statistics().submitted == 0


async def test_an_interrupted_decoder_cancels_the_request() -> None:
    """What isn't an error isn't made one."""

    class Interrupt(BaseException):
        pass

    class Interrupting(UpperDecoder):
        def decode(self, content: bytes, model: type[T]) -> T:
            raise Interrupt

    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    async with AsyncResilientClient(transport=transport, decoders=[Interrupting()]) as client:
        with pytest.raises(Interrupt):
            await client.request("GET", "http://a.test/", response_model=Unknown)
        [result] = client.get_all_results().values()
        assert result.status is ResultStatus.CANCELLED
        with pytest.raises(Interrupt):
            await client.fetch("GET", "http://a.test/", response_model=Unknown)
