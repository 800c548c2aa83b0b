"""Interceptors: pairs of functions for requests and responses, in a chain that can change meanwhile."""

import dataclasses
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar

import httpx

from typed_async_client.middleware import Call

__all__ = ["InterceptedRequest", "Interceptor", "InterceptorChain"]

CallT = TypeVar("CallT", Call, httpx.Request)


@dataclasses.dataclass(slots=True, eq=False, repr=False)
class InterceptedRequest:
    """A request as an interceptor sees it; what it changes is sent.

    Attributes:
        method: the method.
        url: the URL.
        headers: the headers that the request was given; names in any case.
        call: what else it asks for.
    """

    method: str
    url: httpx.URL | str
    headers: httpx.Headers
    call: Call


class Interceptor(Protocol):
    """Sees each request before it is sent, and each response after it has arrived.

    Both methods may be async. An error that one raises is the error of the request.
    """

    def intercept_request(self, context: Any, /) -> Any:
        """Return the request, as it is to be sent.

        Args:
            context: an ``InterceptedRequest``, or in a transport an ``httpx.Request``; it may be
                changed.
        """

    def intercept_response(self, response: Any, /) -> Any:
        """Return the response, or another one in its place."""


class InterceptorChain:
    """Interceptors as one middleware, for an asynchronous client or transport.

    Requests pass them in order, responses in reverse. Interceptors may be added and removed at any
    time, from any task or thread: a request that has begun passes those that it has begun with.

    Args:
        interceptors: the interceptors, outermost first.

    Raises:
        TypeError: one of them lacks a method.

    Example:
        >>> class Tenant:
        ...     def intercept_request(self, context):
        ...         context.headers["X-Tenant"] = "blue"
        ...         return context
        ...
        ...     def intercept_response(self, response):
        ...         return response
        >>> chain = InterceptorChain([Tenant()])
        >>> client = AsyncResilientClient(middleware=[chain])
    """

    def __init__(self, interceptors: Iterable[Interceptor] = ()) -> None:
        self._interceptors: tuple[Interceptor, ...] = ()
        self._lock = threading.Lock()
        for interceptor in interceptors:
            self.add_interceptor(interceptor)

    def add_interceptor(self, interceptor: Interceptor) -> None:
        """Add an interceptor after the others.

        Raises:
            TypeError: it lacks a method, or is a class.
        """
        if isinstance(interceptor, type):
            raise TypeError(f"interceptor {interceptor.__qualname__} is a class: pass an instance")
        for name in ("intercept_request", "intercept_response"):
            if not callable(getattr(interceptor, name, None)):
                raise TypeError(f"interceptor {_name_of(interceptor)} has no method {name}()")
        with self._lock:
            self._interceptors = (*self._interceptors, interceptor)

    def remove_interceptor(self, interceptor: Interceptor) -> None:
        """Remove an interceptor; the first one, if it was added twice.

        Raises:
            ValueError: it isn't in the chain.
        """
        with self._lock:
            kept = [*self._interceptors]
            if interceptor not in kept:
                raise ValueError(f"interceptor {_name_of(interceptor)} isn't in the chain")
            kept.remove(interceptor)
            self._interceptors = tuple(kept)

    async def process_request(self, context: Any) -> Any:
        """Let the interceptors see a request, in order; return what the last one has returned."""
        return await _passed_on(context, self._interceptors, _request_method)

    async def process_response(self, response: Any) -> Any:
        """Let the interceptors see a response, in reverse; return what the last one has returned."""
        return await _passed_on(response, self._interceptors[::-1], _response_method)

    async def __call__(
        self, call: CallT, call_next: Callable[[CallT], Awaitable[httpx.Response]]
    ) -> httpx.Response:
        """Pass a request and its response through the interceptors: this is the middleware."""
        interceptors = self._interceptors
        if isinstance(call, httpx.Request):
            call = await _passed_on(call, interceptors, _request_method)
        else:
            seen: Any = InterceptedRequest(
                call.method, call.url, httpx.Headers(call.options.get("headers")), call
            )
            call = _changed(await _passed_on(seen, interceptors, _request_method))
        response = await call_next(call)
        changed: httpx.Response = await _passed_on(response, interceptors[::-1], _response_method)
        return changed


def _request_method(interceptor: Interceptor) -> Callable[[Any], Any]:
    return interceptor.intercept_request


def _response_method(interceptor: Interceptor) -> Callable[[Any], Any]:
    return interceptor.intercept_response


async def _passed_on(
    value: Any,
    interceptors: Iterable[Interceptor],
    method_of: Callable[[Interceptor], Callable[[Any], Any]],
) -> Any:
    """Pass a value through one method of each interceptor.

    Raises:
        TypeError: one has returned None.
    """
    for interceptor in interceptors:
        method = method_of(interceptor)
        value = method(value)
        if inspect.isawaitable(value):
            value = await value
        if value is None:
            name = f"{_name_of(interceptor)}.{getattr(method, '__name__', 'method')}()"
            raise TypeError(f"{name} returned None: it must return what it was given, or another")
    return value


def _changed(seen: Any) -> Call:
    """Return the call that the interceptors have made of a request.

    Raises:
        TypeError: one has returned something else.
    """
    if not isinstance(seen, InterceptedRequest):
        raise TypeError(
            "intercept_request() must return the context that it was given, got "
            f"{type(seen).__name__}"
        )
    call = seen.call.replace(method=seen.method, url=seen.url)
    given = httpx.Headers(call.options.get("headers"))
    headers = httpx.Headers(seen.headers)
    return call if headers == given else call.replace(headers=headers)


def _name_of(interceptor: object) -> str:
    return type(interceptor).__qualname__
