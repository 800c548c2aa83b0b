"""Per-domain policy: retries for a flaky host, none for the others.

Both hosts are local ports that refuse connections; one of them opens after two attempts. Run it as
it is: ``python examples/per_domain.py``.
"""

import asyncio

import httpx

from typed_async_client import AsyncEvent, AsyncPoolTransport, EventType, ResilientTransport
from typed_async_client.testing import FaultServer, answer


async def main() -> None:
    """Send the same request to both hosts."""
    async with (
        FaultServer(answer(200, b"at last"), refusing=True) as flaky,
        FaultServer(answer(200, b"never"), refusing=True) as down,
    ):

        async def open_late(event: AsyncEvent) -> None:
            if event.event_type is EventType.RETRY and event.attempts == 2:
                await flaky.open()

        patient = ResilientTransport(max_retries=5, base_delay=0.05, on_event=open_late)
        mounts = {f"all://127.0.0.1:{flaky.port}": patient}
        async with httpx.AsyncClient(transport=AsyncPoolTransport(), mounts=mounts) as client:
            response = await client.get(flaky.url)
            history = response.extensions["typed_async_client.attempts"]
            print(f"flaky host: {response.text!r} after {history.attempts} attempts")
            try:
                await client.get(down.url)
            except httpx.ConnectError:
                print("other host: refused, not retried")


if __name__ == "__main__":
    asyncio.run(main())
