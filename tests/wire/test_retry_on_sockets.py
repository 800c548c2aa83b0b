"""Retries of connect failures, on ports that actually refuse connections."""

import contextlib
import dataclasses
import pathlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from socket import AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, socket
from typing import Any

import httpcore
import httpx
import pytest
from tls_contexts import client_context, server_context

import typed_async_client
from typed_async_client import AsyncEvent, AsyncResilientClient, EventType, ResultStatus
from typed_async_client.testing import FaultServer, SeenRequest, answer

pytestmark = pytest.mark.usefixtures("http11")

BODY = b"0123456789"
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]


# A port that opens


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RetriedRequest:
    """A request to a port that opened between its attempts.

    Attributes:
        status: status code of the response.
        attempts: number of attempts in the result.
        retries: ``current_attempt`` of each retry event, in order.
        connections: number of connections that the server accepted.
        requests: the requests that the server read.
    """

    status: int
    attempts: int
    retries: tuple[int, ...]
    connections: int
    requests: list[SeenRequest]


async def send_while_opening(
    method: str,
    *,
    refusals: int = 2,
    tls: ssl.SSLContext | None = None,
    **options: Any,
) -> RetriedRequest:
    """Send a request to a port that refuses some connections and then opens."""
    retries: list[int] = []
    async with (
        FaultServer(answer(200, b""), tls=tls, refusing=True) as server,
        _client_with_short_delay(max_retries=3) as client,
    ):

        async def open_in_time(event: AsyncEvent) -> None:
            retries.append(event.context.current_attempt)
            if event.context.current_attempt == refusals:
                await server.open()

        client.add_event_callback(EventType.RETRY, open_in_time)
        response = await (await client.request_async(method, server.url, **options))
        (result,) = (await client.wait_for_all_requests()).values()
        return RetriedRequest(
            status=response.status_code,
            attempts=result.attempts,
            retries=tuple(retries),
            connections=server.connections,
            requests=server.requests,
        )


@pytest.mark.parametrize("refusals", [1, 2, 3])
async def test_a_port_that_opens_is_reached_after_one_retry_per_refusal(refusals: int) -> None:
    """Two refusals mean two retries and three attempts; the server receives one request."""
    retried = await send_while_opening("GET", refusals=refusals)
    assert retried.status == 200
    assert retried.attempts == refusals + 1
    assert retried.retries == (1, 2, 3)[:refusals]
    assert retried.connections == len(retried.requests) == 1


@pytest.mark.parametrize("method", METHODS)
async def test_every_method_is_retried_when_nothing_was_sent(method: str) -> None:
    """A request that was never sent can't be processed twice, whatever its method."""
    retried = await send_while_opening(method)
    assert (retried.status, retried.attempts, retried.retries) == (200, 3, (1, 2))
    assert [request.method for request in retried.requests] == [method]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_body_arrives_once_and_in_full(method: str) -> None:
    """Refused attempts have sent none of it."""
    retried = await send_while_opening(method, content=BODY)
    assert [(request.method, request.body) for request in retried.requests] == [(method, BODY)]


async def test_the_body_of_an_async_iterator_arrives_once_and_in_full() -> None:
    """It can be read only once, and no refused attempt has started to read it."""

    async def pieces() -> AsyncIterator[bytes]:
        yield BODY[:3]
        yield BODY[3:]

    retried = await send_while_opening("POST", content=pieces())
    assert [request.body for request in retried.requests] == [BODY]


async def test_a_file_arrives_once_and_in_full(tmp_path: pathlib.Path) -> None:
    """It is read from the start, by the attempt that succeeds."""
    path = tmp_path / "report.txt"
    path.write_bytes(BODY)
    with path.open("rb") as file:
        retried = await send_while_opening("POST", files={"report": file})
    (request,) = retried.requests
    assert request.body.count(BODY) == 1
    assert len(request.body) == int(request.headers["content-length"])


async def test_a_tls_port_that_opens_is_reached() -> None:
    """The connection is refused before any TLS handshake."""
    retried = await send_while_opening("POST", tls=server_context(), content=BODY)
    assert (retried.status, retried.attempts, retried.retries) == (200, 3, (1, 2))
    assert [request.body for request in retried.requests] == [BODY]


