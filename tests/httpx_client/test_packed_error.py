"""The errors that the client keeps in compact form once nothing else references them."""

import asyncio
import gc
import sys
from typing import Any, Self

import httpcore
import httpx
import pytest

from typed_async_client import AsyncResilientClient, ConnectError, FailureResult
from typed_async_client.httpx_client.packed_error import PackedError
from typed_async_client.testing import FaultServer, answer, in_virtual_time, reset

REQUEST = httpx.Request("POST", "https://a.test/pay", content=b"pay 5")


class CustomError(Exception):
    """An error of the caller's, which Python can refer to weakly."""


def raised(error: Exception, context: Exception | None = None) -> Exception:
    """Raise an error, in the context of another, and return it with its traceback."""
    try:
        try:
            if context is not None:
                raise context
        finally:
            raise error
    except Exception as caught:  # noqa: BLE001 - it is returned
        return caught


def repacked(error: BaseException) -> BaseException:
    """Return what is reconstructed once nothing else refers to the error, which the caller drops."""
    packed = PackedError.of(error)
    assert packed is not None
    assert packed.unpack() is error
    packed._original = None  # as if it had been freed
    return packed.unpack()


def test_a_reconstructed_error_is_equal_but_has_no_traceback() -> None:
    """Type, arguments, attributes, notes, cause and request are those of the original."""
    cause = httpcore.ReadError(OSError(104, "reset"))
    error = httpx.ReadError("lost", request=REQUEST)
    error.add_note("after 2 attempts")
    error.__cause__ = cause
    error.detail = {"a": 1}  # type: ignore[attr-defined]  # as a hook may
    rebuilt: Any = repacked(raised(error))
    assert (type(rebuilt), rebuilt.args) == (httpx.ReadError, ("lost",))
    assert rebuilt.detail == {"a": 1}
    assert rebuilt.__notes__ == ["after 2 attempts"]
    assert rebuilt.__traceback__ is None
    assert rebuilt.__suppress_context__ is True
    assert type(rebuilt.__cause__) is httpcore.ReadError
    assert (rebuilt.request.method, rebuilt.request.url) == ("POST", REQUEST.url)
    with pytest.raises(httpx.RequestNotRead):
        assert rebuilt.request.content


def test_the_original_and_its_request_are_not_changed() -> None:
    """The caller may still print the traceback, or send the request again."""
    error = raised(httpx.ReadError("lost", request=REQUEST))
    repacked(error)
    assert error.__traceback__ is not None
    assert REQUEST.content == b"pay 5"


def test_a_context_becomes_the_cause_unless_it_is_suppressed() -> None:
    """So that a printed error still tells what led to it."""
    error = raised(CustomError("later"), context=CustomError("first"))
    assert repr(repacked(error).__cause__) == "CustomError('first')"
    error.__suppress_context__ = True
    assert repacked(error).__cause__ is None


def packed_with_errors_inside(kind: str) -> PackedError | None:
    """Pack an error with others inside, to which nothing refers afterwards."""
    inside = [raised(CustomError("a")), raised(CustomError("b"))]
    return PackedError.of(
        ExceptionGroup("both", inside) if kind == "group" else CustomError(*inside)
    )


@pytest.mark.parametrize("kind", ["group", "arguments"])
def test_errors_inside_an_error_have_no_traceback_either(kind: str) -> None:
    """Those of a group; and httpcore keeps the system's error as an argument of its own."""
    packed = packed_with_errors_inside(kind)
    assert packed is not None
    gc.collect()
    rebuilt: Any = packed.unpack()
    inside = rebuilt.exceptions if kind == "group" else rebuilt.args
    assert repr(list(inside)) == "[CustomError('a'), CustomError('b')]"
    assert [each.__traceback__ for each in inside] == [None, None]


def test_a_connect_error_stays_one_of_httpx_and_of_httpcore() -> None:
    """Its class takes other arguments than most."""
    rebuilt = repacked(ConnectError("refused", request=REQUEST))
    assert isinstance(rebuilt, ConnectError)
    assert rebuilt.request.url == REQUEST.url


def chain_of(length: int) -> BaseException:
    """Return an error with causes, each of which is the argument of the next as well."""
    error: BaseException = CustomError("root")
    for _ in range(length):
        outer = CustomError(error)
        outer.__cause__ = error
        error = outer
    return error


def test_each_cause_is_packed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although two references lead to each, the work grows linearly."""
    packed: list[BaseException] = []
    init = PackedError.__init__

    def count(self: PackedError, error: BaseException, *args: Any, **options: Any) -> None:
        packed.append(error)
        init(self, error, *args, **options)

    monkeypatch.setattr(PackedError, "__init__", count)
    error: Any = repacked(chain_of(100))
    assert len(packed) == 101
    for _ in range(100):
        assert error.args[0] is error.__cause__
        error = error.__cause__
    assert error.args == ("root",)


def test_a_cause_and_an_argument_that_are_the_same_stay_the_same() -> None:
    """Each is reconstructed once, however many refer to it."""
    packed = PackedError.of(chain_of(30))
    assert packed is not None
    gc.collect()
    error: Any = packed.unpack()
    for _ in range(30):
        assert error.args[0] is error.__cause__
        error = error.__cause__
    assert (error.args, error.__traceback__) == (("root",), None)


def test_an_error_without_a_cause_suppresses_no_context() -> None:
    """It prints what it is raised in when the result is unwrapped."""
    assert repacked(CustomError("no")).__suppress_context__ is False


def test_causes_in_a_circle_end_where_they_would_repeat() -> None:
    """Python allows them."""
    first, second = CustomError("first"), CustomError("second")
    first.__cause__, second.__cause__ = second, first
    assert repr(repacked(first).__cause__) == "CustomError('second')"
    packed = PackedError.of(first)
    assert packed is not None
    packed._original = None
    assert packed.unpack().__cause__ is second


class UnbuildableError(Exception):
    """An error that can't be created from its arguments."""

    def __new__(cls, _: str, __: int) -> Self:
        """Take other arguments than it keeps."""
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        super().__init__("one")


@pytest.mark.parametrize("error", [UnbuildableError("a", 3), ValueError("no"), OSError(2, "no")])
def test_what_cannot_be_reconstructed_or_returned_is_not_packed(error: Exception) -> None:
    """The result keeps the error itself: Python can't refer weakly to its own, such as OSError."""
    assert PackedError.of(error) is None


@pytest.mark.parametrize("handler", [reset, answer(200, b"x", "Content-Length: 9")])
async def test_a_failed_request_leaves_nothing_of_its_body(handler: Any) -> None:
    """Neither in a frame nor in the request of its error."""
    body = bytes(bytearray(20_000))
    references = sys.getrefcount(body)
    async with FaultServer(handler) as server, AsyncResilientClient() as client:
        with pytest.raises(httpx.TransportError):
            await client.request("POST", server.url, content=body)
        [result] = (await client.wait_for_all_requests()).values()
        await asyncio.sleep(0)
        gc.collect()
        assert sys.getrefcount(body) == references
        assert isinstance(result, FailureResult)
        assert result.error.__traceback__ is None


@in_virtual_time
async def test_a_result_has_the_very_error_that_the_caller_holds() -> None:
    """As long as it holds it."""

    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("lost", request=request)

    async with AsyncResilientClient(transport=httpx.MockTransport(fail)) as client:
        task = await client.get("http://a.test/", client.new_context("r"))
        await asyncio.wait({task})
        result = client.get_result("r")
        assert result is not None
        assert result.error is task.exception()
