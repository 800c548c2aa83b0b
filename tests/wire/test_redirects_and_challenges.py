"""An attempt with several hops is only retried if that can't process a request twice.

This holds for the built-in client with every transport and backend, and for external clients.
"""

from collections.abc import Generator
from typing import Any

import pytest
from external_clients import ALL_CLIENTS, BACKENDS, ClientSetup

from typed_async_client import ConnectError, RequestContext, Resilience, RetryPolicy
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer, each_request

pytestmark = pytest.mark.parametrize("setup", [*ALL_CLIENTS, *BACKENDS], ids=str)

CONTEXT = RequestContext(request_id="r", max_retries=2, base_delay=0.001)


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize(("method", "sent"), [("POST", 1), ("PATCH", 1), ("PUT", 3)])
async def test_a_redirect_to_an_unreachable_host_never_repeats_a_processed_request(
    setup: ClientSetup, method: str, sent: int, status: int
) -> None:
    """The first server has processed it: a POST is sent once, a PUT may be sent again."""
    async with (
        FaultServer(answer(), refusing=True) as unreachable,
        FaultServer(answer(status, b"", f"Location: {unreachable.url}")) as first,
        setup.client(follow_redirects=True) as client,
    ):
        task = await client.request_async(method, first.url, CONTEXT, content=b"pay 5")
        with pytest.raises(setup.library.ConnectError) as raised:
            await task
        assert isinstance(raised.value, ConnectError) is (sent == 3)
        assert len(first.requests) == sent
        result = client.get_result("r")
        assert result is not None
        assert result.attempts == sent


@pytest.mark.parametrize("status", [302, 307])
async def test_a_processed_post_with_an_idempotency_key_may_be_repeated(
    setup: ClientSetup, status: int
) -> None:
    """The server recognizes the second request by its key."""
    async with (
        FaultServer(answer(), refusing=True) as unreachable,
        FaultServer(answer(status, b"", f"Location: {unreachable.url}")) as first,
        setup.client(follow_redirects=True) as client,
    ):
        headers = {"Idempotency-Key": "8f2a"}
        task = await client.post(first.url, CONTEXT, content=b"pay 5", headers=headers)
        with pytest.raises(ConnectError):
            await task
        assert [seen.body for seen in first.requests] == [b"pay 5"] * 3


@pytest.mark.parametrize("status", [307, 308])
async def test_a_post_is_not_repeated_at_an_origin_that_did_not_see_its_key(
    setup: ClientSetup, status: int
) -> None:
    """It would process the request twice. An external client carries the key to every origin."""
    async with (
        FaultServer(answer(), refusing=True) as unreachable,
        FaultServer(answer(status, b"", f"Location: {unreachable.url}")) as second,
        FaultServer(answer(status, b"", f"Location: {second.url}")) as first,
        setup.client(follow_redirects=True) as client,
    ):
        task = await client.post(
            first.url, CONTEXT, content=b"pay 5", headers={"Idempotency-Key": "8f2a"}
        )
        with pytest.raises(setup.library.ConnectError):
            await task
        keys = [seen.headers.get("idempotency-key") for seen in second.requests]
        assert keys == (["8f2a"] * 3 if setup.is_external else [None])


async def test_a_redirect_from_a_host_that_becomes_reachable_is_followed(
    setup: ClientSetup,
) -> None:
    """A connect failure at the first hop is retried for every method."""
    async with (
        FaultServer(answer(200, b"there")) as second,
        FaultServer(answer(307, b"", f"Location: {second.url}"), refusing=True) as first,
        setup.client(follow_redirects=True) as client,
    ):
        client.add_event_callback("retry", lambda _: first.open())
        task = await client.post(first.url, RequestContext(base_delay=0.05), content=b"pay 5")
        assert (await task).text == "there"
        assert [seen.body for seen in second.requests] == [b"pay 5"]


def resend_to(setup: ClientSetup, second: str) -> Any:
    """Send the request, then resend it to another URL, as a challenge may require."""

    def auth_flow(_: Any, request: Any) -> Generator[Any, Any, None]:
        yield request
        request.url = setup.library.URL(second)
        yield request

    return type("ResendTo", (setup.library.Auth,), {"auth_flow": auth_flow})()


async def test_a_challenge_that_leads_to_an_unreachable_host_never_repeats_a_post(
    setup: ClientSetup,
) -> None:
    """The hops of an authentication flow count like those of a redirect."""
    async with (
        FaultServer(answer(), refusing=True) as unreachable,
        FaultServer(answer()) as first,
        setup.client(auth=resend_to(setup, unreachable.url)) as client,
    ):
        task = await client.post(first.url, CONTEXT, content=b"pay 5")
        with pytest.raises(setup.library.ConnectError):
            await task
        assert len(first.requests) == 1


@pytest.mark.parametrize("status", [421, 425, 429])
@pytest.mark.parametrize("redirect", [303, 307])
@pytest.mark.parametrize(("method", "sent"), [("POST", 1), ("PUT", 3)])
async def test_a_refusal_after_a_redirect_does_not_repeat_what_was_processed_before(
    setup: ClientSetup, method: str, sent: int, redirect: int, status: int
) -> None:
    """It says that the last request wasn't processed, which is another one."""

    async def respond(request: SeenRequest, wire: Wire) -> None:
        if request.target == "/pay":
            await wire.answer(redirect, b"", "Location: /receipt")
        else:
            await wire.answer(status)

    policies = Resilience(retry=RetryPolicy(base_delay=0.001))
    async with (
        FaultServer(each_request(respond)) as server,
        setup.client(follow_redirects=True) as client,
    ):
        response = await client.request(
            method, f"{server.url}pay", CONTEXT, content=b"pay 5", resilience=policies
        )
        assert response.status_code == status
        paid = [seen.method for seen in server.requests if seen.target == "/pay"]
        assert paid == [method] * sent


@pytest.mark.parametrize("status", [421, 425, 429])
async def test_a_post_that_is_refused_itself_is_sent_again(setup: ClientSetup, status: int) -> None:
    """Nothing came before it."""
    policies = Resilience(retry=RetryPolicy(base_delay=0.001))
    async with (
        FaultServer(answer(status)) as server,
        setup.client(follow_redirects=True) as client,
    ):
        await client.request("POST", server.url, CONTEXT, content=b"pay 5", resilience=policies)
        assert len(server.requests) == 3
