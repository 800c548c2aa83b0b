"""The servers of the demo: one for each kind of trouble, and one more for each recovery.

No outcome may hang on a race, so the troubles are the unambiguous ones: a reset comes when the
whole request was read and the client can only be reading; a request is cancelled when the server
has read it; and the attempt that shall get through starts when the port is known to listen.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from typed_async_client import AsyncEvent
from typed_async_client.cli.plan import Kind, Planned
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer, half_body
from typed_async_client.testing import reset as reset_connection
from typed_async_client.testing import stall as stall_connection
from typed_async_client.testing.faults import each_request

if TYPE_CHECKING:
    import httpx

__all__ = ["ID_HEADER", "DemoServers"]

ID_HEADER: Final = "x-request-id"
"""The header in which each request of the demo tells its name."""

_SLOWNESS = 0.15
"""Seconds that a slow answer takes."""

_PATIENCE = 60.0
"""Seconds after which a port that cannot be made to listen is no longer waited for."""


class DemoServers:
    """Everything the demo sends requests to, on loopback. Use it in ``async with``."""

    def __init__(self) -> None:
        self._servers: Mapping[Kind, FaultServer] = {
            Kind.ANSWERED: FaultServer(answer(200, b"well")),
            Kind.SLOW: FaultServer(each_request(_answer_slowly)),
            Kind.UNAVAILABLE: FaultServer(answer(503, b"later")),
            Kind.REFUSED: FaultServer(answer(), refusing=True),
            Kind.RESET: FaultServer(reset_connection),
            Kind.CUT_SHORT: FaultServer(half_body),
            Kind.STALLED: FaultServer(stall_connection),
            Kind.CANCELLED: FaultServer(self._hold),
        }
        self._recoveries: dict[str, _Recovery] = {}
        self._held: dict[str, asyncio.Event] = {}
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with self._open:
            for server in self._servers.values():
                await self._open.enter_async_context(server)
            self._open = self._open.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for recovery in self._recoveries.values():
            await recovery.close()
        await self._open.aclose()

    @contextlib.asynccontextmanager
    async def place(self, planned: Planned) -> AsyncIterator[str]:
        """Give the URL that a planned request goes to, and keep it until the request has ended.

        When the caller is cancelled instead, a server of this request's own stays until all are
        closed: the client goes first, so that nothing opens or connects meanwhile.
        """
        name = planned.request_id
        if planned.kind is not Kind.RECOVERING:
            yield self._servers[planned.kind].url
            return
        recovery = self._recoveries[name] = _Recovery(planned.refusals)
        yield await recovery.hold()
        await self._recoveries.pop(name).close()

    async def before_attempt(self, request: "httpx.Request") -> None:
        """Hold an attempt until the server is as this attempt shall find it."""
        recovery = self._recoveries.get(request.headers[ID_HEADER])
        if recovery is not None:
            await recovery.before_attempt()

    async def on_retry(self, event: AsyncEvent) -> None:
        """Let a port listen when the last attempt that it shall refuse has failed."""
        recovery = self._recoveries.get(event.context.request_id)
        if recovery is not None and event.attempts == recovery.refusals:
            await recovery.open()

    def held(self, request_id: str) -> asyncio.Event:
        """Give what is set as soon as the server has read a request that it will not answer."""
        return self._held.setdefault(request_id, asyncio.Event())

    async def _hold(self, wire: Wire) -> None:
        request = await wire.read_request()
        if request is not None:
            self.held(request.headers[ID_HEADER]).set()
            await wire.stall()


class _Recovery:
    """A port that refuses the first attempts of one request and then listens."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        # The connection is not kept: the kernel may give the port to the next recovery.
        self._server = FaultServer(answer(200, b"at last", "Connection: close"), refusing=True)
        self._held = contextlib.AsyncExitStack()
        self._attempts = 0
        self._listening = asyncio.Event()

    async def hold(self) -> str:
        await self._held.enter_async_context(self._server)
        return self._server.url

    async def before_attempt(self) -> None:
        self._attempts += 1
        if self._attempts > self.refusals:
            async with asyncio.timeout(_PATIENCE):
                await self._listening.wait()

    async def open(self) -> None:
        await self._server.open()
        self._listening.set()

    async def close(self) -> None:
        await self._held.aclose()


async def _answer_slowly(_: SeenRequest, wire: Wire) -> None:
    await asyncio.sleep(_SLOWNESS)
    await wire.answer(200, b"slowly")
