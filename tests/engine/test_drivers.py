"""Both drivers perform the same steps in the same order."""

import asyncio
import math
import time
from typing import Any

import httpcore
import httpx
import pytest
from driver_kit import AsyncScript, Entry, SyncScript
from run_kit import new_run

from typed_async_client import ConnectError, DeadlineExceededError, Resilience
from typed_async_client.engine.drivers import finish
from typed_async_client.engine.flow import request_flow
from typed_async_client.policies.retry import RetryPolicy
from typed_async_client.testing import run_virtual

PLAIN = Resilience.connect_only()


def drive_sync(script: SyncScript) -> httpx.Response:
    """Run the synchronous driver."""
    return script.drive(request_flow(script.run))


def sync_script(*entries: Entry, resilience: Resilience = PLAIN, **options: Any) -> SyncScript:
    """Create the sender of a request of a synchronous client."""
    return SyncScript(new_run(resilience, clock=time.monotonic, **options), *entries)


def drive_async(
    *entries: Entry, resilience: Resilience = PLAIN, **options: Any
) -> tuple[AsyncScript, Any, float]:
    """Run the asynchronous driver; return the sender, the response or error, and the end."""

    async def main() -> tuple[AsyncScript, Any, float]:
        loop = asyncio.get_running_loop()
        script = AsyncScript(new_run(resilience, clock=loop.time, **options), *entries)
        try:
            ended: Any = await script.drive(request_flow(script.run))
        except Exception as error:  # noqa: BLE001 - returned
            ended = error
        return script, ended, loop.time()

    return run_virtual(main())


def test_the_sync_driver_retries_and_returns_the_response() -> None:
    """Two refusals, two sleeps, one response."""
    script = sync_script("refused", "refused", "ok")
    assert drive_sync(script).status_code == 200
    assert script.slept == [1.0, 2.0]
    assert script.kinds == ["retry", "retry", "success"]


def test_the_async_driver_waits_on_the_event_loops_clock() -> None:
    """Three virtual seconds of backoff take no real time."""
    script, response, end = drive_async("refused", "refused", "ok")
    assert (response.status_code, end) == (200, 3.0)
    assert script.kinds == ["retry", "retry", "success"]
    assert script.events[-1].elapsed == 3.0


@pytest.mark.parametrize("error", [httpx.ReadError("cut"), ValueError("the user's own")])
def test_both_drivers_raise_an_error_that_is_not_retried(error: Exception) -> None:
    """The same object that was raised."""
    script = sync_script(error)
    with pytest.raises(type(error)) as from_sync:
        drive_sync(script)
    on_loop, raised, _ = drive_async(error)
    assert type(raised) is type(from_sync.value) is type(error)
    assert str(error) in str(raised)
    assert script.kinds == on_loop.kinds == ["error"]


