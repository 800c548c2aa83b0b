"""Where rate limits, circuits and retry budgets keep their state: in this process, or in Redis."""

from typed_async_client.stores.local import LocalStore, SyncLocalStore
from typed_async_client.stores.protocol import (
    Admission,
    Reservation,
    StateKey,
    StateStore,
    SyncStateStore,
    Withdrawal,
)
from typed_async_client.stores.redis import RedisStore
from typed_async_client.stores.redis_sync import SyncRedisStore

__all__ = [
    "Admission",
    "LocalStore",
    "RedisStore",
    "Reservation",
    "StateKey",
    "StateStore",
    "SyncLocalStore",
    "SyncRedisStore",
    "SyncStateStore",
    "Withdrawal",
]
