"""Mocks, recorders and tracers see the requests that they see with httpx."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest
import respx
import vcr
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pytest_httpx import HTTPXMock

from typed_async_client import AsyncPoolTransport, AsyncResilientClient, ResilientTransport
from typed_async_client.testing import FaultServer, answer

Post = Callable[[str], Awaitable[httpx.Response]]
URL = "http://pay.test/"


@contextlib.asynccontextmanager
async def resilient_client() -> AsyncIterator[Post]:
    """Post with the client."""
    async with AsyncResilientClient() as client:

        async def post(url: str) -> httpx.Response:
            return await (await client.post(url, content=b"pay 5"))

        yield post


@contextlib.asynccontextmanager
async def pool_transport() -> AsyncIterator[Post]:
    """Post with httpx's client on our pool."""
    async with httpx.AsyncClient(transport=AsyncPoolTransport()) as client:
        yield lambda url: client.post(url, content=b"pay 5")


@contextlib.asynccontextmanager
async def resilient_transport() -> AsyncIterator[Post]:
    """Post with httpx's client and our retries."""
    async with httpx.AsyncClient(transport=ResilientTransport()) as client:
        yield lambda url: client.post(url, content=b"pay 5")


@contextlib.asynccontextmanager
async def resilient_transport_sync() -> AsyncIterator[Post]:
    """Post with httpx's synchronous client and our retries; only mocks may block the loop."""
    with httpx.Client(transport=ResilientTransport()) as client:

        async def post(url: str) -> httpx.Response:
            return client.post(url, content=b"pay 5")  # noqa: ASYNC212 - it is mocked

        yield post


ASYNC = (resilient_client, pool_transport, resilient_transport)
BOTH = (*ASYNC, resilient_transport_sync)
open_async = pytest.mark.parametrize("open_post", ASYNC, ids=lambda made: made.__name__)
open_both = pytest.mark.parametrize("open_post", BOTH, ids=lambda made: made.__name__)
Open = Callable[[], contextlib.AbstractAsyncContextManager[Post]]


@open_both
async def test_respx_mocks_a_post(open_post: Open) -> None:
    """Nothing is sent, and the mock has seen the body."""
    with respx.mock() as mock:
        route = mock.post(URL).respond(201, text="mocked")
        async with open_post() as post:
            response = await post(URL)
    assert (response.status_code, response.text) == (201, "mocked")
    assert [call.request.content for call in route.calls] == [b"pay 5"]


@open_both
async def test_respx_can_fail_a_request(open_post: Open) -> None:
    """A side effect reaches the caller as httpx's error."""
    with respx.mock() as mock:
        mock.post(URL).mock(side_effect=httpx.ReadTimeout("slow"))
        async with open_post() as post:
            with pytest.raises(httpx.ReadTimeout):
                await post(URL)


@open_both
async def test_pytest_httpx_mocks_a_post(open_post: Open, httpx_mock: HTTPXMock) -> None:
    """Its fixture fails the test if the request isn't made."""
    httpx_mock.add_response(method="POST", url=URL, match_content=b"pay 5", text="mocked")
    async with open_post() as post:
        assert (await post(URL)).text == "mocked"


@open_async
async def test_vcrpy_records_a_post_and_plays_it_back(open_post: Open, tmp_path: Path) -> None:
    """The server sees the first request only."""
    tape = str(tmp_path / "tape.yaml")
    async with FaultServer(answer(200, b"real")) as server:
        for _ in range(2):
            with vcr.use_cassette(tape) as cassette:
                async with open_post() as post:
                    assert (await post(server.url)).text == "real"
        assert cassette.play_count == 1
        assert len(server.requests) == 1


@pytest.fixture(name="spans")
def _spans() -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield exporter
    instrumentor.uninstrument()


@open_async
async def test_opentelemetry_traces_a_post(open_post: Open, spans: InMemorySpanExporter) -> None:
    """One span per request, and its context is sent along."""
    async with FaultServer(answer(200, b"real")) as server, open_post() as post:
        assert (await post(server.url)).text == "real"
        assert len(spans.get_finished_spans()) == 1
        assert "traceparent" in server.requests[0].headers


async def test_our_pool_serves_requests_again_once_a_patch_is_gone() -> None:
    """With the connections that it had before."""
    async with FaultServer(answer(200, b"real")) as server:
        transport = AsyncPoolTransport()
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get(server.url)
            with respx.mock() as mock:
                mock.get(server.url).respond(200, text="mocked")
                assert (await client.get(server.url)).text == "mocked"
            assert (await client.get(server.url)).text == "real"
            assert transport.statistics().opened == 1
