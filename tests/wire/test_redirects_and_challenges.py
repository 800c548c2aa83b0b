"""An attempt of several hops is made anew only when that cannot act twice."""

from collections.abc import Generator

import httpx
import pytest

from typed_async_client import ConnectError, RequestContext, create_async_resilient_client
from typed_async_client.testing import FaultServer, answer

CONTEXT = RequestContext(request_id="r", max_retries=2, base_delay=0.001)


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize(
    ("method", "sends", "error"),
    [("POST", 1, httpx.ConnectError), ("PATCH", 1, httpx.ConnectError), ("PUT", 3, ConnectError)],
)
async def test_a_redirect_to_a_dead_host_never_repeats_what_was_processed(
    method: str, sends: int, error: type[Exception], status: int
) -> None:
    """The first server has acted already: a POST reaches it once, a PUT may reach it again."""
    async with (
        FaultServer(answer(), refusing=True) as dead,
        FaultServer(answer(status, b"", f"Location: {dead.url}")) as first,
        create_async_resilient_client(follow_redirects=True) as client,
    ):
        task = await client.request_async(method, first.url, CONTEXT, content=b"pay 5")
        with pytest.raises(httpx.ConnectError) as raised:
            await task
        assert type(raised.value) is error
        assert len(first.requests) == sends
        result = client.get_result("r")
        assert result is not None
        assert result.attempts == sends


async def test_a_redirect_from_a_host_that_came_up_late_is_followed() -> None:
    """A connect failure at the first hop is retried for every method."""
    async with (
        FaultServer(answer(200, b"there")) as second,
        FaultServer(answer(307, b"", f"Location: {second.url}"), refusing=True) as late,
        create_async_resilient_client(follow_redirects=True) as client,
    ):
        client.add_event_callback("retry", lambda _: late.open())  # type: ignore[arg-type]  # a string serves too
        task = await client.post(late.url, RequestContext(base_delay=0.05), content=b"pay 5")
        assert (await task).text == "there"
        assert [seen.body for seen in second.requests] == [b"pay 5"]


class AskTwice(httpx.Auth):
    """Sends the request, and then once more to another address, as a challenge may ask."""

    def __init__(self, second: str) -> None:
        self._second = second

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request, then send it elsewhere."""
        yield request
        request.url = httpx.URL(self._second)
        yield request


async def test_a_challenge_that_leads_to_a_dead_host_never_repeats_a_post() -> None:
    """The hops of an authentication count like those of a redirect."""
    async with (
        FaultServer(answer(), refusing=True) as dead,
        FaultServer(answer()) as first,
        create_async_resilient_client(auth=AskTwice(dead.url)) as client,
    ):
        task = await client.post(first.url, CONTEXT, content=b"pay 5")
        with pytest.raises(httpx.ConnectError):
            await task
        assert len(first.requests) == 1
