"""The connection pool, and the transport that makes it usable by any asynchronous httpx client."""
