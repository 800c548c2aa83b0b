"""Network streams on asyncio: name resolution, address guards, sockets, TLS and read timeouts."""
