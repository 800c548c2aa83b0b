"""Makes an httpx transport usable in the clients of httpx2, the maintained fork of httpx.

The two libraries share no class, so ``conversion.py`` converts requests, responses and errors.
httpx2 is optional: it is imported when the first adapter is created.
"""

import functools
from collections.abc import Awaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, overload

import httpx

from typed_async_client.libraries import library_of
from typed_async_client.transports.conversion import (
    AsyncBody,
    SyncBody,
    copy_changes,
    httpx2_library,
    to_httpx,
    to_httpx2,
    to_httpx2_error,
)
from typed_async_client.transports.pair import AnyTransport

if TYPE_CHECKING:
    import httpx2

    class Httpx2Transport(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
        """A transport for ``httpx2.Client`` and for ``httpx2.AsyncClient``."""


__all__ = ["for_httpx2"]


class _ServesBoth(Protocol):
    """An httpx transport for both kinds of client, such as ``ResilientTransport``."""

    def handle_request(self, request: httpx.Request, /) -> httpx.Response: ...
    def handle_async_request(self, request: httpx.Request, /) -> Awaitable[httpx.Response]: ...


@overload
def for_httpx2(transport: _ServesBoth) -> "Httpx2Transport": ...
@overload
def for_httpx2(transport: httpx.AsyncBaseTransport) -> "httpx2.AsyncBaseTransport": ...
@overload
def for_httpx2(transport: httpx.BaseTransport) -> "httpx2.BaseTransport": ...
def for_httpx2(transport: Any) -> Any:
    """Adapt an httpx transport, ours or any other, to the clients of httpx2.

    The SDKs of OpenAI and Anthropic use httpx2. The adapter is a transport of httpx2: for
    ``httpx2.Client``, for ``httpx2.AsyncClient``, or for both, as the transport itself is. It
    streams bodies in both directions, and enters, leaves and closes the transport with itself.

    Errors of httpx become the errors of httpx2 with the same name, and have the original as their
    cause. Errors of this package, such as ``ConnectError``, stay what they are and become an httpx2
    error too. What a request body raises reaches the caller unchanged.

    Args:
        transport: the httpx transport.

    Raises:
        TypeError: ``transport`` isn't an httpx transport.
        ImportError: httpx2 isn't installed.

    Example:
        >>> client = httpx2.AsyncClient(transport=for_httpx2(ResilientTransport()))
        >>> openai = AsyncOpenAI(http_client=client)
    """
    if not isinstance(transport, AnyTransport):
        advice = "it needs no adapter" if library_of(transport, "httpx2") else "pass an instance"
        raise TypeError(f"for_httpx2() takes an httpx transport, got {transport!r:.100}: {advice}")
    serves_sync = isinstance(transport, httpx.BaseTransport)
    serves_async = isinstance(transport, httpx.AsyncBaseTransport)
    return _adapter_class(serves_sync=serves_sync, serves_async=serves_async)(transport)


@functools.cache
def _adapter_class(*, serves_sync: bool, serves_async: bool) -> type[Any]:
    bases: list[type] = []
    if serves_sync:
        bases += [_SyncAdapter, httpx2_library().BaseTransport]
    if serves_async:
        bases += [_AsyncAdapter, httpx2_library().AsyncBaseTransport]
    return type("Httpx2Transport", tuple(bases), {})


class _Adapter:
    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def __repr__(self) -> str:
        return f"for_httpx2({self._transport!r})"


class _SyncAdapter(_Adapter):
    def handle_request(self, request: Any) -> Any:
        sent = to_httpx(request)
        url = sent.url
        try:
            response = self._transport.handle_request(sent)
        except Exception as error:  # noqa: BLE001 - raised again
            raise to_httpx2_error(error, request)  # noqa: B904 - it has its cause
        finally:
            copy_changes(sent, request, url=url)
        return to_httpx2(response, request, SyncBody)

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        self._transport.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._transport.__exit__(exc_type, exc, traceback)


class _AsyncAdapter(_Adapter):
    async def handle_async_request(self, request: Any) -> Any:
        sent = to_httpx(request)
        url = sent.url
        try:
            response = await self._transport.handle_async_request(sent)
        except Exception as error:  # noqa: BLE001 - raised again
            raise to_httpx2_error(error, request)  # noqa: B904 - it has its cause
        finally:
            copy_changes(sent, request, url=url)
        return to_httpx2(response, request, AsyncBody)

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._transport.__aexit__(exc_type, exc, traceback)
