"""An attempt of several hops is made anew only when that cannot act twice.

The same for a client of our own making, whatever it sends through, and for one brought along.
"""

from collections.abc import Generator
from typing import Any

import pytest
from external_clients import ALL_CLIENTS, BACKENDS, Way

from typed_async_client import ConnectError, RequestContext
from typed_async_client.testing import FaultServer, answer

pytestmark = pytest.mark.parametrize("way", [*ALL_CLIENTS, *BACKENDS], ids=str)

CONTEXT = RequestContext(request_id="r", max_retries=2, base_delay=0.001)


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize(("method", "sends"), [("POST", 1), ("PATCH", 1), ("PUT", 3)])
async def test_a_redirect_to_a_dead_host_never_repeats_what_was_processed(
    way: Way, method: str, sends: int, status: int
) -> None:
    """The first server has acted already: a POST reaches it once, a PUT may reach it again."""
    async with (
        FaultServer(answer(), refusing=True) as dead,
        FaultServer(answer(status, b"", f"Location: {dead.url}")) as first,
        way.client(follow_redirects=True) as client,
    ):
        task = await client.request_async(method, first.url, CONTEXT, content=b"pay 5")
        with pytest.raises(way.library.ConnectError) as raised:
            await task
        assert isinstance(raised.value, ConnectError) is (sends == 3)
        assert len(first.requests) == sends
        result = client.get_result("r")
        assert result is not None
        assert result.attempts == sends


@pytest.mark.parametrize("status", [302, 307])
async def test_a_post_with_an_idempotency_key_may_repeat_what_was_processed(
    way: Way, status: int
) -> None:
    """The server recognizes the second request by its key."""
    async with (
        FaultServer(answer(), refusing=True) as dead,
        FaultServer(answer(status, b"", f"Location: {dead.url}")) as first,
        way.client(follow_redirects=True) as client,
    ):
        headers = {"Idempotency-Key": "8f2a"}
        task = await client.post(first.url, CONTEXT, content=b"pay 5", headers=headers)
        with pytest.raises(ConnectError):
            await task
        assert [seen.body for seen in first.requests] == [b"pay 5"] * 3


async def test_a_redirect_from_a_host_that_came_up_late_is_followed(way: Way) -> None:
    """A connect failure at the first hop is retried for every method."""
    async with (
        FaultServer(answer(200, b"there")) as second,
        FaultServer(answer(307, b"", f"Location: {second.url}"), refusing=True) as late,
        way.client(follow_redirects=True) as client,
    ):
        client.add_event_callback("retry", lambda _: late.open())  # type: ignore[arg-type]  # a string serves too
        task = await client.post(late.url, RequestContext(base_delay=0.05), content=b"pay 5")
        assert (await task).text == "there"
        assert [seen.body for seen in second.requests] == [b"pay 5"]


def ask_twice(way: Way, second: str) -> Any:
    """Send the request, and then once more to another address, as a challenge may ask."""

    def auth_flow(_: Any, request: Any) -> Generator[Any, Any, None]:
        yield request
        request.url = way.library.URL(second)
        yield request

    return type("AskTwice", (way.library.Auth,), {"auth_flow": auth_flow})()


async def test_a_challenge_that_leads_to_a_dead_host_never_repeats_a_post(way: Way) -> None:
    """The hops of an authentication count like those of a redirect."""
    async with (
        FaultServer(answer(), refusing=True) as dead,
        FaultServer(answer()) as first,
        way.client(auth=ask_twice(way, dead.url)) as client,
    ):
        task = await client.post(first.url, CONTEXT, content=b"pay 5")
        with pytest.raises(way.library.ConnectError):
            await task
        assert len(first.requests) == 1
