"""Reports what a connection does, to a request's ``trace`` extension and to httpcore's DEBUG loggers.

The names, their order and their details are those of httpcore, whose ``Trace`` does the reporting.
"""

import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import httpcore

from typed_async_client.private import Trace

__all__ = [
    "CONNECTION_LOGGER",
    "HTTP2_LOGGER",
    "HTTP11_LOGGER",
    "PROXY_LOGGER",
    "SOCKS_LOGGER",
    "Trace",
    "is_traced",
    "run_traced",
]

_T = TypeVar("_T")

CONNECTION_LOGGER = logging.getLogger("httpcore.connection")
HTTP2_LOGGER = logging.getLogger("httpcore.http2")
HTTP11_LOGGER = logging.getLogger("httpcore.http11")
PROXY_LOGGER = logging.getLogger("httpcore.proxy")
SOCKS_LOGGER = logging.getLogger("httpcore.socks")


def is_traced(request: httpcore.Request, logger: logging.Logger) -> bool:
    """Whether anybody wants to know what a connection does for a request."""
    return request.extensions.get("trace") is not None or logger.isEnabledFor(logging.DEBUG)


async def run_traced(
    trace: Trace,
    operation: Coroutine[Any, Any, _T],
    summary: Callable[[_T], Any] | None = None,
) -> _T:
    """Run an operation, and report when it starts, completes or fails.

    Args:
        trace: reports it.
        operation: the operation.
        summary: makes the reported ``return_value`` from the result; None reports none.
    """
    try:
        async with trace:
            result = await operation
            trace.return_value = None if summary is None else summary(result)
            return result
    finally:
        operation.close()  # never started if the ``trace`` extension raised