def test_both_drivers_raise_a_connect_error_when_retries_are_exhausted() -> None:
    """Each after three attempts."""
    script = sync_script("refused", "refused", "refused")
    with pytest.raises(ConnectError):
        drive_sync(script)
    on_loop, raised, _ = drive_async("refused", "refused", "refused")
    assert isinstance(raised, ConnectError)
    assert script.kinds == on_loop.kinds == ["retry", "retry", "error"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_sync_request_ends_as_cancelled(stop: type[BaseException]) -> None:
    """Control-C during an attempt is reported as an event and raised."""
    script = sync_script(stop())
    with pytest.raises(stop):
        drive_sync(script)
    assert script.kinds == ["cancelled"]


def test_an_interrupt_during_a_sync_sleep_ends_as_cancelled() -> None:
    """Waiting is a step like any other."""
    script = sync_script("refused")

    class Interrupting(list[float]):
        def append(self, _: float, /) -> None:
            raise KeyboardInterrupt

    script.slept = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        drive_sync(script)
    assert script.kinds == ["retry", "cancelled"]


def test_both_drivers_discard_a_response_that_is_retried() -> None:
    """And hand over the one that isn't."""
    policy = Resilience(retry=RetryPolicy(jitter="none"))
    script = sync_script("open 503", "open", resilience=policy)
    response = drive_sync(script)
    on_loop, answered, _ = drive_async("open 503", "open", resilience=policy)
    assert (script.handed_over, on_loop.handed_over) == ([response], [answered])
    assert script.open == on_loop.open == set()


def test_a_predicate_may_be_a_coroutine_function() -> None:
    """For asynchronous clients."""

    async def when(response: httpx.Response) -> bool:
        await asyncio.sleep(1.0)
        return response.status_code == 404

    policy = Resilience(retry=RetryPolicy(jitter="none", when=when))
    script, response, end = drive_async("404", "ok", resilience=policy)
    assert (response.status_code, len(script.sent)) == (200, 2)
    assert end == 1.0 + 0.25 + 1.0


def test_a_predicate_may_be_a_plain_function() -> None:
    """For either kind of client."""
    policy = Resilience(
        retry=RetryPolicy(jitter="none", when=lambda response: response.status_code == 404)
    )
    for seconds in (math.inf, 9.0):
        script, response, _ = drive_async("404", "ok", resilience=policy, seconds=seconds)
        assert (response.status_code, len(script.sent)) == (200, 2)


@pytest.mark.parametrize("status", ["503", "ok"])
def test_a_predicate_that_takes_too_long_is_left_at_the_deadline(status: str) -> None:
    """The other options decide then; no time is left for another attempt."""

    async def when(_: httpx.Response) -> bool:
        await asyncio.sleep(60.0)
        return True

    policy = Resilience(retry=RetryPolicy(jitter="none", when=when))
    script, response, end = drive_async(status, "ok", resilience=policy, seconds=3.0)
    assert (response.status_code, len(script.sent)) == (503 if status == "503" else 200, 1)
    assert end == 3.0


def test_a_timeout_of_a_predicate_itself_is_raised() -> None:
    """It isn't the deadline."""

    async def when(_: httpx.Response) -> bool:
        raise TimeoutError("of the predicate")

    policy = Resilience(retry=RetryPolicy(jitter="none", when=when))
    _, error, _ = drive_async("503", "ok", resilience=policy, seconds=3.0)
    assert str(error) == "of the predicate"


def test_a_predicate_of_a_synchronous_client_is_called() -> None:
    """In the thread of the request."""
    policy = Resilience(retry=RetryPolicy(when=lambda response: response.status_code == 404))
    script = sync_script("404", "ok", resilience=policy)
    assert drive_sync(script).status_code == 200
    assert len(script.slept) == 1


@pytest.mark.parametrize(
    ("options", "entry", "error", "end"),
    [
        ({"seconds": 2.0}, (9.0, "ok"), DeadlineExceededError, 2.0),
        ({"attempt": 3.0}, (9.0, "ok"), httpx.ReadTimeout, 3.0),
        ({"seconds": 2.0}, "timeout", httpx.ReadTimeout, 0.0),
        ({"seconds": 2.0}, "broken", httpx.ReadError, 0.0),
        ({"seconds": 2.0}, TimeoutError("the caller's own"), TimeoutError, 0.0),
    ],
)
def test_an_attempt_ends_at_its_time_limit(
    options: dict[str, float], entry: Entry, error: type[Exception], end: float
) -> None:
    """Its own, or the deadline; an error that comes earlier is left alone."""
    resilience = Resilience(attempt_timeout=options.get("attempt", 60.0))
    script, raised, ended = drive_async(
        entry, resilience=resilience, seconds=options.get("seconds", 60.0)
    )
    assert (type(raised), ended) == (error, end)
    assert script.kinds == ["error" if error is httpx.ReadError else "timeout"]


@pytest.mark.parametrize(
    ("entry", "seconds", "error", "is_local"),
    [
        ("timeout", 0.0, DeadlineExceededError, True),
        ("timeout", 60.0, httpx.ReadTimeout, False),
        (httpcore.ReadTimeout(), 0.0, DeadlineExceededError, True),
        ("broken", 0.0, httpx.ReadError, False),
    ],
)
def test_a_timeout_of_a_synchronous_attempt_is_its_deadline_if_that_has_passed(
    entry: Entry, seconds: float, error: type[Exception], *, is_local: bool
) -> None:
    """Its timeouts were shortened to that, which says nothing about the server."""
    script = sync_script(entry, resilience=Resilience(attempt_timeout=99.0), seconds=60.0)

    def pass_time() -> None:
        for attempt in script.sent:
            attempt.until = time.monotonic() + seconds

    script.during_send = pass_time
    with pytest.raises(error):
        drive_sync(script)
    assert script.kinds == ["error" if error is httpx.ReadError else "timeout"]
    assert script.events[-1].history[0].facts.local is is_local


def test_an_open_response_is_returned_and_its_end_publishes_the_rest() -> None:
    """``finish()`` performs what follows."""
    run = new_run(PLAIN, clock=time.monotonic)
    script = SyncScript(run, "open")
    script.is_kept_open = True
    flow = request_flow(run)
    response = script.drive(flow)
    assert (script.kinds, script.handed_over) == ([], [response])
    finish(flow, None, script.events.append)
    assert script.kinds == ["success"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ReadError("cut"), "error"),
        (httpx.ReadTimeout("slow"), "timeout"),
        (DeadlineExceededError("late"), "timeout"),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
@pytest.mark.parametrize("is_async", [True, False])
def test_a_broken_body_decides_how_the_request_ends(
    error: BaseException, kind: str, *, is_async: bool
) -> None:
    """The reader of the body gets the error; ``finish()`` doesn't raise it again."""
    run = new_run(PLAIN, clock=time.monotonic)
    script: Any = AsyncScript(run, "open") if is_async else SyncScript(run, "open")
    script.is_kept_open = True
    flow = request_flow(run)
    if is_async:
        run_virtual(script.drive(flow))
    else:
        script.drive(flow)
    finish(flow, error, script.events.append)
    assert script.kinds == [kind]
    assert script.events[0].error is error


def test_an_error_of_a_callback_after_the_body_is_raised() -> None:
    """It isn't the one that the reader of the body gets."""
    run = new_run(PLAIN, clock=time.monotonic)
    script = SyncScript(run, "open")
    script.is_kept_open = True
    flow = request_flow(run)
    script.drive(flow)

    def fail(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finish(flow, None, fail)


@pytest.mark.parametrize("name", ["Send", "Publish"])
def test_what_a_driver_cannot_do_is_thrown_into_the_flow(name: str) -> None:
    """A sender that refuses to begin, or a publisher that fails."""
    script = sync_script("ok")

    def fail(*_: object) -> Any:
        raise ZeroDivisionError

    if name == "Send":
        script.begin = fail  # type: ignore[assignment]  # as a transport might
    else:
        script.events = type("Failing", (list,), {"append": fail})()
    with pytest.raises(ZeroDivisionError):
        drive_sync(script)


def test_the_error_at_a_deadline_names_all_the_time_that_the_request_had() -> None:
    """An attempt that took too long names its own limit."""
    policy = Resilience(attempt_timeout=5.0, retry=RetryPolicy(jitter="none", max_retries=9))
    script, error, end = drive_async((9.0, "ok"), (9.0, "ok"), resilience=policy, seconds=8.0)
    assert (end, len(script.sent)) == (8.0, 2)
    assert str(error).endswith("no complete response from http://a.test within 8 s")
    assert script.events[-1].history[0].error is not None
    assert script.events[-1].history[0].error.endswith("within 5 s")
