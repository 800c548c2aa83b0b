"""Transports for any httpx client: retries, HTTPS enforcement, ASGI, and other libraries below."""
