"""Senders for either driver, which answer each attempt with the next entry of a script."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
from run_kit import ANSWERS, REQUEST

from typed_async_client import AsyncEvent
from typed_async_client.attempts import Attempt
from typed_async_client.engine.drivers import AsyncDriver
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Flow
from typed_async_client.engine.sync_driver import SyncDriver
from typed_async_client.sent import SentLog

Entry = str | BaseException | tuple[float, str]


class Script:
    """Makes the attempts of a request.

    Args:
        run: the request.
        *entries: what each attempt is answered with, and after how many seconds.
    """

    def __init__(self, run: Run, *entries: Entry) -> None:
        self.discarded: list[httpx.Response] = []
        self.entries = list(entries)
        self.events: list[AsyncEvent] = []
        self.handed_over: list[httpx.Response] = []
        self.http1 = False  # whether a copy that is cancelled loses its connection
        self.is_kept_open = False
        self.open: set[httpx.Response] = set()
        self.record = run.record
        self.run = run
        self.sent: list[Attempt] = []
        self.slept: list[float] = []

    @property
    def kinds(self) -> list[str]:
        """The types of the published events."""
        return [str(event.event_type) for event in self.events]

    def begin(self, attempt: Attempt) -> SentLog:
        """Start a new log."""
        self.sent.append(attempt)
        attempt.closes_if_cut = self.http1
        log = SentLog(record=self.record)
        log.begin_hop(REQUEST)
        return log

    def hand_over(
        self, response: httpx.Response, flow: Flow[Any], publish: Callable[[AsyncEvent], None]
    ) -> httpx.Response | None:
        """Leave the body to the caller, or say that it has been read."""
        self.handed_over.append(response)
        if self.is_kept_open:
            return response
        self.open.discard(response)
        return None

    def next_entry(self) -> tuple[float, str | BaseException]:
        """Return how long the next attempt takes, and its answer."""
        entry = self.entries.pop(0)
        return entry if isinstance(entry, tuple) else (0.0, entry)

    def answer(self, entry: str | BaseException) -> httpx.Response:
        """Return the response, or raise the error."""
        made = ANSWERS[entry]() if isinstance(entry, str) else entry
        if isinstance(made, BaseException):
            raise made
        if not made.is_closed:
            self.open.add(made)
        return made


class AsyncScript(Script):
    """Makes the attempts of a request on an event loop."""

    async def send(self, attempt: Attempt) -> httpx.Response:
        """Make one attempt, which yields to the loop at least once."""
        assert attempt is self.sent[-1] or attempt in self.sent
        seconds, entry = self.next_entry()
        await asyncio.sleep(seconds)
        return self.answer(entry)

    async def discard(self, response: httpx.Response) -> None:
        """Close a response, even if that is interrupted."""
        self.discarded.append(response)
        try:
            await asyncio.sleep(0)
        finally:
            self.open.discard(response)

    async def drive(self, flow: Flow[httpx.Response]) -> httpx.Response:
        """Run the asynchronous driver."""
        return await AsyncDriver(self, self.events.append).drive(flow)


class SyncScript(Script):
    """Makes the attempts of a request in a thread."""

    during_send: Callable[[], None] = staticmethod(lambda: None)

    def send(self, attempt: Attempt) -> httpx.Response:
        """Make one attempt."""
        assert attempt in self.sent
        self.during_send()
        return self.answer(self.next_entry()[1])

    def discard(self, response: httpx.Response) -> None:
        """Close a response."""
        self.open.discard(response)

    def drive(self, flow: Flow[httpx.Response]) -> httpx.Response:
        """Run the synchronous driver, which sleeps no real time."""
        return SyncDriver(self, self.events.append, self.slept.append).drive(flow)
