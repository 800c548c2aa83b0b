"""Mocks and recorders see the requests that they see with httpx."""

from pathlib import Path

import httpx
import pytest
import respx
import vcr
from pytest_httpx import HTTPXMock
from tool_clients import Open, open_async, open_both

from typed_async_client import AsyncPoolTransport
from typed_async_client.testing import FaultServer, answer

URL = "http://pay.test/"


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


@pytest.fixture(scope="module")
def vcr_cassette_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Say to pytest-recording where the recorded answer is."""
    folder = tmp_path_factory.mktemp("cassettes")
    (folder / "pay.yaml").write_text(_TAPE)
    return str(folder)


_TAPE = """
version: 1
interactions:
- request: {method: POST, uri: 'http://pay.test/', body: pay 5, headers: {}}
  response:
    status: {code: 201, message: Created}
    headers: {Content-Length: ['8']}
    body: {string: recorded}
"""


@open_async
@pytest.mark.vcr("pay.yaml")
async def test_pytest_recording_plays_a_post_back(open_post: Open) -> None:
    """Nothing is sent: there is no such host."""
    async with open_post() as post:
        response = await post(URL)
    assert (response.status_code, response.text) == (201, "recorded")


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
