"""Shared by the tests of the command: runs it as users do, in a separate process."""

import asyncio
import contextlib
import dataclasses
import os
import sys
from collections.abc import Awaitable, Callable

__all__ = ["Completed", "environment", "run_command", "without_timings"]

_TIMEOUT = 60.0
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}


@dataclasses.dataclass(frozen=True, slots=True)
class Completed:
    """The exit code and the output of a process."""

    code: int
    out: bytes
    err: str


def environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without proxies, so that loopback is reached directly."""
    kept = {name: value for name, value in os.environ.items() if name.upper() not in _PROXIES}
    return kept | extra


async def run_command(
    *arguments: str,
    options: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    meanwhile: Callable[[asyncio.subprocess.Process], Awaitable[None]] | None = None,
) -> Completed:
    """Run ``python *options -m typed_async_client.cli *arguments`` until it exits.

    ``meanwhile`` runs concurrently, and may send it a signal.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *options,
        "-m",
        "typed_async_client.cli",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment() if env is None else env,
    )
    try:
        async with asyncio.timeout(_TIMEOUT):
            if meanwhile is not None:
                await meanwhile(process)
            out, err = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
            await process.wait()
    return Completed(process.returncode or 0, out, err.decode())


def without_timings(report: str) -> list[str]:
    """Return the lines of a demo's report that must be the same in every run."""
    return [line.rstrip() for line in report.splitlines() if not line.startswith(" seconds")]
