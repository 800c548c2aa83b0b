"""Tracers see the requests that they see with httpx, and are out of the way once removed."""

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import logfire
import pytest
import sentry_sdk
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor, HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.httpx import HttpxIntegration
from sentry_sdk.transport import Transport
from tool_clients import Open, open_both

from typed_async_client import AsyncResilientClient
from typed_async_client.testing import FaultServer, answer

# OpenTelemetry


@pytest.fixture(name="exporter")
def _exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture(name="provider")
def _provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@contextlib.contextmanager
def instrumented(provider: TracerProvider) -> Iterator[None]:
    """Patch the classes of httpx, and take the patches away again."""
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        yield
    finally:
        instrumentor.uninstrument()


@open_both
async def test_opentelemetry_traces_a_post(
    open_post: Open, exporter: InMemorySpanExporter, provider: TracerProvider
) -> None:
    """One span per request, and its context is sent along."""
    async with FaultServer(answer(200, b"real")) as server:
        with instrumented(provider):
            async with open_post() as post:
                assert (await post(server.url)).text == "real"
        assert len(exporter.get_finished_spans()) == 1
        assert "traceparent" in server.requests[0].headers


@open_both
async def test_opentelemetry_may_come_and_go_while_a_client_is_open(
    open_post: Open, exporter: InMemorySpanExporter, provider: TracerProvider
) -> None:
    """Only the requests in between are traced."""
    async with FaultServer(answer(200, b"real")) as server, open_post() as post:
        await post(server.url)
        with instrumented(provider):
            await post(server.url)
        await post(server.url)
        traced = ["traceparent" in request.headers for request in server.requests]
    assert traced == [False, True, False]
    assert len(exporter.get_finished_spans()) == 1


async def test_opentelemetry_traces_one_client_only(
    exporter: InMemorySpanExporter, provider: TracerProvider
) -> None:
    """The client that sends for ours is ``_client``."""
    async with (
        FaultServer(answer(200, b"real")) as server,
        AsyncResilientClient() as client,
        AsyncResilientClient() as other,
    ):
        HTTPXClientInstrumentor.instrument_client(client._client, tracer_provider=provider)
        await (await client.get(server.url))
        await (await other.get(server.url))
        HTTPXClientInstrumentor.uninstrument_client(client._client)
        await (await client.get(server.url))
        traced = ["traceparent" in request.headers for request in server.requests]
    assert traced == [True, False, False]
    assert len(exporter.get_finished_spans()) == 1


# logfire, which builds on OpenTelemetry's instrumentor


def local_logfire(exporter: InMemorySpanExporter) -> logfire.Logfire:
    """Configure logfire to keep its spans in memory."""
    return logfire.configure(
        local=True,
        send_to_logfire=False,
        console=False,
        inspect_arguments=False,
        additional_span_processors=[SimpleSpanProcessor(exporter)],
    )


@open_both
async def test_logfire_traces_a_post(open_post: Open, exporter: InMemorySpanExporter) -> None:
    """With the options that make it read headers and bodies."""
    instance = local_logfire(exporter)
    async with FaultServer(answer(200, b"real")) as server:
        instance.instrument_httpx(capture_all=True)
        try:
            async with open_post() as post:
                assert (await post(server.url)).text == "real"
        finally:
            HTTPXClientInstrumentor().uninstrument()
            HTTPX2ClientInstrumentor().uninstrument()
        assert "traceparent" in server.requests[0].headers
    names = [span.name for span in exporter.get_finished_spans()]
    assert sorted(names) == ["POST", "Reading response body"]


async def test_logfire_traces_one_client_only(exporter: InMemorySpanExporter) -> None:
    """The client that sends for ours is ``_client``."""
    instance = local_logfire(exporter)
    async with (
        FaultServer(answer(200, b"real")) as server,
        AsyncResilientClient() as client,
        AsyncResilientClient() as other,
    ):
        instance.instrument_httpx(client._client)
        await (await client.get(server.url))
        await (await other.get(server.url))
    assert [span.name for span in exporter.get_finished_spans()] == ["GET"]


# Sentry


class Kept(Transport):
    """Keeps what would be sent to Sentry."""

    def __init__(self) -> None:
        super().__init__()
        self.transactions: list[Any] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        """Keep the transaction in the envelope."""
        self.transactions.append(envelope.get_transaction_event())


@pytest.fixture(name="kept")
def _kept() -> Iterator[Kept]:
    """Start Sentry with its integration for httpx, and remove both again."""
    kept = Kept()
    send, asend = httpx.Client.send, httpx.AsyncClient.send
    sentry_sdk.init(
        dsn="https://key@sentry.test/1",
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[HttpxIntegration()],
        traces_sample_rate=1.0,
        transport=kept,
    )
    _set_send(send, asend)  # init() patches them in the first test of a process only
    HttpxIntegration.setup_once()
    yield kept
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)
    _set_send(send, asend)


def _set_send(send: Any, asend: Any) -> None:
    httpx.Client.send, httpx.AsyncClient.send = send, asend  # type: ignore[method-assign]  # undone


@open_both
async def test_sentry_traces_a_post(open_post: Open, kept: Kept) -> None:
    """A span and a breadcrumb, and the trace is sent along."""
    async with FaultServer(answer(200, b"real")) as server:
        with sentry_sdk.start_transaction(name="pay") as transaction:
            async with open_post() as post:
                assert (await post(server.url)).text == "real"
        headers = server.requests[0].headers
    assert headers["sentry-trace"].startswith(transaction.trace_id)
    assert f"sentry-trace_id={transaction.trace_id}" in headers["baggage"]
    (event,) = kept.transactions
    (span,) = event["spans"]
    assert (span["op"], span["description"]) == ("http.client", f"POST {server.url}")
    assert span["data"]["http.response.status_code"] == 200


async def test_sentry_traces_a_bare_get(kept: Kept) -> None:
    """The first one and the next, whose headers come from the cache."""
    async with FaultServer(answer(200, b"real")) as server:
        with sentry_sdk.start_transaction(name="pay"):
            async with AsyncResilientClient() as client:
                for _ in range(2):
                    await (await client.get(server.url))
        traces = [request.headers["sentry-trace"] for request in server.requests]
    assert len(set(traces)) == 2
    assert [span["op"] for span in kept.transactions[0]["spans"]] == ["http.client"] * 2
