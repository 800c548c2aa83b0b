"""``fetch`` returns a result for whatever a request can meet, and raises only what is no such thing."""

import asyncio
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import httpx
import httpx2
import pytest

from typed_async_client import (
    AsyncResilientClient,
    Bulkhead,
    BulkheadFullError,
    Call,
    CallNext,
    CircuitBreaker,
    CircuitOpenError,
    ClientClosedError,
    DeadlineExceededError,
    DecodeError,
    FailureKind,
    FailureResult,
    NotFoundError,
    RequestCancelledError,
    RequestResult,
    Resilience,
    ResultStatus,
    RetryBudget,
    RetryPolicy,
    SuccessResult,
)
from typed_async_client.testing import FaultServer, each_request, in_virtual_time, run_virtual

URL = "http://a.test/"


@dataclasses.dataclass(frozen=True)
class Item:
    """What the server has."""

    id: int


async def answer(request: httpx.Request) -> httpx.Response:
    """Do what the path says."""
    match request.url.path:
        case "/item":
            return httpx.Response(200, json={"id": 7})
        case "/wrong":
            return httpx.Response(200, text="no JSON")
        case "/missing":
            return httpx.Response(404)
        case "/busy":
            return httpx.Response(503, headers={"Retry-After": "900"})
        case "/refused":
            raise httpx.ConnectError("refused", request=request)
        case "/late":
            raise httpx.ReadTimeout("late", request=request)
        case "/cut":
            raise httpx.ReadError("cut", request=request)
        case "/compressed":
            raise httpx.DecodingError("bad gzip", request=request)
        case "/bug":
            raise ZeroDivisionError("the transport's own")
    await asyncio.sleep(3600)
    return httpx.Response(200)


def new_client(**options: Any) -> AsyncResilientClient:
    """Create a client that is answered like that."""
    transport = httpx.MockTransport(answer)
    return AsyncResilientClient(transport=transport, base_url=URL, **options)


def failed(result: RequestResult[Any]) -> FailureResult:
    """Return a result, which must be a failure."""
    assert isinstance(result, FailureResult)
    return result


@in_virtual_time
async def test_a_success_has_the_response_or_the_decoded_value() -> None:
    """And the figures of the request; the client keeps the response."""
    async with new_client() as client:
        plain = await client.fetch("GET", "/item")
        assert isinstance(plain, SuccessResult)
        assert plain.value is plain.unwrap() is plain.response
        assert plain.response.json() == {"id": 7}
        result = await client.fetch("GET", "/item", client.new_context("r"), response_model=Item)
        assert isinstance(result, SuccessResult)
        assert result.value == result.unwrap() == result.unwrap_or(None) == Item(7)
        assert (result.request_id, result.attempts, result.status_code) == ("r", 1, 200)
        assert (result.method, result.url) == ("GET", "http://a.test/item")
        assert [record.status for record in result.history] == [200]
        assert result.response.json() == {"id": 7}
        assert repr(result).startswith(
            "<SuccessResult SUCCESS GET http://a.test/item request_id='r'"
        )
        kept = client.get_result("r")
        assert kept is not None
        assert kept.unwrap().json() == {"id": 7}
        restored = pickle.loads(pickle.dumps(result))
        assert type(restored) is type(result)
        assert (restored.value, restored.response.json(), restored.age > 0) == (
            Item(7),
            {"id": 7},
            True,
        )
        replace: Any = dataclasses.replace
        with pytest.raises(dataclasses.FrozenInstanceError):
            result.value = Item(8)  # type: ignore[misc]  # the point of the test
        assert hash(result) == hash(replace(result, value={}))


KINDS: dict[str, tuple[FailureKind, ResultStatus, str]] = {
    "/wrong": (FailureKind.DECODE, ResultStatus.ERROR, "DecodeError"),
    "/missing": (FailureKind.STATUS, ResultStatus.ERROR, "NotFoundError"),
    "/busy": (FailureKind.STATUS, ResultStatus.ERROR, "ServiceUnavailableError"),
    "/refused": (FailureKind.CONNECT, ResultStatus.ERROR, "ConnectError"),
    "/late": (FailureKind.TIMEOUT, ResultStatus.TIMEOUT, "ReadTimeout"),
    "/cut": (FailureKind.OTHER, ResultStatus.ERROR, "ReadError"),
    "/compressed": (FailureKind.DECODE, ResultStatus.ERROR, "DecodingError"),
    "/bug": (FailureKind.OTHER, ResultStatus.ERROR, "ZeroDivisionError"),
    "/silent": (FailureKind.DEADLINE, ResultStatus.TIMEOUT, "DeadlineExceededError"),
}


