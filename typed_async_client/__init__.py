"""A resilient asynchronous HTTP client built on httpx."""

from typed_async_client.attempts import AttemptRecord
from typed_async_client.client import AsyncResilientClient
from typed_async_client.context import RequestContext
from typed_async_client.decoding.msgspec import MsgspecDecoder
from typed_async_client.decoding.protocol import ResponseDecoder
from typed_async_client.decoding.pydantic import PydanticDecoder
from typed_async_client.downloads.errors import DownloadError
from typed_async_client.downloads.values import Download, DownloadProgress, ProgressCallback
from typed_async_client.engine.callbacks import Callback
from typed_async_client.engine.in_flight import ResponseTask
from typed_async_client.engine.statistics import ClientStatistics
from typed_async_client.errors import (
    AddressRefusedError,
    BadGatewayError,
    BadRequestError,
    BudgetExhaustedError,
    BulkheadFullError,
    CircuitOpenError,
    ClientBoundError,
    ClientClosedError,
    ClientStatusError,
    ConflictError,
    ConnectError,
    DeadlineExceededError,
    DecodeError,
    EventStreamEndedError,
    EventTooLargeError,
    ForbiddenError,
    GatewayTimeoutError,
    GaveUpError,
    GoneError,
    InsecureRedirectError,
    InternalServerError,
    InvalidURLError,
    LineTooLongError,
    NotEventStreamError,
    NotFoundError,
    RateLimitedError,
    RateLimitedLocallyError,
    RejectedError,
    RequestBodyConsumedError,
    RequestCancelledError,
    ResponseEvictedError,
    ResponseTooLargeError,
    RetryAfterTooLongError,
    ServerStatusError,
    ServiceUnavailableError,
    StatusError,
    UnauthorizedError,
    UnprocessableEntityError,
)
from typed_async_client.events import (
    AsyncEvent,
    EventType,
    HedgeDetails,
    RetryDetails,
    ThrottleDetails,
)
from typed_async_client.failure_kinds import FailureKind
from typed_async_client.httpx_client.health import ClientHealth, HealthStatus
from typed_async_client.interceptors import InterceptedRequest, Interceptor, InterceptorChain
from typed_async_client.middleware import Call, CallNext, Middleware, TransportMiddleware
from typed_async_client.net.guard import refuse_private_addresses
from typed_async_client.options import HttpClient
from typed_async_client.outcome import AttemptHistory
from typed_async_client.policies.adaptive import AdaptiveLimit
from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.bulkhead import Bulkhead
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.classify import Fault
from typed_async_client.policies.dns_cache import DnsCache
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.gates import RejectionReason
from typed_async_client.policies.hedge import Hedge
from typed_async_client.policies.pushback import Pushback
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.policies.resilience import Resilience
from typed_async_client.policies.retry import GiveUp, GiveUpReason, RetryAfter, RetryPolicy
from typed_async_client.policies.transitions import CircuitState, Transition
from typed_async_client.pool.slots import PoolStatistics
from typed_async_client.pool.transport import AsyncPoolTransport
from typed_async_client.pool.warm_up import WarmUpReport
from typed_async_client.record import RequestRecord
from typed_async_client.results import FailureResult, RequestResult, ResultStatus, SuccessResult
from typed_async_client.shortcuts import create_async_resilient_client, simple_async_request
from typed_async_client.streaming import ResponseStream
from typed_async_client.streams.events import EventStream
from typed_async_client.streams.lines import LineStream
from typed_async_client.submitting import ClientView
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
    "AdaptiveLimit",
    "AddressRefusedError",
    "AsyncEvent",
    "AsyncPoolTransport",
    "AsyncResilientClient",
    "AttemptHistory",
    "AttemptRecord",
    "BadGatewayError",
    "BadRequestError",
    "BudgetExhaustedError",
    "Bulkhead",
    "BulkheadFullError",
    "Call",
    "CallNext",
    "Callback",
    "CircuitBreaker",
    "CircuitOpenError",
    "CircuitState",
    "ClientBoundError",
    "ClientClosedError",
    "ClientHealth",
    "ClientStatistics",
    "ClientStatusError",
    "ClientView",
    "ConflictError",
    "ConnectError",
    "DeadlineExceededError",
    "DecodeError",
    "DnsCache",
    "Download",
    "DownloadError",
    "DownloadProgress",
    "EventStream",
    "EventStreamEndedError",
    "EventTooLargeError",
    "EventType",
    "Facts",
    "FailureKind",
    "FailureResult",
    "Fault",
    "ForbiddenError",
    "GatewayTimeoutError",
    "GaveUpError",
    "GiveUp",
    "GiveUpReason",
    "GoneError",
    "HSTSTransport",
    "HTTPSOnlyTransport",
    "HTTPSRedirectTransport",
    "HealthStatus",
    "Hedge",
    "HedgeDetails",
    "HttpClient",
    "InsecureRedirectError",
    "InterceptedRequest",
    "Interceptor",
    "InterceptorChain",
    "InternalServerError",
    "InvalidURLError",
    "LineStream",
    "LineTooLongError",
    "Middleware",
    "MsgspecDecoder",
    "NotEventStreamError",
    "NotFoundError",
    "PoolStatistics",
    "ProgressCallback",
    "Pushback",
    "PydanticDecoder",
    "RateLimit",
    "RateLimitedError",
    "RateLimitedLocallyError",
    "RejectedError",
    "RejectionReason",
    "RequestBodyConsumedError",
    "RequestCancelledError",
    "RequestContext",
    "RequestRecord",
    "RequestResult",
    "Resilience",
    "ResilientTransport",
    "ResponseDecoder",
    "ResponseEvictedError",
    "ResponseStream",
    "ResponseTask",
    "ResponseTooLargeError",
    "ResultStatus",
    "RetryAfter",
    "RetryAfterTooLongError",
    "RetryBudget",
    "RetryDetails",
    "RetryPolicy",
    "Sent",
    "ServerStatusError",
    "ServiceUnavailableError",
    "StatusError",
    "SuccessResult",
    "ThrottleDetails",
    "Transition",
    "TransportMiddleware",
    "UnauthorizedError",
    "UnprocessableEntityError",
    "WarmUpReport",
    "create_async_resilient_client",
    "for_httpx2",
    "refuse_private_addresses",
    "simple_async_request",
]
