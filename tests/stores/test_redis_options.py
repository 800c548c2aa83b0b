"""What a store in Redis refuses to be created with, and where it may be used."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any, cast

import pytest
import redis
import redis.asyncio
from store_kit import KEY

from typed_async_client import ClientBoundError
from typed_async_client.policies.budget import RetryBudget
from typed_async_client.stores import RedisStore, SyncRedisStore

URL = "redis://127.0.0.1:1/0"
BOTH = pytest.mark.parametrize("kind", [RedisStore, SyncRedisStore])


@BOTH
@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:6379",
        "http://host",
        "redis://:s3c/ret@host",
        "redis://host:port",
        "redis://[",
    ],
)
def test_an_invalid_url_is_refused_without_being_shown(kind: Callable[..., Any], url: str) -> None:
    """It may contain a password."""
    with pytest.raises(
        ValueError, match=r"^the URL of Redis must be like redis://host:6379/0,"
    ) as e:
        kind(url)
    assert "s3c" not in str(e.value)
    assert e.value.__cause__ is None
    assert e.value.__suppress_context__


@BOTH
@pytest.mark.parametrize("name", ["timeout", "check_every"])
@pytest.mark.parametrize("value", [0, -1.0, float("nan"), "1", None])
def test_times_are_checked(kind: Callable[..., Any], name: str, value: object) -> None:
    """The message names the option and the value."""
    message = f"^{name} must be a finite number > 0, got {re.escape(repr(value))}$"
    with pytest.raises(ValueError, match=message):
        kind(URL, **{name: value})


def test_a_client_of_the_wrong_kind_is_refused() -> None:
    """The message says what to pass, or which store to use."""
    with pytest.raises(
        TypeError, match=r"a client of redis\.asyncio, got redis\.client\.Redis, or "
    ):
        RedisStore(cast("Any", redis.Redis()))
    with pytest.raises(TypeError, match=r"got redis\.asyncio\.client\.Redis, or use RedisStore$"):
        SyncRedisStore(cast("Any", redis.asyncio.Redis()))
    with pytest.raises(TypeError, match=r"a client of redis, got builtins\.int$"):
        SyncRedisStore(cast("Any", 6379))


@BOTH
def test_a_missing_extra_is_named(
    kind: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ImportError, match=r"pip install 'typed-async-client\[redis\]'$"):
        kind(URL)


def test_importing_the_stores_does_not_import_redis_py() -> None:
    """It is loaded when the first store in Redis is created."""
    program = "import sys, typed_async_client.stores; print('redis' in sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert printed.stdout.strip() == "False"


def test_a_store_is_bound_to_one_event_loop() -> None:
    """Connections can't be shared by two of them."""
    store = RedisStore(URL)

    async def use() -> None:
        await store.deposit(KEY, RetryBudget(), now=0.0)

    asyncio.run(use())
    with pytest.raises(ClientBoundError, match="this client belongs to"):
        asyncio.run(use())


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("redis://ann:pw@example.org", "Redis at example.org:6379"),
        ("redis://:pw@127.0.0.1:6380/3", "Redis at 127.0.0.1:6380"),
        ("unix://ann@/var/run/redis.sock?password=pw", "Redis at /var/run/redis.sock"),
    ],
)
def test_a_store_shows_its_server(url: str, server: str) -> None:
    """And its prefix, but no secret."""
    assert repr(RedisStore(url)) == f"<RedisStore {server}, prefix 'typed_async_client'>"
    assert repr(SyncRedisStore(url, prefix="a")) == f"<SyncRedisStore {server}, prefix 'a'>"