@pytest.mark.parametrize("path", KINDS)
def test_a_failure_has_its_error_and_says_of_what_kind_it_is(path: str) -> None:
    """It is the failure that the client keeps, with the error that the task would have raised."""

    async def main() -> None:
        async with new_client() as client:
            context = client.new_context("r")
            result = failed(
                await client.fetch("GET", path, context, response_model=Item, deadline=60.0)
            )
            assert (result.kind, result.status, type(result.error).__name__) == KINDS[path]
            assert result.unwrap_or(Item(0)) == Item(0)
            with pytest.raises(type(result.error)) as raised:
                result.unwrap()
            assert raised.value is result.error
            kept = client.get_result("r")
            assert kept is not None
            assert (kept.error, kept.status) == (result.error, result.status)
            assert pickle.loads(pickle.dumps(result)).kind is result.kind

    run_virtual(main())


@in_virtual_time
async def test_a_bad_status_is_a_success_if_the_caller_says_so() -> None:
    """Then the body of an error is decoded as well."""
    async with new_client() as client:
        result = await client.fetch("GET", "/missing", raise_on_status=False)
        assert (result.is_success, result.status_code) == (True, 404)
        none = await client.fetch("GET", "/missing", raise_on_status=None)
        assert isinstance(failed(none).error, NotFoundError)
        empty = await client.fetch("GET", "/missing", response_model=dict, raise_on_status=False)
        assert isinstance(failed(empty).error, DecodeError)


@in_virtual_time
async def test_what_a_policy_refuses_is_told_apart() -> None:
    """An open circuit, a full bulkhead, an exhausted budget, a wait that is too long."""
    circuit = Resilience(circuit=CircuitBreaker())
    async with new_client(resilience=circuit) as client:
        client.circuit("http://a.test").isolate()
        result = failed(await client.fetch("GET", "/item"))
        assert (result.kind, result.status) == (FailureKind.CIRCUIT_OPEN, ResultStatus.REJECTED)
        assert isinstance(result.error, CircuitOpenError)
        assert result.attempts == 0
    bulkhead = Resilience(bulkhead=Bulkhead(max_concurrent=1, max_waiting=0))
    async with new_client(resilience=bulkhead) as client:
        await client.get("/silent")
        await asyncio.sleep(0)
        result = failed(await client.fetch("GET", "/item"))
        assert result.kind is FailureKind.REJECTED
        assert isinstance(result.error, BulkheadFullError)
    budget = Resilience(
        retry=RetryPolicy(base_delay=0.001), budget=RetryBudget(ratio=0.0, min_per_second=0.0)
    )
    async with new_client(resilience=budget) as client:
        assert failed(await client.fetch("GET", "/cut")).kind is FailureKind.BUDGET
        assert failed(await client.fetch("GET", "/busy")).kind is FailureKind.RETRY_AFTER


@in_virtual_time
async def test_closing_the_client_is_a_failure_of_the_requests_that_run() -> None:
    """Of those that wait for admission as well; afterwards, a request can't be made."""
    client = new_client(max_concurrent_requests=1)
    running = asyncio.create_task(client.fetch("GET", "/silent", client.new_context("r")))
    await asyncio.sleep(1)
    waiting = asyncio.create_task(client.fetch("GET", "/item"))
    await asyncio.sleep(1)
    await client.close()
    for task in (running, waiting):
        result = failed(await task)
        assert (result.kind, result.status) == (FailureKind.CANCELLED, ResultStatus.CANCELLED)
        with pytest.raises(RequestCancelledError):
            result.unwrap()
    assert client.get_all_results().keys() == {"r"}  # the other one was never submitted
    with pytest.raises(ClientClosedError):
        await client.fetch("GET", "/item")


