"""The command ``demo``: a planned run of requests through the public client, watched and counted.

It owns the running: who sends, who cancels, who listens to the events. What is sent is the
plan's, what is done to it the servers', how it looks the report's.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence

from typed_async_client import (
    AsyncEvent,
    AsyncResilientClient,
    EventType,
    RequestContext,
    create_async_resilient_client,
)
from typed_async_client.cli.demo_server import ID_HEADER, DemoServers
from typed_async_client.cli.plan import MAX_RETRIES, Kind, Planned, draw_plan
from typed_async_client.cli.report import show_begin, show_tally, watching
from typed_async_client.cli.summary import Standing, Tally, count_up

__all__ = ["perform", "run_demo"]

_WORKERS = 32
"""Requests in flight at most."""

_PATIENCE = 60.0
"""Seconds for what shall not time out: more than any machine needs."""

_SHORT = 0.3
"""Seconds after which a server that says nothing is given up."""

_BASE_DELAY = 0.02
"""Seconds before the first retry: short, since nobody is really in trouble."""


def run_demo(requests: int, seed: int | None) -> bool:
    """Run the demo and print what came of it.

    Args:
        requests: how many requests to make, >= 1.
        seed: draws them; None draws the seed itself.

    Returns:
        Whether every request ended exactly once.
    """
    drawn = random.randrange(1_000_000) if seed is None else seed  # noqa: S311 - no secret
    show_begin(requests, drawn)
    with watching(requests) as show:
        tally = asyncio.run(perform(draw_plan(requests, drawn), drawn, show))
    show_tally(tally)
    return not tally.faults


async def perform(plan: Sequence[Planned], seed: int, show: Callable[[Standing], None]) -> Tally:
    """Make the planned requests and count what came of them.

    Args:
        plan: the requests.
        seed: draws the jitter of the delays.
        show: takes the standing of the run after each event.
    """
    # asyncio's debug mode tells of steps above 0.1 s: on a busy machine that is no finding.
    asyncio.get_running_loop().slow_callback_duration = _PATIENCE
    async with DemoServers() as servers, _make_client(servers, len(plan), seed) as client:
        log = _Log(len(plan), show)
        for kind in EventType:
            client.add_event_callback(kind, log.note)
        client.add_event_callback(EventType.RETRY, servers.on_retry)
        waiting = iter(plan)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(_WORKERS, len(plan))):
                workers.create_task(_work(waiting, client, servers, log))
        results = await client.wait_for_all_requests()
    return count_up(plan, results, log.events)


def _make_client(servers: DemoServers, requests: int, seed: int) -> AsyncResilientClient:
    return create_async_resilient_client(
        base_delay=_BASE_DELAY,
        max_retries=MAX_RETRIES,
        random=random.Random(seed).random,  # noqa: S311 - repeatable on purpose
        max_results=requests,
        timeout=_PATIENCE,
        event_hooks={"request": [servers.before_attempt]},
        trust_env=False,  # what is on loopback needs no proxy
    )


async def _work(
    waiting: Iterator[Planned], client: AsyncResilientClient, servers: DemoServers, log: "_Log"
) -> None:
    for planned in waiting:
        async with servers.place(planned) as url:
            log.begin()
            await _send(planned, url, client, servers)


async def _send(
    planned: Planned, url: str, client: AsyncResilientClient, servers: DemoServers
) -> None:
    name = planned.request_id
    reading = _SHORT if planned.kind is Kind.STALLED else _PATIENCE
    task = await client.get(
        url,
        RequestContext(request_id=name, max_retries=MAX_RETRIES, base_delay=_BASE_DELAY),
        headers={ID_HEADER: name},
        timeout=(_PATIENCE, reading, _PATIENCE, _PATIENCE),
    )
    if planned.kind is Kind.CANCELLED:
        held = servers.held(name)
        task.add_done_callback(lambda _: held.set())  # should it end before it is held
        await held.wait()
        task.cancel()
    await asyncio.wait({task})  # its end is told by its events; an error is not raised here


class _Log:
    """Gathers the events, and shows the standing after each."""

    def __init__(self, total: int, show: Callable[[Standing], None]) -> None:
        self.events: list[AsyncEvent] = []
        self._now = Standing(total=total)
        self._show = show

    def begin(self) -> None:
        """Count one more request in flight."""
        self._now = self._now.after_begin()

    def note(self, event: AsyncEvent) -> None:
        """Keep an event and show what it changes."""
        self.events.append(event)
        self._now = self._now.after(event.event_type)
        self._show(self._now)
