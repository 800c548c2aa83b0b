"""The servers of the demo: one for each kind of fault, and one for each recovering request.

No result may depend on a race, so the faults are unambiguous: a connection is reset after the whole
request has been read, when the client can only be reading; a request is cancelled once the server
has read it; and the attempt that should succeed starts once the port is known to be listening.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from typed_async_client import AsyncEvent
from typed_async_client.cli.plan import Kind, PlannedRequest
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer, half_body
from typed_async_client.testing import reset as reset_connection
from typed_async_client.testing import stall as stall_connection
from typed_async_client.testing.faults import each_request

if TYPE_CHECKING:
    import httpx

__all__ = ["ID_HEADER", "DemoServers"]

ID_HEADER: Final = "x-request-id"
"""The header with the id of each request of the demo."""

_SLOW_ANSWER = 0.15
"""Seconds that a slow answer takes."""

_LISTEN_TIMEOUT = 60.0
"""Seconds to wait for a port to listen."""


class DemoServers:
    """The servers of the demo, on loopback. Use it in ``async with``."""

    def __init__(self) -> None:
        self._servers: Mapping[Kind, FaultServer] = {
            Kind.ANSWERED: FaultServer(answer(200, b"well")),
            Kind.SLOW: FaultServer(each_request(_answer_slowly)),
            Kind.UNAVAILABLE: FaultServer(answer(503, b"later")),
            Kind.REFUSED: FaultServer(answer(), refusing=True),
            Kind.RESET: FaultServer(reset_connection),
            Kind.CUT_SHORT: FaultServer(half_body),
            Kind.STALLED: FaultServer(stall_connection),
            Kind.CANCELLED: FaultServer(self._read_and_stall),
        }
        self._recoveries: dict[str, _Recovery] = {}
        self._received: dict[str, asyncio.Event] = {}
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with self._stack:
            for server in self._servers.values():
                await self._stack.enter_async_context(server)
            self._stack = self._stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for recovery in self._recoveries.values():
            await recovery.close()
        await self._stack.aclose()

    @contextlib.asynccontextmanager
    async def serve(self, planned: PlannedRequest) -> AsyncIterator[str]:
        """Provide the URL for a planned request, until the request has ended.

        If the caller is cancelled, a server started for this request stays open until all are
        closed. The client is closed before them, so nothing connects in the meantime.
        """
        request_id = planned.request_id
        if planned.kind is not Kind.RECOVERING:
            yield self._servers[planned.kind].url
            return
        recovery = self._recoveries[request_id] = _Recovery(planned.refusals)
        yield await recovery.reserve_port()
        await self._recoveries.pop(request_id).close()

    async def before_attempt(self, request: "httpx.Request") -> None:
        """Delay an attempt until its server is in the intended state."""
        recovery = self._recoveries.get(request.headers[ID_HEADER])
        if recovery is not None:
            await recovery.before_attempt()

    async def on_retry(self, event: AsyncEvent) -> None:
        """Make a port listen once the last attempt that it should refuse has failed."""
        recovery = self._recoveries.get(event.context.request_id)
        if recovery is not None and event.attempts == recovery.refusals:
            await recovery.open()

    def received(self, request_id: str) -> asyncio.Event:
        """Return an event that is set once the server has read a request it won't answer."""
        return self._received.setdefault(request_id, asyncio.Event())

    async def _read_and_stall(self, wire: Wire) -> None:
        request = await wire.read_request()
        if request is not None:
            self.received(request.headers[ID_HEADER]).set()
            await wire.stall()


class _Recovery:
    """A port that refuses the first attempts of one request, and then listens."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        # Connections aren't kept alive: the kernel may reuse the port for the next recovery.
        self._server = FaultServer(answer(200, b"at last", "Connection: close"), refusing=True)
        self._stack = contextlib.AsyncExitStack()
        self._attempts = 0
        self._listening = asyncio.Event()

    async def reserve_port(self) -> str:
        await self._stack.enter_async_context(self._server)
        return self._server.url

    async def before_attempt(self) -> None:
        self._attempts += 1
        if self._attempts > self.refusals:
            async with asyncio.timeout(_LISTEN_TIMEOUT):
                await self._listening.wait()

    async def open(self) -> None:
        await self._server.open()
        self._listening.set()

    async def close(self) -> None:
        await self._stack.aclose()


async def _answer_slowly(_: SeenRequest, wire: Wire) -> None:
    await asyncio.sleep(_SLOW_ANSWER)
    await wire.answer(200, b"slowly")
