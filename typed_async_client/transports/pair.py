"""The transports behind both kinds of client: the wrapped one, or a default for each kind.

It picks the transport for a synchronous or an asynchronous request, and closes what was used. What
a wrapping transport does with a request is up to the subclass.
"""

import threading
from types import TracebackType
from typing import Any, Self

import httpx

from typed_async_client.libraries import is_from
from typed_async_client.policies.resilience import Resilience
from typed_async_client.pool.environment import ProxyRules
from typed_async_client.pool.transport import AsyncPoolTransport
from typed_async_client.transports.defaults import default_transport
from typed_async_client.transports.sheltered import ShelteredTransport
from typed_async_client.unclosed import WarnsUnclosed, owned

__all__ = [
    "AnyTransport",
    "TransportPair",
    "WrappingTransport",
    "innermost",
    "is_application",
    "may_send_before_failing",
]

AnyTransport = httpx.BaseTransport | httpx.AsyncBaseTransport
"""A transport of one kind, or of both, as ``httpx.MockTransport`` is."""


class TransportPair:
    """The synchronous and the asynchronous transport below one that serves both kinds of client.

    Thread-safe: if two threads send their first request concurrently, they share one default.

    Args:
        transport: a transport for synchronous clients, for asynchronous ones, or for both. None
            means a default for each kind, created on first use: an ``httpx.HTTPTransport`` with
            the proxies of the environment, whose connections heed deadlines, and
            ``AsyncPoolTransport()``. An ``httpx.AsyncHTTPTransport`` is wrapped in a
            ``ShelteredTransport``.
        max_connections: how many connections an ``httpx.AsyncHTTPTransport`` allows; None reads
            the limit from the transport.
        trust_env: as for ``AsyncPoolTransport``, for the default of each kind.
        resend_on_closed: as for ``AsyncPoolTransport``, for the asynchronous default. The
            synchronous one never sends a request again.

    Raises:
        TypeError: ``transport`` isn't an httpx transport.
        ValueError: an option is out of range, or doesn't apply to the ``transport``; or a proxy of
            the environment has an unknown scheme.
        ImportError: a proxy of the environment needs the extra ``socks``.
    """

    def __init__(
        self,
        transport: AnyTransport | None = None,
        *,
        max_connections: int | None = None,
        trust_env: bool = True,
        resend_on_closed: bool = True,
    ) -> None:
        if transport is not None and not isinstance(transport, AnyTransport):
            hint = "; pass policies as resilience=" if isinstance(transport, Resilience) else ""
            raise TypeError(f"expected an httpx transport or None, got {transport!r:.100}{hint}")
        self.wrapped = transport  #: the transport passed in; None means the defaults
        self._lock = threading.Lock()
        self._sync = transport if isinstance(transport, httpx.BaseTransport) else None
        self._async = transport if isinstance(transport, httpx.AsyncBaseTransport) else None
        if isinstance(transport, httpx.AsyncHTTPTransport) and not _is_ours(transport):
            self._async = ShelteredTransport(transport, max_connections)
        elif max_connections is not None:
            raise _wrong_limit(transport, max_connections)
        if transport is not None:
            _refuse_pool_options(transport, trust_env, resend_on_closed)
        self._trust_env = trust_env
        self._resend_on_closed = resend_on_closed
        self._rules = ProxyRules.of_environment(trust_env=trust_env and transport is None)

    @property
    def sync_transport(self) -> httpx.BaseTransport:
        """The transport for ``httpx.Client``.

        Raises:
            TypeError: the wrapped transport only supports ``httpx.AsyncClient``.
        """
        if self._sync is not None:
            return self._sync
        with self._lock:
            if self._sync is None:
                if self.wrapped is not None:
                    raise _wrong_kind(self.wrapped, "httpx.AsyncClient", "httpx.HTTPTransport()")
                self._sync = default_transport(self._rules, trust_env=self._trust_env)
            return self._sync

    @property
    def async_transport(self) -> httpx.AsyncBaseTransport:
        """The transport for ``httpx.AsyncClient``.

        Raises:
            TypeError: the wrapped transport only supports ``httpx.Client``.
        """
        if self._async is not None:
            return self._async
        with self._lock:
            if self._async is None:
                if self.wrapped is not None:
                    raise _wrong_kind(self.wrapped, "httpx.Client", "AsyncPoolTransport()")
                self._async = owned(
                    AsyncPoolTransport(
                        trust_env=self._trust_env, resend_on_closed=self._resend_on_closed
                    )
                )
            return self._async

    @property
    def transports(self) -> "list[AnyTransport | None]":
        """The transport of each kind; None for one that isn't there, or wasn't made yet."""
        return [self._sync, self._async]

    def enter(self) -> None:
        """Enter the synchronous transport, if there is one."""
        if self._sync is not None:
            self._sync.__enter__()

    def exit(self, *exc_info: Any) -> None:
        """Leave the synchronous transport, if there is one; the arguments are ``__exit__``'s."""
        if self._sync is not None:
            self._sync.__exit__(*exc_info)

    async def aenter(self) -> None:
        """Enter the asynchronous transport, if there is one."""
        if self._async is not None:
            await self._async.__aenter__()

    async def aexit(self, *exc_info: Any) -> None:
        """Leave the asynchronous transport, if there is one."""
        if self._async is not None:
            await self._async.__aexit__(*exc_info)

    def close(self) -> None:
        """Close the synchronous transport, if there is one."""
        if self._sync is not None:
            self._sync.close()

    async def aclose(self) -> None:
        """Close the asynchronous transport, if there is one."""
        if self._async is not None:
            await self._async.aclose()


