"""Hooks for the whole test suite."""

import gc
import os
import signal
from collections.abc import Callable, Mapping

from hypothesis import settings
from steady_loop import SteadyLoop


def pytest_configure() -> None:
    """Receive interrupts, and let examples of hypothesis take any time.

    A shell lets its background jobs ignore interrupts, and so do their children.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile("any machine", deadline=None)  # an example may wait for a busy one
    settings.load_profile("any machine")


def pytest_xdist_auto_num_workers() -> int:
    """Start two workers more than there are processors, because tests mostly wait."""
    return (os.cpu_count() or 1) + 2


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], SteadyLoop]]:
    """Run async tests on a loop whose timeouts don't expire because the machine is busy."""
    return {"steady": SteadyLoop}


def pytest_collection_finish() -> None:
    """Keep collected items out of later garbage collections.

    Many tests run a full collection to check that nothing is leaked. Scanning thousands of test
    items each time would take longer than the tests themselves.
    """
    gc.collect()
    gc.freeze()
