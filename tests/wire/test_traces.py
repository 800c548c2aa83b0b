"""What the ``trace`` extension and the DEBUG loggers report is what they report with httpx's transport."""

import asyncio
import contextlib
import functools
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tls_contexts import client_context
from trace_cases import CASES, Case
from trace_recorder import TraceRecorder, logged_messages

from typed_async_client import AsyncPoolTransport
from typed_async_client.pool.connector import Http11
from typed_async_client.testing import FaultServer, answer

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # httpcore leaks some

BOTH_PARSERS = pytest.mark.parametrize("http11", ["h11", "llhttp"])


async def run_case(
    case: Case, make: Callable[..., httpx.AsyncBaseTransport], raise_at: str = ""
) -> tuple[TraceRecorder, list[str], list[str]]:
    """Return the recorded events, the logged messages, and the error that the caller gets."""
    recorder, errors = TraceRecorder(raise_at), []
    async with contextlib.AsyncExitStack() as stack:
        tls = case.tls() if case.tls is not None else None
        server = await stack.enter_async_context(
            FaultServer(case.handler, tls=tls, refusing=case.refusing)
        )
        options: dict[str, Any] = {"verify": client_context()}
        if case.proxy is not None:
            proxy = await stack.enter_async_context(FaultServer(case.proxy))
            options["proxy"] = f"{case.proxy_scheme}://127.0.0.1:{proxy.port}"
        with logged_messages() as messages:
            async with httpx.AsyncClient(transport=make(**options), timeout=case.timeout) as client:
                url = case.url.format(url=server.url, port=server.port)
                try:
                    await case.use(client, url, {"trace": recorder})
                except Exception as error:  # noqa: BLE001 - compared
                    errors.append(type(error).__name__)
    return recorder, messages, errors


def ours(http11: Http11) -> Callable[..., httpx.AsyncBaseTransport]:
    """Return a function that creates a transport of ours."""
    return lambda **options: AsyncPoolTransport(http11=http11, **options)


@pytest.fixture(autouse=True)
def _collect_what_httpcore_leaks() -> Iterator[None]:
    """Collect the sockets that its pool leaks after some failures, before the next test."""
    yield
    gc.collect()


@BOTH_PARSERS
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_the_same_is_reported_as_by_httpx(case: Case, http11: Http11) -> None:
    """The names, their order, their details and return values; and the messages of each logger."""
    recorder, messages, errors = await run_case(case, httpx.AsyncHTTPTransport)
    recorded = await run_case(case, ours(http11))
    assert recorded[0].reports == recorder.reports
    assert recorded[1:] == (messages, errors)


@BOTH_PARSERS
async def test_nothing_is_reported_of_a_request_that_is_refused(http11: Http11) -> None:
    """No connection is opened for it, where httpx opens one first."""
    recorder = TraceRecorder()
    async with httpx.AsyncClient(transport=AsyncPoolTransport(http11=http11)) as client:
        with pytest.raises(httpx.LocalProtocolError):
            await client.request("GE T", "http://a.test/", extensions={"trace": recorder})
    assert recorder.reports == []


REPORTED = (
    "connection.connect_tcp",
    "connection.start_tls",
    "http11.send_request_headers",
    "http11.send_request_body",
    "http11.receive_response_headers",
    "http11.receive_response_body",
    "http11.response_closed",
)


@BOTH_PARSERS
@pytest.mark.parametrize("operation", REPORTED)
@pytest.mark.parametrize("step", ["started", "complete"])
async def test_an_extension_that_raises_fails_its_request(
    operation: str, step: str, http11: Http11
) -> None:
    """With the same events as with httpx, and its connection is closed all the same."""
    case, raise_at = CASES["a response over TLS"], f"{operation}.{step}"
    recorder, _, errors = await run_case(case, httpx.AsyncHTTPTransport, raise_at)
    transports: list[AsyncPoolTransport] = []

    def make(**options: Any) -> AsyncPoolTransport:
        transports.append(AsyncPoolTransport(http11=http11, **options))
        return transports[0]

    recorded = await run_case(case, make, raise_at)
    assert (recorded[0].reports, recorded[2]) == (recorder.reports, errors)
    assert errors == ["ZeroDivisionError"]
    statistics = transports[0].statistics()
    assert (statistics.active, statistics.idle, statistics.opened) == (0, 0, 1)


@BOTH_PARSERS
async def test_an_extension_that_is_not_async_is_refused(http11: Http11) -> None:
    """With httpcore's own words."""
    async with (
        FaultServer(answer()) as server,
        httpx.AsyncClient(transport=AsyncPoolTransport(http11=http11)) as client,
    ):
        with pytest.raises(TypeError, match="should be an asynchronous function"):
            await client.get(server.url, extensions={"trace": lambda _, __: None})


@BOTH_PARSERS
async def test_a_connection_through_a_unix_socket_is_reported(
    http11: Http11, tmp_path: Path
) -> None:
    """By its path."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.transport.abort()

    path, reports = str(tmp_path / "server.sock"), []
    async with await asyncio.start_unix_server(serve, path):
        for make in (httpx.AsyncHTTPTransport, ours(http11)):
            recorder = TraceRecorder()
            async with httpx.AsyncClient(transport=make(uds=path)) as client:
                await client.get("http://a.test/", extensions={"trace": recorder})
            reports.append(recorder.reports)
    assert reports[0] == reports[1]
    assert reports[0][0][1]["path"] == path


@BOTH_PARSERS
async def test_another_connect_attempt_is_reported(http11: Http11) -> None:
    """With the wait before it, which the first one doesn't have."""
    case = CASES["a refused connection"]
    recorder, messages, errors = await run_case(
        case, functools.partial(httpx.AsyncHTTPTransport, retries=1)
    )
    recorded = await run_case(case, functools.partial(ours(http11), retries=1))
    assert recorded[0].reports == recorder.reports
    assert recorded[1:] == (messages, errors)
    assert recorder.names.count("connection.retry.complete") == 1