class WrappingTransport(WarnsUnclosed, httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Base class of transports that serve both kinds of client, and enter, leave and close what they wrap.

    Subclasses implement ``handle_request`` and ``handle_async_request``.

    Args:
        transport: the transport to wrap, as for ``TransportPair``.
        max_connections: as for ``TransportPair``, like the options below.
        trust_env: whether the defaults respect the environment.
        resend_on_closed: whether the asynchronous default may send a request again.

    Raises:
        TypeError: ``transport`` isn't an httpx transport.
        ValueError: an option is out of range, or doesn't apply to the ``transport``.
        ImportError: a proxy of the environment needs the extra ``socks``.
    """

    def __init__(
        self,
        transport: AnyTransport | None = None,
        *,
        max_connections: int | None = None,
        trust_env: bool = True,
        resend_on_closed: bool = True,
    ) -> None:
        self._pair = TransportPair(
            transport,
            max_connections=max_connections,
            trust_env=trust_env,
            resend_on_closed=resend_on_closed,
        )

    def __repr__(self) -> str:
        inner = "its default transport" if self.wrapped is None else repr(self.wrapped)
        return f"<{type(self).__name__} around {inner}>"

    @property
    def _parts(self) -> "list[AnyTransport | None]":
        """The transports."""
        return self._pair.transports

    @property
    def wrapped(self) -> AnyTransport | None:
        """The wrapped transport; None means the default for each kind of client."""
        return self._pair.wrapped

    def close(self) -> None:
        """Close the wrapped synchronous transport, if there is one."""
        self._pair.close()

    async def aclose(self) -> None:
        """Close the wrapped asynchronous transport, if there is one."""
        await self._pair.aclose()

    def __enter__(self) -> Self:
        self._pair.enter()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._pair.exit(exc_type, exc, traceback)

    async def __aenter__(self) -> Self:
        await self._pair.aenter()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._pair.aexit(exc_type, exc, traceback)


def innermost(transport: AnyTransport | None) -> AnyTransport | None:
    """Return the transport that requests end up in, below all wrapping transports."""
    while isinstance(transport, WrappingTransport):
        transport = transport.wrapped
    return transport


def may_send_before_failing(transport: Any) -> bool:
    """Whether a request may have been processed although the error looks like a failed connect.

    An in-process application receives the request right away, and may call upstreams that fail to
    connect. pyreqwest's own transport reports connections that are lost later as connect failures
    too. Classes are compared by name, so that httpx2's count as well and nothing needs to be
    installed.
    """
    last = innermost(transport)
    return is_application(last) or is_from(last, "pyreqwest")


def is_application(transport: Any) -> bool:
    """Whether a transport calls an application in this process, which may send requests itself."""
    return any(kind.__name__ in _IN_PROCESS for kind in type(transport).__mro__)


_IN_PROCESS = ("ASGITransport", "WSGITransport")


def _wrong_limit(transport: object, max_connections: int) -> ValueError:
    limits = f"limits=httpx.Limits(max_connections={max_connections!r})"
    if isinstance(transport, AsyncPoolTransport):
        return ValueError(
            f"max_connections={max_connections!r} doesn't apply to an AsyncPoolTransport, which "
            f"has its own limits: pass {limits} to it"
        )
    if transport is None:
        advice = f"pass AsyncPoolTransport({limits}) for asynchronous clients"
    else:
        advice = f"set the limit on the {type(transport).__name__} itself"
    return ValueError(
        f"max_connections={max_connections!r} only applies to an httpx.AsyncHTTPTransport that is "
        f"passed along: {advice}"
    )


def _refuse_pool_options(transport: object, trust_env: bool, resend_on_closed: bool) -> None:  # noqa: FBT001 - private
    given = {"trust_env": trust_env, "resend_on_closed": resend_on_closed}
    for name, value in given.items():
        if not value:
            raise ValueError(
                f"{name}=False is for the default transport: {type(transport).__name__} was made "
                f"before; pass {name}=False to it if it has that option"
            )


def _is_ours(transport: httpx.AsyncHTTPTransport) -> bool:
    """Whether a transport survives asyncio's cancellations without a shelter."""
    return isinstance(transport, AsyncPoolTransport)


def _wrong_kind(transport: AnyTransport, supported: str, replacement: str) -> TypeError:
    return TypeError(
        f"{type(transport).__name__} only supports {supported}, but was used with the other kind "
        f"of client; wrap a transport of that kind instead, such as {replacement}"
    )
