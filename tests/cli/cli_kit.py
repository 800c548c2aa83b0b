"""What the tests of the command share: running it as users do, in a process of its own."""

import asyncio
import contextlib
import dataclasses
import os
import sys
from collections.abc import Awaitable, Callable

__all__ = ["Ended", "environment", "run_command", "without_timings"]

_PATIENCE = 60.0
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """What a process left behind."""

    code: int
    out: bytes
    err: str


def environment(**more: str) -> dict[str, str]:
    """Give this process's environment without proxies, so that loopback stays loopback."""
    kept = {name: value for name, value in os.environ.items() if name.upper() not in _PROXIES}
    return kept | more


async def run_command(
    *words: str,
    options: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    meanwhile: Callable[[asyncio.subprocess.Process], Awaitable[None]] | None = None,
) -> Ended:
    """Run ``python *options -m typed_async_client.cli *words`` to its end.

    ``meanwhile`` runs beside it and may send it a signal.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *options,
        "-m",
        "typed_async_client.cli",
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment() if env is None else env,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            if meanwhile is not None:
                await meanwhile(process)
            out, err = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
            await process.wait()
    return Ended(process.returncode or 0, out, err.decode())


def without_timings(report: str) -> list[str]:
    """Give the lines of a demo's report that must not differ from run to run."""
    return [line.rstrip() for line in report.splitlines() if not line.startswith(" seconds")]