# A port that stays closed


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Bind a port, on IPv4 and on IPv6 if available, without listening on it."""
    with socket() as four, contextlib.ExitStack() as stack:
        four.bind(("127.0.0.1", 0))
        port: int = four.getsockname()[1]
        with contextlib.suppress(OSError):
            six = stack.enter_context(socket(AF_INET6))
            six.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1)
            six.bind(("::1", port))
        yield port


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
async def test_a_closed_port_is_tried_max_retries_plus_one_times(
    host: str, method: str, closed_port: int
) -> None:
    """There is no fourth attempt: the trace of httpcore counts the connections tried."""
    if host == "[::1]" and not _has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    trace_counts: Counter[str] = Counter()

    async def trace(name: str, info: dict[str, Any]) -> None:
        trace_counts[name] += 1

    async with _client_with_short_delay(max_retries=2) as client:
        url = f"http://{host}:{closed_port}/"
        task = await client.request_async(method, url, extensions={"trace": trace})
        with pytest.raises(typed_async_client.ConnectError) as caught:
            await task
        (result,) = (await client.wait_for_all_requests()).values()
    assert trace_counts == {"connection.connect_tcp.started": 3, "connection.connect_tcp.failed": 3}
    assert (result.status, result.attempts) == (ResultStatus.ERROR, 3)
    assert result.error is caught.value


@pytest.mark.parametrize(
    "family", [typed_async_client.ConnectError, httpx.ConnectError, httpcore.ConnectError]
)
async def test_a_closed_port_raises_an_error_of_each_library(
    family: type[Exception], closed_port: int
) -> None:
    """Code that was written for httpx or httpcore keeps working."""
    async with _client_with_short_delay() as client:
        with pytest.raises(family) as caught:
            await (await client.get(f"http://127.0.0.1:{closed_port}/"))
    assert type(caught.value) is typed_async_client.ConnectError


@pytest.mark.parametrize(
    ("max_retries", "note"),
    [(0, "no connection after 1 attempt"), (4, "no connection after 5 attempts")],
)
async def test_the_last_error_reports_the_attempts_and_the_reason(
    max_retries: int, note: str, closed_port: int
) -> None:
    """The operating system's error is at the end of its chain of causes."""
    async with _client_with_short_delay(max_retries=max_retries) as client:
        with pytest.raises(typed_async_client.ConnectError) as caught:
            await (await client.get(f"http://127.0.0.1:{closed_port}/"))
    assert caught.value.__notes__ == [note]
    httpx_error = caught.value.__cause__
    assert type(httpx_error) is httpx.ConnectError
    httpcore_error = httpx_error.__cause__
    assert type(httpcore_error) is httpcore.ConnectError
    assert isinstance(httpcore_error.args[0], OSError)


async def test_each_retry_event_has_its_number_and_error(closed_port: int) -> None:
    """Two retries emit two events, followed by one terminal event."""
    events: list[AsyncEvent] = []
    async with _client_with_short_delay(max_retries=2) as client:
        for kind in EventType:
            client.add_event_callback(kind, events.append)
        task = await client.post(f"http://127.0.0.1:{closed_port}/", content=BODY)
        with pytest.raises(typed_async_client.ConnectError):
            await task
    *retries, last = events
    assert [event.context.current_attempt for event in retries] == [1, 2]
    assert [event.data.attempt for event in retries] == [1, 2]
    assert [type(event.error) for event in retries] == [httpx.ConnectError] * 2
    assert last.event_type is EventType.ERROR
    assert type(last.error) is typed_async_client.ConnectError


def _client_with_short_delay(**options: Any) -> AsyncResilientClient:
    """Create a client that waits next to no time before a retry."""
    return AsyncResilientClient(
        base_delay=0.001, trust_env=False, verify=client_context(), **options
    )


def _has_ipv6() -> bool:
    try:
        with socket(AF_INET6) as six:
            six.bind(("::1", 0))
    except OSError:
        return False
    return True