@in_virtual_time
async def test_a_deadline_that_passes_before_admission_is_a_failure() -> None:
    """With an event and a result, as for every request."""
    async with new_client(max_concurrent_requests=1) as client:
        await client.get("/silent")
        context = client.new_context("r")
        result = failed(await client.fetch("GET", "/item", context, deadline=5.0))
        assert result.kind is FailureKind.DEADLINE
        assert isinstance(result.error, DeadlineExceededError)
        kept = client.get_result("r")
        assert kept is not None
        assert kept.error is result.error


@pytest.mark.parametrize("turns", range(12))
@pytest.mark.parametrize("limit", [None, 1])
def test_cancelling_the_caller_cancels_the_request(turns: int, limit: int | None) -> None:
    """At whichever await: the cancellation isn't turned into a result."""

    async def main() -> None:
        async with new_client(max_concurrent_requests=limit) as client:
            caller = asyncio.create_task(client.fetch("GET", "/silent"))
            for _ in range(turns):
                await asyncio.sleep(0)
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
            assert client.active_tasks_count == 0
            statuses = [result.status for result in client.get_all_results().values()]
            assert set(statuses) <= {ResultStatus.CANCELLED}
            assert client.statistics().active == 0

    run_virtual(main())


@in_virtual_time
async def test_a_cancellation_that_is_pending_is_not_lost() -> None:
    """Even if the client is closed at the same time."""
    client = new_client()

    async def call() -> None:
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
        await client.fetch("GET", "/silent")

    caller = asyncio.create_task(call())
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_a_cancelled_caller_waits_for_the_end_of_its_request() -> None:
    """A middleware may still have something to clean up."""
    is_over = False

    async def slow_to_end(call: Call, call_next: CallNext) -> httpx.Response:
        nonlocal is_over
        try:
            return await call_next(call)
        finally:
            await asyncio.sleep(0)
            is_over = True

    async with new_client(middleware=[slow_to_end]) as client:
        caller = asyncio.create_task(client.fetch("GET", "/silent"))
        for _ in range(10):
            await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert is_over


async def test_what_is_no_error_is_raised_and_not_a_result() -> None:
    """As from ``request()``."""

    class StopError(BaseException):
        pass

    async def stopping(call: Call, call_next: CallNext) -> httpx.Response:
        raise StopError

    async with new_client(middleware=[stopping]) as client:
        with pytest.raises(StopError):
            await client.fetch("GET", "/silent")


@in_virtual_time
async def test_a_caller_that_was_cancelled_before_may_still_make_requests() -> None:
    """As in a cleanup that runs because of the cancellation."""
    client = new_client()
    results: list[RequestResult] = []

    async def call() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            results.append(await client.fetch("GET", "/silent"))

    caller = asyncio.create_task(call())
    await asyncio.sleep(1)
    caller.cancel()
    await asyncio.sleep(1)
    await client.close()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert [failed(result).kind for result in results] == [FailureKind.CANCELLED]


@in_virtual_time
async def test_a_result_is_the_requests_own_whatever_the_client_keeps() -> None:
    """Two requests with one id, and a client that keeps no results."""
    async with new_client(max_results=0) as client:
        first, second = await asyncio.gather(
            client.fetch("GET", "/item", client.new_context("same"), response_model=Item),
            client.fetch("GET", "/missing", client.new_context("same")),
        )
        assert first.unwrap() == Item(7)
        assert isinstance(failed(second).error, NotFoundError)


@in_virtual_time
async def test_a_middleware_is_called_around_it() -> None:
    """And what it raises is a failure of the request."""

    async def middleware(call: Call, call_next: CallNext) -> httpx.Response:
        assert call.options == {"raise_on_status": True}
        if call.url == "/item":
            return await call_next(call)
        raise LookupError("the middleware's own")

    async with new_client(middleware=[middleware]) as client:
        assert (await client.fetch("GET", "/item", response_model=Item)).unwrap() == Item(7)
        result = failed(await client.fetch("GET", "/other"))
        assert (type(result.error), result.kind) == (LookupError, FailureKind.OTHER)


