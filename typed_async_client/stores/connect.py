"""Connects to Redis: the only module that imports redis-py, when the first store is created."""

import dataclasses
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import redis
    import redis.asyncio

    AsyncClient: TypeAlias = redis.asyncio.Redis | redis.asyncio.RedisCluster
    SyncClient: TypeAlias = redis.Redis | redis.RedisCluster

__all__ = ["AsyncClient", "Connection", "SyncClient", "connect"]

_NEEDED = "a store in Redis needs an extra: pip install 'typed-async-client[redis]'"
_BAD_URL = (
    "the URL of Redis must be like redis://host:6379/0, rediss://host:6379/0 or unix:///path, "
    "with special characters of the password percent-encoded"
)
_CONNECTIONS: Final = 1000
"""More than are ever used: how many decisions are sent at the same time is limited elsewhere."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A client of redis-py, and what a store must know about it.

    Attributes:
        client: the client.
        is_ours: whether to close it.
        server: how to name the server, without secrets.
        failures: what it raises if Redis can't decide, and what an unexpected reply raises.
        unknown_script: what it raises if Redis hasn't cached a script, or not any more.
    """

    client: Any
    is_ours: bool
    server: str
    failures: tuple[type[Exception], ...]
    unknown_script: type[Exception]


def connect(redis: object, *, is_async: bool, timeout: float) -> Connection:
    """Return a client for a URL, or the client that was passed.

    Args:
        redis: a URL, or a client of redis-py of the right kind.
        is_async: which kind is needed.
        timeout: seconds to wait for a connection and for each reply, for a client that is ours.

    Raises:
        ImportError: redis-py isn't installed.
        TypeError: ``redis`` is something else; the message says what to pass.
        ValueError: the URL is invalid; the message doesn't quote it, since it may hold a password.
    """
    try:
        from redis import exceptions  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ImportError(_NEEDED) from error
    if is_ours := isinstance(redis, str):
        client, server = _new_client(redis, is_async=is_async, timeout=timeout)
    else:
        client, server = _checked(redis, is_async=is_async), "Redis"
    return Connection(
        client=client,
        is_ours=is_ours,
        server=server,
        failures=(exceptions.RedisError, OSError, ValueError, TypeError, LookupError),
        unknown_script=exceptions.NoScriptError,
    )


def _new_client(url: str, *, is_async: bool, timeout: float) -> tuple[Any, str]:
    import redis.asyncio  # noqa: PLC0415 - an extra
    from redis.asyncio.retry import Retry as AsyncRetry  # noqa: PLC0415 - an extra
    from redis.backoff import NoBackoff  # noqa: PLC0415 - an extra
    from redis.retry import Retry  # noqa: PLC0415 - an extra

    kind: Any = redis.asyncio.Redis if is_async else redis.Redis
    try:
        parts = urlsplit(url)
        server = f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
        client = kind.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=(AsyncRetry if is_async else Retry)(NoBackoff(), 0),
            max_connections=_CONNECTIONS,
        )
    except ValueError:
        raise ValueError(_BAD_URL) from None
    return client, f"Redis at {parts.path if parts.scheme == 'unix' else server}"


def _checked(client: Any, *, is_async: bool) -> Any:
    import redis.asyncio  # noqa: PLC0415 - an extra

    right, wrong = (redis.asyncio, redis) if is_async else (redis, redis.asyncio)
    if isinstance(client, right.Redis | right.RedisCluster):
        return client
    is_other_kind = isinstance(client, wrong.Redis | wrong.RedisCluster)
    hint = f", or use {'SyncRedisStore' if is_async else 'RedisStore'}" if is_other_kind else ""
    raise TypeError(
        f"redis must be a URL or a client of {right.__name__}, got {type(client).__module__}."
        f"{type(client).__qualname__}{hint}"
    )
