"""What a client does about its connections besides sending: it opens them early, and reports on them."""

from collections.abc import Iterable

import httpx

from typed_async_client.httpx_client.health import ClientHealth, health_of
from typed_async_client.httpx_client.warm_up import warm_up
from typed_async_client.pool.warm_up import WarmUpReport
from typed_async_client.submitting import Submitting

__all__ = ["Upkeep"]


class Upkeep(Submitting):
    """The part of a client that looks after its connections."""

    async def warm_up(
        self, urls: Iterable[httpx.URL | str], *, connections: int = 1
    ) -> list[WarmUpReport]:
        """Open connections before they are needed, so that the first requests don't wait for them.

        Names are resolved, connections and tunnels through proxies established, and TLS handshakes
        performed, for all origins at the same time, each within the client's connect timeout. No
        request is sent. The connections stay idle in the pool until a request uses them, for as
        long as ``limits=httpx.Limits(keepalive_expiry=...)`` says, which is 5 s by default.

        Nothing that fails is raised: it is in the report. None of the connections exceeds the
        pool's limits, or takes the place of another one. Nothing is opened while a tool has patched
        the transports of httpx, as mocks do.

        Args:
            urls: one URL of each origin, absolute or relative to ``base_url``; only scheme, host and
                port count.
            connections: how many idle connections each origin should have, >= 1; those that it has
                already count. An origin that speaks HTTP/2 gets one.

        Returns:
            A report for each origin, in the order of the URLs.

        Raises:
            TypeError: ``urls`` isn't a collection of URLs; or a URL is served by something else than
                our own pool, such as another backend or a transport that wraps the pool.
            ValueError: ``connections`` isn't an integer >= 1.
            httpx.InvalidURL: a URL is invalid.
            httpx.UnsupportedProtocol: the scheme of a URL isn't supported; nothing was opened.
            RuntimeError: the client is closed, or belongs to another loop, thread or process.

        Example:
            >>> async def main() -> None:
            ...     async with AsyncResilientClient() as client:
            ...         for report in await client.warm_up(["https://example.org/"]):
            ...             print(report.origin, report.opened, report.error)
        """
        await self._initialize_client()
        return await warm_up(self._client, urls, connections)

    def health(self) -> ClientHealth:
        """Return whether the client can do its work, as a value for a health check.

        Nothing is sent and nothing is waited for; it may be called from any thread, and after the
        client was closed.
        """
        return health_of(self._engine, self._client)
