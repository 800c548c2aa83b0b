"""Causes the errors of ``docs/coming-from.md``, and lets the clauses there catch them."""

import asyncio
import re
import textwrap
from collections.abc import Awaitable, Callable
from typing import Any, Final

from coming_from_objects import Served
from coming_from_rows import Row

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    Bulkhead,
    CircuitBreaker,
    InterceptorChain,
    Resilience,
    RetryBudget,
    RetryPolicy,
    refuse_private_addresses,
)

__all__ = ["raise_caught_by"]

Cause = Callable[[Served], Awaitable[object]]

_STATUSES: Final = {
    "BadRequestError": 400,
    "UnauthorizedError": 401,
    "ForbiddenError": 403,
    "NotFoundError": 404,
    "ConflictError": 409,
    "ClientStatusError": 418,
    "UnprocessableEntityError": 422,
    "RateLimitedError": 429,
    "Retry": 429,
    "InternalServerError": 500,
    "HTTPStatusError": 500,
    "STATUS_TO_EXCEPTION": 500,
    "StatusError": 500,
    "ServiceUnavailableError": 503,
    "ServerStatusError": 507,
}
"""The status that each of their errors is about."""


async def _get(target: str, *, options: dict[str, Any] | None = None, **client: Any) -> object:
    """Make a request with a client that retries nothing."""
    async with AsyncResilientClient(**{"max_retries": 0, **client}) as opened:
        return await opened.request("GET", target, **options or {})


async def _connect(served: Served) -> object:
    policies = Resilience(retry=RetryPolicy(max_retries=1, base_delay=0.0))
    return await _get(served.refused, resilience=policies, max_retries=None)


async def _open_circuit(served: Served) -> object:
    circuit = CircuitBreaker(minimum_calls=1)
    async with AsyncResilientClient(resilience=Resilience(circuit=circuit)) as client:
        await client.request("GET", f"{served.url}status/500")
        return await client.request("GET", served.url)


async def _exceed_bulkhead(served: Served) -> object:
    bulkhead = Bulkhead(max_concurrent=1, max_waiting=0)
    async with (
        AsyncResilientClient(resilience=Resilience(bulkhead=bulkhead)) as client,
        client.stream("GET", served.url),
    ):
        return await client.request("GET", served.url)


async def _exhaust_budget(served: Served) -> object:
    budget = RetryBudget(ratio=0.0, min_per_second=0.0)
    policies = Resilience(retry=RetryPolicy(base_delay=0.0), budget=budget)
    return await _get(served.refused, resilience=policies, max_retries=None)


async def _intercept(served: Served) -> object:
    class Failing:
        def intercept_request(self, context: Any) -> Any:
            raise LookupError("no tenant")

        def intercept_response(self, response: Any) -> Any:
            return response

    return await _get(served.url, middleware=[InterceptorChain([Failing()])])


async def _refuse_address(served: Served) -> object:
    guarded = AsyncPoolTransport(address_guard=refuse_private_addresses)
    return await _get(served.url, transport=guarded)


async def _time_out(served: Served) -> object:
    return await _get(f"{served.url}stall", timeout=0.05)


async def _misconfigure(_: Served) -> object:
    return Resilience(attempt_timeout=-1.0)


def _lose(served: Served) -> Awaitable[object]:
    return _get(f"{served.url}reset")


def _decode(served: Served) -> Awaitable[object]:
    return _get(served.url, options={"response_model": list[int]})


_CAUSES: Final[dict[str, Cause]] = {
    "BulkheadFullError": _exceed_bulkhead,
    "CircuitOpenError": _open_circuit,
    "ClientError": _lose,
    "DecodeError": _decode,
    "HTTPCircuitOpenError": _open_circuit,
    "HTTPClientError": _lose,
    "HTTPConnectionError": lambda served: _get(served.refused),
    "HTTPError": _misconfigure,
    "HTTPInterceptorError": _intercept,
    "HTTPRetryExhaustedError": _connect,
    "HTTPTimeoutError": _time_out,
    "HTTPUnsafeURLError": _refuse_address,
    "MissingDecoderError": lambda served: _get(served.url, options={"response_model": object()}),
    "NetworkError": _lose,
    "ResponseTooLargeError": lambda served: _get(served.url, max_response_bytes=3),
    "RetryBudgetExhaustedError": _exhaust_budget,
    "RetryError": _connect,
    "TimeoutError": _time_out,
    "TransportError": _lose,
    "retry": _connect,
    "validate_host": lambda _: _get("http://[::1/"),
    "validate_port": lambda _: _get("http://127.0.0.1:65536/"),
    "validate_positive_int": _misconfigure,
    "validate_url": lambda _: _get("users/7"),
}
"""What makes each of their functions raise, or each of their errors appear."""


async def raise_caught_by(code: str, row: Row, names: dict[str, Any], served: Served) -> None:
    """Cause the error that a row is about, and let its ``except`` clause handle it.

    Raises:
        AssertionError: nothing was raised.
        Exception: the clause doesn't catch what was raised, or fails itself.
    """
    theirs = re.split("[(.]", row.names[0])[0]

    async def cause() -> None:
        if theirs in _STATUSES:
            await _get(f"{served.url}status/{_STATUSES[theirs]}", raise_on_status=True)
        else:
            await _CAUSES[theirs](served)
        raise AssertionError(f"nothing was raised for {theirs}")

    clause, _, body = code.partition(":")
    program = f"""
        async def handle():
            try:
                await cause()
            {clause}:
                {body.strip() or "pass"}
    """
    scope = {**names, "cause": cause}
    exec(textwrap.dedent(program), scope)
    async with asyncio.timeout(30.0):
        await scope["handle"]()
