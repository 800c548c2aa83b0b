"""The connection pool, and the transport that lets any async httpx client use it."""
