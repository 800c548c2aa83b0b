"""Middleware: functions around whole requests, and the call that they are given.

``async def m(call, call_next)`` may change the call, make it with ``await call_next(call)``, once,
several times or not at all, and return another response. The retries and the other policies are
inside ``call_next``; httpx's ``event_hooks`` and ``auth`` act on each attempt, further inside.
"""

import dataclasses
import inspect
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, Self, TypeAlias, Unpack

import httpx

from typed_async_client.context import RequestContext
from typed_async_client.options import RequestOptions
from typed_async_client.policies.resilience import Resilience
from typed_async_client.redact import redact
from typed_async_client.request_options import checked_resilience, limits_of

__all__ = [
    "Call",
    "CallNext",
    "Kind",
    "Middleware",
    "TransportMiddleware",
    "check_kind",
    "check_response",
    "checked_middleware",
]

_CONNECT_ONLY: Final = Resilience.connect_only()

Kind: TypeAlias = Literal["async", "sync"]
"""The kind of client that a middleware is for."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class Call:
    """What a request asks for, as a middleware sees it: the arguments of ``request_async()``.

    It is frozen: ``replace()`` and ``with_header()`` return another one for ``call_next``.

    Attributes:
        method: the method.
        url: the URL, as it was passed; it may be relative to the ``base_url`` of the client.
        context: the context of the request. A call may bring other limits and metadata, but keeps
            its ``request_id``.
        options: the options that the request was given, ours included: headers, params, json,
            timeout, deadline, ...; the client adds its own to them later.
        resilience: the policies that apply.

    Example:
        >>> call = Call("GET", "https://example.org/", RequestContext())
        >>> call.with_header("X-Tenant", "blue").headers["x-tenant"]
        'blue'
    """

    method: str
    url: httpx.URL | str
    context: RequestContext
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    resilience: Resilience = _CONNECT_ONLY
    _until: float = math.inf
    _now: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", MappingProxyType({**self.options}))

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that the request was given, read-only; names in any case.

        Those of the client, such as ``User-Agent``, are added when an attempt is made.
        """
        headers: Any = httpx.Headers(self.options.get("headers"))
        return MappingProxyType(headers)

    def remaining(self) -> float:
        """Return the seconds until the deadline of the request; infinite without one."""
        return self._until - self._now()

    def replace(
        self,
        *,
        method: str | None = None,
        url: httpx.URL | str | None = None,
        context: RequestContext | None = None,
        **options: Unpack[RequestOptions],
    ) -> Self:
        """Return a call that differs in what is passed.

        Args:
            method: another method.
            url: another URL.
            context: another context, with the same ``request_id``.
            **options: options that replace those of that name; with ``resilience``, its limits for
                retries apply too. See ``request_async()``.
                ``deadline`` is the seconds that this call may take, and can't extend the deadline
                of the request. ``content``, ``data``, ``json`` and ``files`` replace each other.

        Example:
            >>> call = Call("GET", "https://example.org/", RequestContext())
            >>> call.replace(url="https://example.net/", params={"page": 2}).url
            'https://example.net/'
        """
        kept = self.options
        if not _BODIES.isdisjoint(options):
            kept = {name: value for name, value in kept.items() if name not in _BODIES}
        policies = options.get("resilience")
        if context is None:
            context = self.context if policies is None else _with_limits(self.context, policies)
        return dataclasses.replace(
            self,
            method=self.method if method is None else method,
            url=self.url if url is None else url,
            context=context,
            options={**kept, **options},
            resilience=self.resilience if policies is None else policies,
        )

    def with_header(self, name: str, value: str) -> Self:
        """Return a call with one header more, or with another value of it."""
        headers = httpx.Headers(self.options.get("headers"))
        headers[name] = value
        return self.replace(headers=headers)

    def __repr__(self) -> str:
        # The values of headers and bodies may be secrets.
        names = ", ".join(self.options)
        return f"<Call {self.method} {redact(str(self.url))}{names and ' with '}{names}>"


def _with_limits(context: RequestContext, policies: Resilience) -> RequestContext:
    """Return a context with the limits of other policies, as a request has that brings them."""
    limits = limits_of(checked_resilience(policies), {})
    return dataclasses.replace(
        context,
        max_retries=limits.max_retries,
        base_delay=limits.base_delay,
        backoff_factor=limits.backoff_factor,
        max_delay=limits.max_delay,
    )


