"""The reports that a warm-up is expected to return."""

from typed_async_client import WarmUpReport
from typed_async_client.testing import FaultServer

__all__ = ["report_of"]


def report_of(server: FaultServer, *, opened: int, missing: int = 0) -> WarmUpReport:
    """Return the report for a server without an error."""
    return WarmUpReport(origin=server.url.rstrip("/"), opened=opened, missing=missing)
