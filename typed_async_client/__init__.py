"""A resilient asynchronous HTTP client built on httpx."""

from typed_async_client.client import AsyncResilientClient
from typed_async_client.context import RequestContext
from typed_async_client.engine.callbacks import Callback
from typed_async_client.engine.in_flight import ResponseTask
from typed_async_client.engine.statistics import ClientStatistics
from typed_async_client.errors import (
    AddressRefusedError,
    ClientBoundError,
    ClientClosedError,
    ConnectError,
    InsecureRedirectError,
    RequestBodyConsumedError,
    RequestCancelledError,
    ResponseEvictedError,
)
from typed_async_client.events import AsyncEvent, EventType, RetryDetails
from typed_async_client.net.guard import refuse_private_addresses
from typed_async_client.options import HttpClient
from typed_async_client.outcome import AttemptHistory
from typed_async_client.pool.transport import AsyncPoolTransport
from typed_async_client.record import RequestRecord
from typed_async_client.results import FailureResult, RequestResult, ResultStatus, SuccessResult
from typed_async_client.shortcuts import create_async_resilient_client, simple_async_request
from typed_async_client.transports.asgi import ASGITransport
from typed_async_client.transports.https import (
    HSTSTransport,
    HTTPSOnlyTransport,
    HTTPSRedirectTransport,
)
from typed_async_client.transports.httpx2 import for_httpx2
from typed_async_client.transports.resilient import ResilientTransport

__all__ = [
    "ASGITransport",
    "AddressRefusedError",
    "AsyncEvent",
    "AsyncPoolTransport",
    "AsyncResilientClient",
    "AttemptHistory",
    "Callback",
    "ClientBoundError",
    "ClientClosedError",
    "ClientStatistics",
    "ConnectError",
    "EventType",
    "FailureResult",
    "HSTSTransport",
    "HTTPSOnlyTransport",
    "HTTPSRedirectTransport",
    "HttpClient",
    "InsecureRedirectError",
    "RequestBodyConsumedError",
    "RequestCancelledError",
    "RequestContext",
    "RequestRecord",
    "RequestResult",
    "ResilientTransport",
    "ResponseEvictedError",
    "ResponseTask",
    "ResultStatus",
    "RetryDetails",
    "SuccessResult",
    "create_async_resilient_client",
    "for_httpx2",
    "refuse_private_addresses",
    "simple_async_request",
]
