"""The pool of a synchronous client: httpcore's, on connections that heed the deadline of a thread."""

import httpcore
import httpx

from typed_async_client.net.sync_backend import SyncDeadlineBackend
from typed_async_client.pool.proxies import as_httpcore_proxy
from typed_async_client.pool.transport import DEFAULT_LIMITS

__all__ = ["sync_pool"]


def sync_pool(*, proxy: httpx.Proxy | None, trust_env: bool) -> httpcore.ConnectionPool:
    """Make the pool that ``httpx.HTTPTransport`` would make, apart from its connections.

    Args:
        proxy: the proxy to connect through, without a TLS context of its own; None for none.
        trust_env: whether the environment names the certificates to trust.
    """
    return httpcore.ConnectionPool(
        ssl_context=httpx.create_ssl_context(trust_env=trust_env),
        proxy=None if proxy is None else as_httpcore_proxy(proxy),
        max_connections=DEFAULT_LIMITS.max_connections,
        max_keepalive_connections=DEFAULT_LIMITS.max_keepalive_connections,
        keepalive_expiry=DEFAULT_LIMITS.keepalive_expiry,
        network_backend=SyncDeadlineBackend(),
    )
