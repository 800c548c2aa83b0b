"""The command ``demo``: sends planned requests with the public client, and summarizes the results.

It sends and cancels the requests, and collects the events. ``plan.py`` generates the requests,
``demo_server.py`` produces the faults, and ``report.py`` prints the results.
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
from typed_async_client.cli.plan import MAX_RETRIES, Kind, PlannedRequest, make_plan
from typed_async_client.cli.report import show_progress, show_start, show_summary
from typed_async_client.cli.summary import RunProgress, Summary, summarize

__all__ = ["run_demo", "run_plan"]

_WORKERS = 32
"""Maximum number of requests in flight."""

_LONG_TIMEOUT = 60.0
"""Timeout in seconds for what should never time out, even on a slow machine."""

_SHORT_TIMEOUT = 0.3
"""Read timeout in seconds for a server that never answers."""

_BASE_DELAY = 0.02
"""Seconds before the first retry: short, because no real server has to recover."""


def run_demo(requests: int, seed: int | None) -> bool:
    """Run the demo and print its results.

    Args:
        requests: number of requests to make, >= 1.
        seed: seed of the plan; None chooses one at random.

    Returns:
        Whether every request ended exactly once.
    """
    if seed is None:
        seed = random.randrange(1_000_000)  # noqa: S311 - not a secret
    show_start(requests, seed)
    with show_progress(requests) as show:
        summary = asyncio.run(run_plan(make_plan(requests, seed), seed, show))
    show_summary(summary)
    return not summary.violations


async def run_plan(
    plan: Sequence[PlannedRequest], seed: int, show: Callable[[RunProgress], None]
) -> Summary:
    """Make the planned requests, and summarize their results.

    Args:
        plan: the requests.
        seed: seed for the jitter of the delays.
        show: called with the progress of the run after each event.
    """
    # In debug mode asyncio warns of steps above 0.1 s, which are normal on a busy machine.
    asyncio.get_running_loop().slow_callback_duration = _LONG_TIMEOUT
    async with DemoServers() as servers, _make_client(servers, len(plan), seed) as client:
        log = _EventLog(len(plan), show)
        for kind in EventType:
            client.add_event_callback(kind, log.record)
        client.add_event_callback(EventType.RETRY, servers.on_retry)
        pending = iter(plan)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(_WORKERS, len(plan))):
                workers.create_task(_work(pending, client, servers, log))
        results = await client.wait_for_all_requests()
    return summarize(plan, results, log.events)


def _make_client(servers: DemoServers, requests: int, seed: int) -> AsyncResilientClient:
    return create_async_resilient_client(
        base_delay=_BASE_DELAY,
        max_retries=MAX_RETRIES,
        random=random.Random(seed).random,  # noqa: S311 - repeatable on purpose
        max_results=requests,
        timeout=_LONG_TIMEOUT,
        event_hooks={"request": [servers.before_attempt]},
        trust_env=False,  # loopback needs no proxy
    )


async def _work(
    pending: Iterator[PlannedRequest],
    client: AsyncResilientClient,
    servers: DemoServers,
    log: "_EventLog",
) -> None:
    for planned in pending:
        async with servers.serve(planned) as url:
            log.start_request()
            await _send(planned, url, client, servers)


async def _send(
    planned: PlannedRequest, url: str, client: AsyncResilientClient, servers: DemoServers
) -> None:
    request_id = planned.request_id
    read_timeout = _SHORT_TIMEOUT if planned.kind is Kind.STALLED else _LONG_TIMEOUT
    task = await client.get(
        url,
        RequestContext(request_id=request_id, max_retries=MAX_RETRIES, base_delay=_BASE_DELAY),
        headers={ID_HEADER: request_id},
        timeout=(_LONG_TIMEOUT, read_timeout, _LONG_TIMEOUT, _LONG_TIMEOUT),
    )
    if planned.kind is Kind.CANCELLED:
        received = servers.received(request_id)
        task.add_done_callback(lambda _: received.set())  # in case it ends before it's received
        await received.wait()
        task.cancel()
    await asyncio.wait({task})  # doesn't raise the task's error, which the events report


class _EventLog:
    """Collects the events, and shows the progress after each."""

    def __init__(self, total: int, show: Callable[[RunProgress], None]) -> None:
        self.events: list[AsyncEvent] = []
        self._progress = RunProgress(total=total)
        self._show = show

    def start_request(self) -> None:
        """Count one more request in flight."""
        self._progress = self._progress.after_start()

    def record(self, event: AsyncEvent) -> None:
        """Store an event, and show the progress."""
        self.events.append(event)
        self._progress = self._progress.after_event(event.event_type)
        self._show(self._progress)