MISSPELT: dict[str, Any] = {"jsn": {}}
NO_FLAG: dict[str, Any] = {"raise_on_status": "yes"}

BAD_CALLS: list[tuple[Callable[[AsyncResilientClient], Any], type[Exception], str]] = [
    (lambda client: client.fetch("G E T", "/"), ValueError, "invalid HTTP method"),
    (lambda client: client.fetch("GET", "/", deadline=-1.0), ValueError, "deadline must be"),
    (lambda client: client.fetch("GET", "/", **MISSPELT), TypeError, "did you mean 'json'"),
    (lambda client: client.fetch("GET", "/", response_model=[]), TypeError, "no decoder"),
    (lambda client: client.fetch("GET", "/", **NO_FLAG), ValueError, "raise_on_status"),
]


@pytest.mark.parametrize(("call", "kind", "message"), BAD_CALLS)
async def test_a_mistake_in_the_call_is_raised(
    call: Callable[[AsyncResilientClient], Any], kind: type[Exception], message: str
) -> None:
    """Nothing was submitted."""
    async with new_client() as client:
        with pytest.raises(kind, match=message):
            await call(client)
        assert client.statistics().submitted == 0


async def test_results_of_httpx2_requests_are_told_apart_too() -> None:
    """Its errors share no class with those of httpx."""

    def respond(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/missing":
            return httpx2.Response(404)
        if request.url.path == "/compressed":
            raise httpx2.DecodingError("bad gzip", request=request)
        raise httpx2.ReadTimeout("late", request=request)

    transport = httpx2.MockTransport(respond)
    async with (
        httpx2.AsyncClient(transport=transport, base_url=URL) as external,
        AsyncResilientClient(http_client=external) as client,
    ):
        kinds = [
            failed(await client.fetch("GET", path)).kind
            for path in ("/missing", "/compressed", "/late")
        ]
        refused = httpx2.HTTPStatusError(
            "no", request=httpx2.Request("GET", URL), response=httpx2.Response(404)
        )
    assert kinds == [FailureKind.STATUS, FailureKind.DECODE, FailureKind.TIMEOUT]
    result: Any = FailureResult("r", ResultStatus.ERROR, None, refused, 1, 0.5)
    assert result.kind is FailureKind.STATUS


async def test_on_real_sockets_nothing_is_raised_either() -> None:
    """The connection is cut, refused, and answered."""

    async def respond(request: Any, wire: Any) -> None:
        if request.target == "/cut":
            await wire.reset()
        else:
            await wire.answer(200, b'{"id": 7}')

    async with AsyncResilientClient(max_retries=0) as client:
        async with FaultServer(each_request(respond)) as server:
            url = server.url
            assert (await client.fetch("GET", url, response_model=Item)).unwrap() == Item(7)
            assert failed(await client.fetch("GET", f"{url}cut")).kind is FailureKind.OTHER
        assert failed(await client.fetch("GET", url)).kind is FailureKind.CONNECT


def test_results_match_by_position_and_by_name() -> None:
    """The value of a success, the error and the kind of a failure."""
    success: Any = SuccessResult("r", ResultStatus.SUCCESS, httpx.Response(200), None, 1, 0.5)
    failure: Any = FailureResult("r", ResultStatus.ERROR, None, OSError("no"), 1, 0.5)
    cancelled: Any = FailureResult(
        "r", ResultStatus.CANCELLED, None, asyncio.CancelledError(), 0, 0.5
    )
    interrupted: Any = FailureResult("r", ResultStatus.ERROR, None, KeyboardInterrupt(), 0, 0.5)

    def describe(result: RequestResult) -> object:
        match result:
            case SuccessResult(response):
                return response.status_code
            case FailureResult(_, FailureKind.CANCELLED as kind):
                return kind
            case FailureResult(error):
                return str(error)

    assert [describe(each) for each in (success, failure, cancelled, interrupted)] == [
        200,
        "no",
        FailureKind.CANCELLED,
        FailureKind.CANCELLED,
    ]
    assert isinstance(success, RequestResult)
    alias: Any = RequestResult
    assert str(alias[int]).endswith("ResultBase[int]")
