"""Counts the timers of the running event loop."""

import asyncio

__all__ = ["running_timers"]


def running_timers() -> int:
    """Return how many of them will fire."""
    handles = vars(asyncio.get_running_loop())["_scheduled"]
    return sum(not handle.cancelled() for handle in handles)
