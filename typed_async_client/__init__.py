"""A resilient asynchronous HTTP client on httpx: every request ends exactly once."""

from typed_async_client.client import (
    AsyncResilientClient,
    create_async_resilient_client,
    simple_async_request,
)
from typed_async_client.context import RequestContext
from typed_async_client.engine.statistics import ClientStatistics
from typed_async_client.errors import (
    ClientBoundError,
    ClientClosedError,
    ConnectError,
    RequestCancelledError,
)
from typed_async_client.events import AsyncEvent, EventType, RetryDetails
from typed_async_client.outcome import RequestResult, ResultStatus

__all__ = [
    "AsyncEvent",
    "AsyncResilientClient",
    "ClientBoundError",
    "ClientClosedError",
    "ClientStatistics",
    "ConnectError",
    "EventType",
    "RequestCancelledError",
    "RequestContext",
    "RequestResult",
    "ResultStatus",
    "RetryDetails",
    "create_async_resilient_client",
    "simple_async_request",
]
