"""Every error that can leave this package survives pickle and copy."""

import asyncio
import concurrent.futures
import copy
import inspect
import multiprocessing
import pickle
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import h2.exceptions
import httpcore
import httpx
import httpx2
import pytest

from typed_async_client import AsyncResilientClient, errors, for_httpx2
from typed_async_client.testing import in_virtual_time

for_httpx2(httpx.MockTransport(lambda _: httpx.Response(200)))  # its errors leave through this one


def errors_of(library: Any) -> Iterator[BaseException]:
    """Create every error that httpx or httpx2 defines, as the library does."""
    request = library.Request("POST", "http://a.test/", content=b"x")
    kinds: list[Any] = [*vars(library).values()]
    for kind in kinds:
        if not _is_error(kind):
            continue
        arguments = inspect.signature(kind).parameters
        given = {"request": request, "response": library.Response(404, request=request)}
        positional = ["it failed"] if "message" in arguments else []
        yield kind(*positional, **{name: given[name] for name in given if name in arguments})


def _is_error(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, Exception)


def our_errors() -> Iterator[BaseException]:
    """Create every error that this package defines, also about a request."""
    for name in errors.__all__:
        kind: Any = getattr(errors, name)
        if _is_error(kind):
            yield kind("it failed")
    for library in (httpx, httpx2):
        request = library.Request("GET", "http://a.test/")
        yield errors.ConnectError("it failed", request=request)
        yield errors.RequestBodyConsumedError("it failed", request=request)
        response = library.Response(404, request=request)
        yield errors.ResponseTooLargeError("no", request=request, limit=9, response=response)


def errors_below() -> Iterator[BaseException]:
    """Create the errors that are causes of others, or arguments of them."""
    for kind in vars(httpcore).values():
        if _is_error(kind):
            yield kind(ConnectionRefusedError(111, "refused"))
    yield socket.gaierror(socket.EAI_NONAME, "unknown")
    yield UnicodeEncodeError("ascii", "é", 0, 1, "not ASCII")
    yield h2.exceptions.StreamClosedError(3)
    yield asyncio.CancelledError("stop")
    yield ExceptionGroup("several", [httpx.StreamConsumed(), errors.ConnectError("no")])
    try:
        context = ssl.create_default_context()
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a.test").do_handshake()
    except ssl.SSLError as error:
        yield error


ERRORS = [*errors_of(httpx), *errors_of(httpx2), *our_errors(), *errors_below()]

WAYS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda error: pickle.loads(pickle.dumps(error)),
    "pickle 0": lambda error: pickle.loads(pickle.dumps(error, protocol=0)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def message_of(error: BaseException) -> str:
    """Return the message of an error; what crosses a process must be a module's own function."""
    return str(error)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__qualname__)
def test_an_error_is_restored(error: Any, way: str) -> None:
    """With its type, its message, its notes and its attributes."""
    error.add_note("after 3 attempts")
    restored: Any = WAYS[way](error)
    assert type(restored) is type(error)
    assert str(restored) == str(error)
    assert vars(restored).keys() == vars(error).keys()
    assert restored.__notes__ == error.__notes__
    if "_request" in vars(error) and vars(error)["_request"] is not None:
        assert restored.request.url == vars(error)["_request"].url
    if vars(error).get("response") is not None:
        assert restored.response.status_code == 404


def test_errors_cross_processes() -> None:
    """A new process restores them, and raises them back."""
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        for error in (httpx.StreamConsumed(), errors.ConnectError("refused")):
            assert pool.submit(message_of, error).result() == str(error)


@in_virtual_time
async def test_results_pickle_with_their_errors_and_responses() -> None:
    """Although the client keeps both in another form."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/hello":
            return httpx.Response(200, text="hello")
        if request.url.path == "/consumed":
            raise httpx.StreamConsumed
        raise httpx.ReadTimeout("silent", request=request)

    async with AsyncResilientClient(transport=httpx.MockTransport(answer)) as client:
        for path in ("hello", "consumed", "slow"):
            await client.get(f"http://a.test/{path}", client.new_context(path))
        results = await client.wait_for_all_requests()
    restored = {name: pickle.loads(pickle.dumps(result)) for name, result in results.items()}
    assert restored["hello"].unwrap().text == "hello"
    assert type(restored["consumed"].error) is httpx.StreamConsumed
    assert type(restored["slow"].error) is httpx.ReadTimeout
    assert str(restored["slow"].error) == str(results["slow"].error)
    assert restored["slow"].error.request.url == "http://a.test/slow"
    assert [result.status for result in restored.values()] == [
        result.status for result in results.values()
    ]
