"""What requests tell about their attempts on real sockets: one set of records, and no secrets."""

import copy
import logging
import pickle
import traceback
from typing import Any

import httpx
import pytest
from policy_ways import ALL_WAYS, CLIENTS, TRANSPORTS, open_way

from typed_async_client import (
    Bulkhead,
    CircuitBreaker,
    GaveUpError,
    RateLimit,
    RejectedError,
    Resilience,
    RetryBudget,
    RetryPolicy,
)
from typed_async_client.testing import FaultServer, answer, drop, each_request, stall
from typed_async_client.testing.server import Handler
from typed_async_client.transports.resilient import ATTEMPTS

RETRY = RetryPolicy(base_delay=0.001)

SECRETS = ["hunter2", "s3cr3t-sig", "t0ken-abc", "k3y-body"]

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.mark.parametrize("way", ALL_WAYS)
async def test_events_results_and_responses_share_their_records(way: str) -> None:
    """The same objects, for a request that was retried twice."""
    count = iter([503, 503, 200])
    async with (
        FaultServer(each_request(lambda _, wire: wire.answer(next(count)))) as server,
        open_way(way, Resilience(retry=RETRY)) as client,
    ):
        response = await client.request("GET", server.url)
        success = client.events[-1]
        assert success.event_type == "success"
        assert [record.status for record in success.history] == [503, 503, 200]
        for before, event in enumerate(client.events[:2], start=1):
            assert event.event_type == "retry"
            assert all(map(_is, event.history, success.history[:before]))
            assert len(event.history) == before
        if way in TRANSPORTS:
            assert all(map(_is, response.extensions[ATTEMPTS].records, success.history))
        else:
            (result,) = (await client.inner.wait_for_all_requests()).values()
            assert all(map(_is, result.history, success.history))
            text = result.explain()
            assert "after 3 attempts" in text
            assert text.count("status 503") == 2


def _is(one: object, other: object) -> bool:
    return one is other


FAILURES: dict[str, tuple[Handler, dict[str, Any]]] = {
    "retry-after": (answer(503, b"", "Retry-After: 3600"), {"retry": RETRY}),
    "deadline": (stall, {"deadline": 0.1}),
    "budget": (drop, {"retry": RETRY, "budget": RetryBudget(ratio=0.0, min_per_second=0.0)}),
    "circuit": (drop, {"circuit": CircuitBreaker(minimum_calls=1)}),
    "rate limit": (answer(), {"rate_limit": RateLimit(rate=0.01, burst=1, max_wait=0.0)}),
    "lost": (drop, {"retry": RETRY}),
    "attempt": (stall, {"attempt_timeout": 0.1}),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("way", ALL_WAYS)
async def test_errors_can_be_pickled_and_tell_no_secret(
    way: str, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor do events, records, logs and explanations, whichever policy ended the request."""
    caplog.set_level(logging.DEBUG, "typed_async_client")
    handler, policies = FAILURES[failure]
    async with FaultServer(handler) as server, open_way(way, Resilience(**policies)) as client:
        url = f"http://user:hunter2@127.0.0.1:{server.port}/x?signature=s3cr3t-sig"
        options = {"headers": {"X-Auth": "t0ken-abc"}, "content": b"k3y-body", "timeout": 30}
        errors = []
        for _ in range(2):
            try:
                await client.request("PUT", url, **options)
            except (httpx.TransportError, client.library.TransportError) as raised:
                errors.append(raised)
        assert errors
        texts = [caplog.text, repr(client.events)]
        for error in errors:
            texts += [repr(error), "".join(traceback.format_exception(error))]
            texts += [str(getattr(error, "history", ""))]
            for restored in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
                assert type(restored) is type(error)
                assert str(restored) == str(error)
                assert getattr(restored, "history", ()) == getattr(error, "history", ())
                assert getattr(restored, "retry_after", 0) == getattr(error, "retry_after", 0)
        if isinstance(errors[-1], RejectedError | GaveUpError):
            assert errors[-1].history is client.events[-1].history
        if way in CLIENTS:
            results = (await client.inner.wait_for_all_requests()).values()
            texts += [text for each in results for text in (each.explain(), repr(each))]
        for event in client.events:
            texts += [repr(event.history), repr(event.data), repr(event.error)]
        assert [secret for secret in SECRETS if any(secret in text for text in texts)] == []


async def test_a_refusal_by_a_bulkhead_has_its_record() -> None:
    """Of an attempt that was never sent."""
    policies = Resilience(bulkhead=Bulkhead(max_concurrent=1, max_wait=0.0))
    async with FaultServer(stall) as server, open_way("client", policies) as client:
        first = await client.inner.request_async("GET", server.url)
        with pytest.raises(RejectedError) as raised:
            await client.request("GET", server.url)
        (record,) = raised.value.history
        assert (record.sent, record.rejection) == ("nothing", "too_long")
        first.cancel()
