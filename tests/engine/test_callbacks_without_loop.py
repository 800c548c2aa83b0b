"""Callbacks of a synchronous client, which has no event loop."""

import contextvars

import pytest

from typed_async_client import AsyncEvent, EventType, RequestContext
from typed_async_client.engine.callbacks import Callbacks


def test_a_callback_that_turns_out_to_be_async_fails_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It can't be run; its coroutine is closed, so nothing warns that it was never awaited."""
    callbacks = Callbacks()

    async def later() -> None:
        raise AssertionError("it must not run")

    callbacks.add(EventType.SUCCESS, lambda _: later())
    event = AsyncEvent(EventType.SUCCESS, RequestContext())
    callbacks.deliver(event, contextvars.copy_context())
    assert (callbacks.failed, callbacks.running) == (1, 0)
    assert "no running event loop" in caplog.text
