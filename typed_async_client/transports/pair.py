"""One transport behind both kinds of client: the wrapped one, or a default for each kind.

It owns which transport a plain and an asynchronous request go to, closing it, and what it ends
in. It knows nothing of what a wrapping transport does with a request.
"""

import threading
from typing import Any

import httpx

from typed_async_client.libraries import is_from
from typed_async_client.pool.transport import AsyncPoolTransport
from typed_async_client.transports.sheltered import ShelteredTransport

__all__ = [
    "AnyTransport",
    "TransportPair",
    "WrappingTransport",
    "innermost",
    "may_send_before_failing",
]

AnyTransport = httpx.BaseTransport | httpx.AsyncBaseTransport
"""A transport of one kind, or of both, as ``httpx.MockTransport`` is."""


class TransportPair:
    """What a transport that serves both kinds of client sends through.

    Safe for every thread: two first requests at once make one default between them.

    Args:
        transport: for plain clients, for asynchronous ones or for both. None is a default for
            each kind, made when it is first asked for: ``httpx.HTTPTransport()`` and
            ``AsyncPoolTransport()``. An ``httpx.AsyncHTTPTransport`` is put into shelter.
        max_connections: what such a one allows; None reads it off the transport.

    Raises:
        TypeError: the transport is of neither kind.
        ValueError: ``max_connections`` is out of range, or for another transport.
    """

    def __init__(
        self, transport: AnyTransport | None = None, *, max_connections: int | None = None
    ) -> None:
        if transport is not None and not isinstance(transport, AnyTransport):
            raise TypeError(f"expected a transport of httpx, or None, got {transport!r}")
        self.given = transport  #: the wrapped transport; None stands for the defaults
        self._lock = threading.Lock()
        self._plain = transport if isinstance(transport, httpx.BaseTransport) else None
        self._asynchronous = transport if isinstance(transport, httpx.AsyncBaseTransport) else None
        if isinstance(transport, httpx.AsyncHTTPTransport):
            self._asynchronous = ShelteredTransport(transport, max_connections)
        elif max_connections is not None:
            raise ValueError(
                f"max_connections={max_connections!r} bounds an httpx.AsyncHTTPTransport alone: "
                "give limits to the transport instead"
            )

    @property
    def plain(self) -> httpx.BaseTransport:
        """The transport of ``httpx.Client``.

        Raises:
            TypeError: the wrapped transport serves ``httpx.AsyncClient`` alone.
        """
        with self._lock:
            if self._plain is None:
                if self.given is not None:
                    raise _wrong_kind(self.given, "httpx.AsyncClient", "httpx.HTTPTransport()")
                self._plain = httpx.HTTPTransport()
            return self._plain

    @property
    def asynchronous(self) -> httpx.AsyncBaseTransport:
        """The transport of ``httpx.AsyncClient``.

        Raises:
            TypeError: the wrapped transport serves ``httpx.Client`` alone.
        """
        with self._lock:
            if self._asynchronous is None:
                if self.given is not None:
                    raise _wrong_kind(self.given, "httpx.Client", "AsyncPoolTransport()")
                self._asynchronous = AsyncPoolTransport()
            return self._asynchronous

    def close(self) -> None:
        """Close the plain transport, if there is one."""
        if self._plain is not None:
            self._plain.close()

    async def aclose(self) -> None:
        """Close the asynchronous transport, if there is one."""
        if self._asynchronous is not None:
            await self._asynchronous.aclose()


class WrappingTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport that serves both kinds of client, and closes what it wraps.

    A subclass says what becomes of a request.

    Args:
        transport: as ``TransportPair`` takes it.

    Raises:
        TypeError: the transport is of neither kind.
    """

    def __init__(
        self, transport: AnyTransport | None = None, *, max_connections: int | None = None
    ) -> None:
        self._pair = TransportPair(transport, max_connections=max_connections)

    @property
    def wrapped(self) -> AnyTransport | None:
        """What was wrapped; None stands for the default of either kind."""
        return self._pair.given

    def close(self) -> None:
        """Close the plain transport below, if there is one."""
        self._pair.close()

    async def aclose(self) -> None:
        """Close the asynchronous transport below, if there is one."""
        await self._pair.aclose()


def innermost(transport: AnyTransport | None) -> AnyTransport | None:
    """Give what requests end in: the transport below every one that wraps another."""
    while isinstance(transport, WrappingTransport):
        transport = transport.wrapped
    return transport


def may_send_before_failing(transport: Any) -> bool:
    """Say whether what looks like a failed connection may come after a request was processed.

    An application in this process has a request as soon as it is handed over, and may have
    upstreams of its own. pyreqwest's transport calls a connection lost later on a failed one too.
    This goes by names, so that httpx2's classes count and nothing need be installed.
    """
    last = innermost(transport)
    in_process = any(kind.__name__ in _IN_PROCESS for kind in type(last).__mro__)
    return in_process or is_from(last, "pyreqwest")


_IN_PROCESS = ("ASGITransport", "WSGITransport")


def _wrong_kind(transport: AnyTransport, served: str, instead: str) -> TypeError:
    return TypeError(
        f"{type(transport).__name__} serves {served} alone, and was used by the other kind of "
        f"client; wrap a transport of that kind in its place, such as {instead}"
    )
