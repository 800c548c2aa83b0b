"""Timeouts and limits that httpx accepts, and that fail only when a request is sent."""

import math
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncPoolTransport, AsyncResilientClient
from typed_async_client.limit_checks import check_limits, check_timeout

TIMEOUTS: list[Any] = [
    None,
    0,
    2.5,
    (1.0, None, 3, 4),
    httpx.Timeout(5.0),
    httpx.Timeout(None, read=1.0),
    httpx.USE_CLIENT_DEFAULT,
]


@pytest.mark.parametrize("timeout", TIMEOUTS)
def test_a_timeout_is_a_number_of_seconds_in_any_form_of_httpx(timeout: Any) -> None:
    """Or none."""
    check_timeout(timeout)


@pytest.mark.parametrize(
    ("timeout", "error", "message"),
    [
        ("5", TypeError, "timeout must be a number of seconds or None, got '5'"),
        (True, TypeError, "got True"),
        ((1.0, b"2"), TypeError, "got b'2'"),
        (-1, ValueError, "timeout must be >= 0 seconds, got -1"),
        (math.nan, ValueError, "got nan"),
        (httpx.Timeout(5.0, read=-0.5), ValueError, "got -0.5"),
    ],
)
def test_any_other_timeout_is_refused(timeout: Any, error: type[Exception], message: str) -> None:
    """With its value."""
    with pytest.raises(error, match=message):
        check_timeout(timeout)


def test_limits_may_be_absent() -> None:
    """In httpx, None is no limit."""
    check_limits(httpx.Limits())
    check_limits(httpx.Limits(max_connections=1, max_keepalive_connections=0, keepalive_expiry=0))


@pytest.mark.parametrize(
    ("limits", "error", "message"),
    [
        (20, TypeError, "limits must be an httpx.Limits, got 20"),
        ({"max_connections": 20}, TypeError, "limits must be an httpx.Limits"),
        (
            httpx.Limits(max_connections=0),
            ValueError,
            "max_connections must be >= 1 or None, got 0",
        ),
        (httpx.Limits(max_keepalive_connections=-1), ValueError, "must be >= 0 or None, got -1"),
        (httpx.Limits(max_connections=2.0), TypeError, "must be an integer or None, got 2.0"),  # type: ignore[arg-type]  # as under test
    ],
)
def test_limits_under_which_no_request_could_be_sent_are_refused(
    limits: Any, error: type[Exception], message: str
) -> None:
    """By clients and by transports, when they are made."""
    for make in (AsyncResilientClient, AsyncPoolTransport):
        with pytest.raises(error, match=message):
            make(limits=limits)


async def test_a_client_checks_the_timeouts_of_its_requests() -> None:
    """Before anything is sent."""
    with pytest.raises(TypeError, match="got '5'"):
        AsyncResilientClient(timeout="5")  # type: ignore[arg-type]  # as under test
    async with AsyncResilientClient() as client:
        with pytest.raises(ValueError, match="got -1"):
            await client.get("http://127.0.0.1:1/", timeout=-1)
        assert client.statistics().submitted == 0


def test_a_limit_that_is_no_option_of_the_client_is_named() -> None:
    """It belongs to an httpx.Limits."""
    with pytest.raises(TypeError, match=r"pass limits=httpx\.Limits\(max_connections=\.\.\.\)"):
        AsyncResilientClient(max_connections=20)  # type: ignore[call-arg]  # as under test


def test_a_policy_that_is_no_option_of_the_client_is_named() -> None:
    """It belongs to a Resilience."""
    with pytest.raises(TypeError, match=r"pass resilience=Resilience\(deadline=\.\.\.\)"):
        AsyncResilientClient(deadline=20)  # type: ignore[call-arg]  # as under test
