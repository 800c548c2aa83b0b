"""What is accepted as middleware, and the call that it is given."""

import functools
from typing import Any

import httpx
import pytest

from typed_async_client import (
    AsyncResilientClient,
    Call,
    RequestContext,
    Resilience,
    ResilientTransport,
)


async def passing(call: Any, call_next: Any) -> Any:
    """Pass a call on."""
    return await call_next(call)


def sync_passing(call: Any, call_next: Any) -> Any:
    """Pass a call on."""
    return call_next(call)


async def one_argument(call: Any) -> Any:
    """Forget call_next."""


async def yielding(call: Any, call_next: Any) -> Any:
    """Yield the response, instead of returning it."""
    yield await call_next(call)


class Cache:
    """A middleware with a state."""

    async def __call__(self, call: Any, call_next: Any) -> Any:
        """Pass a call on."""
        return await call_next(call)


class Logs:
    """An interceptor."""

    def intercept_request(self, context: Any) -> Any:
        """Return the request."""
        return context


def name_of(entry: Any) -> str:
    """Return the name by which a message calls a function of this module."""
    return f"middleware {entry.__qualname__}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([one_argument], rf"{name_of(one_argument)} must take two arguments, .* not \(call: Any\)"),
        ([yielding], f"{name_of(yielding)} is a generator function"),
        ([Cache], r"middleware Cache is a class: pass an instance, Cache\(...\)"),
        ([passing, 3], "middleware 3 isn't callable"),
        ([None], "middleware None isn't callable"),
        ([Logs()], r"middleware Logs is an interceptor: pass InterceptorChain\(\[Logs\]\)"),
        ([sync_passing], f"{name_of(sync_passing)} isn't async, which an asynchronous client"),
        ([functools.partial(one_argument, 1)], "one_argument must take two arguments"),
        (passing, "middleware must be a list of functions, outermost first, got passing"),
        ("passing", "middleware must be a list"),
        (None, "middleware must be a list"),
        ([dict.get], "middleware dict.get isn't async"),
        ([min], "middleware min isn't async"),  # it has no signature
        ([type], "middleware type is a class"),
    ],
)
def test_what_is_no_middleware_is_refused_at_once(given: Any, message: str) -> None:
    """The message names the entry and says what to pass; a view refuses the same."""
    with pytest.raises(TypeError, match=message):
        AsyncResilientClient(middleware=given)
    if given is not None:
        with pytest.raises(TypeError, match=message):
            AsyncResilientClient().with_options(middleware=given)


def test_functions_methods_objects_and_partials_are_middleware() -> None:
    """Whatever is called with a call and call_next, and is async."""
    given: list[Any] = [passing, Cache(), Cache().__call__, functools.partial(passing)]
    AsyncResilientClient(middleware=given)
    AsyncResilientClient(middleware=iter(given))


@pytest.mark.parametrize(
    ("transport", "given", "message"),
    [
        (httpx.HTTPTransport(), [passing], "is async, which a synchronous client can't run"),
        (httpx.AsyncHTTPTransport(), [sync_passing], "isn't async"),
        ("aiohttp", [sync_passing], "isn't async"),
        (None, [passing, sync_passing], f"{name_of(sync_passing)} isn't async"),
        (None, [sync_passing, passing], f"{name_of(passing)} is async"),
    ],
)
def test_a_transport_refuses_the_wrong_kind_where_it_is_known(
    transport: Any, given: Any, message: str
) -> None:
    """One for a single kind of client at once; for both, all middleware is of one kind."""
    with pytest.raises(TypeError, match=message):
        ResilientTransport(transport, middleware=given)


def test_a_call_is_frozen() -> None:
    """Its options and headers are read-only, so a change can't get lost."""
    call: Any = Call("GET", "https://a.test/", RequestContext(), {"headers": {"X-A": "1"}})
    with pytest.raises(AttributeError):
        call.method = "POST"
    with pytest.raises(TypeError):
        call.options["json"] = 1
    with pytest.raises(TypeError):
        call.headers["X-B"] = "2"
    assert call.headers["x-a"] == "1"
    assert call.remaining() == float("inf")


def test_a_call_with_a_change_leaves_the_first_one_alone() -> None:
    """Bodies replace each other, since httpx would send the first of them only."""
    first = Call("POST", "https://a.test/", RequestContext(), {"json": {"a": 1}})
    second = first.replace(content=b"x", params={"page": 2}).with_header("X-A", "1")
    assert first.options == {"json": {"a": 1}}
    assert second.options["content"] == b"x"
    assert "json" not in second.options
    assert (second.method, second.url, second.context) == (first.method, first.url, first.context)
    assert second.with_header("x-a", "2").headers.get("X-A") == "2"


def test_a_call_with_other_policies_has_their_limits() -> None:
    """As a request that brings its own, and with the id and metadata that it has."""
    context = RequestContext(max_retries=0, request_id="r", metadata={"a": 1})
    call = Call("GET", "https://a.test/", context).replace(resilience=Resilience.standard())
    assert (call.context.request_id, call.context.metadata) == ("r", {"a": 1})
    assert call.context.max_retries == 2
    wrong: Any = 3
    with pytest.raises(TypeError, match="resilience must be a Resilience"):
        call.replace(resilience=wrong)


def test_the_repr_of_a_call_has_no_secrets() -> None:
    """Options are named, without their values; the URL is redacted."""
    options = {"headers": {"Authorization": "hunter2"}, "json": {"password": "hunter2"}}
    call = Call("GET", "https://ann:hunter2@a.test/?token=hunter2", RequestContext(), options)
    assert repr(call).endswith("?token=REDACTED with headers, json>")
    assert "hunter2" not in repr(call)