_BODIES: Final = frozenset({"content", "data", "files", "json"})

CallNext: TypeAlias = Callable[[Call], Awaitable[httpx.Response]]
"""Makes a call: the next middleware, or in the end the attempts."""

Middleware: TypeAlias = Callable[[Call, CallNext], Awaitable[httpx.Response]]
"""An ``async def m(call, call_next)`` for an ``AsyncResilientClient``."""

TransportMiddleware: TypeAlias = (
    Callable[
        [httpx.Request, Callable[[httpx.Request], Awaitable[httpx.Response]]],
        Awaitable[httpx.Response],
    ]
    | Callable[[httpx.Request, Callable[[httpx.Request], httpx.Response]], httpx.Response]
)
"""A middleware for a ``ResilientTransport``, whose calls are requests of httpx.

It is an ``async def`` for asynchronous clients, and a ``def`` for synchronous ones.
"""


def checked_middleware(given: object, kind: Kind | None) -> tuple[Any, ...]:
    """Check the middleware of a client or of a transport, and return it.

    Args:
        given: what was passed.
        kind: the kind that it must have; None for either, but the same for all.

    Raises:
        TypeError: an entry isn't a function of two arguments, or of the other kind.
    """
    if not isinstance(given, Iterable) or isinstance(given, str | bytes):
        raise TypeError(
            f"middleware must be a list of functions, outermost first, got {_name_of(given)}: pass "
            "[...]"
        )
    entries = tuple(given)
    for entry in entries:
        _check_shape(entry)
    if entries:
        check_kind(entries, kind or _kind_of(entries[0]))
    return entries


def check_kind(entries: Iterable[Any], kind: Kind) -> None:
    """Check that middleware is for a kind of client.

    Raises:
        TypeError: an entry is for the other kind; the message names it.
    """
    for entry in entries:
        if _kind_of(entry) != kind:
            raise TypeError(f"middleware {_name_of(entry)} {_WRONG_KIND[kind]}")


_WRONG_KIND: Final = {
    "async": "isn't async, which an asynchronous client needs: use an async def",
    "sync": "is async, which a synchronous client can't run: use a def",
}
"""What is wrong with an entry for a kind of client."""


def _check_shape(entry: Any) -> None:
    """Check that an entry can be called with a call and ``call_next``."""
    name = _name_of(entry)
    if isinstance(entry, type):
        raise TypeError(f"middleware {name} is a class: pass an instance, {name}(...)")
    if hasattr(entry, "intercept_request") and not callable(entry):
        raise TypeError(f"middleware {name} is an interceptor: pass InterceptorChain([{name}])")
    if not callable(entry):
        raise TypeError(f"middleware {name} isn't callable: pass functions (call, call_next)")
    if inspect.isasyncgenfunction(entry) or inspect.isgeneratorfunction(entry):
        raise TypeError(f"middleware {name} is a generator function: it must return, not yield")
    try:
        signature = inspect.signature(entry)
    except ValueError:  # of a builtin, which has none
        return
    try:
        signature.bind(None, None)
    except TypeError as error:
        raise TypeError(
            f"middleware {name} must take two arguments, (call, call_next), not {signature}"
        ) from error


def _kind_of(entry: Any) -> Kind:
    method = getattr(type(entry), "__call__", None)  # noqa: B004 - inspected, never called
    is_async = inspect.iscoroutinefunction(entry) or inspect.iscoroutinefunction(method)
    return "async" if is_async else "sync"


def check_response(response: object, middleware: object) -> None:
    """Check what a middleware has returned.

    Raises:
        TypeError: it isn't a response; the message names the middleware.
    """
    if hasattr(response, "status_code"):  # of httpx, or of httpx2
        return
    if inspect.iscoroutine(response):
        response.close()  # Python would warn that it was never awaited
    hint = "await call_next(call)" if inspect.isawaitable(response) else "return its response"
    raise TypeError(
        f"middleware {_name_of(middleware)} must return a response, got "
        f"{type(response).__name__}: {hint}"
    )


def _name_of(value: object) -> str:
    """Return the name of a function, or what else says which entry is meant; attributes may be secrets."""
    if value is None or isinstance(value, str | int | float):
        return f"{value!r:.100}"
    function = getattr(value, "func", value)  # of a functools.partial
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else type(value).__qualname__
