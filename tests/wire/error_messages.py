"""Makes requests that fail, and returns what their errors say."""

import re
from collections.abc import Awaitable
from typing import Any

import httpx
import pytest

from typed_async_client.testing import FaultServer

__all__ = ["get", "message_of", "secret_url"]

_SECRETS = ("b-o-b", "s3cret", "secret-path", "t-0-k")


async def message_of(request: Awaitable[Any], kind: type[Exception]) -> str:
    """Return the message of the error that a request fails with, without its port."""
    with pytest.raises(kind) as raised:
        await request
    assert type(raised.value) is kind
    assert not any(secret in str(raised.value) for secret in _SECRETS)
    return re.sub(r":\d\d\d\d+", ":PORT", str(raised.value))


def secret_url(scheme: str, server: str) -> str:
    """Return a URL whose user, password, path and query must not be in any message."""
    return f"{scheme}://b-o-b:s3cret@{server}/secret-path?token=t-0-k"


def get(
    client: httpx.AsyncClient, server: FaultServer, scheme: str = "http"
) -> Awaitable[httpx.Response]:
    """Make a request with such a URL."""
    return client.get(secret_url(scheme, f"127.0.0.1:{server.port}"))
