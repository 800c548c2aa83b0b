"""The clients and backends that a resilient client can use."""

import contextlib
import dataclasses
import importlib
import importlib.util
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest

from typed_async_client import AsyncResilientClient

__all__ = ["ALL_CLIENTS", "BACKENDS", "EXTERNAL", "ClientSetup"]


@dataclasses.dataclass(frozen=True, slots=True)
class ClientSetup:
    """A combination of client and backend to run tests with.

    Attributes:
        name: the library of the client, its responses and its errors.
        is_external: whether the client is created by the user.
        backend: the backend of our client; None for our pool.
    """

    name: str
    is_external: bool = True
    backend: str | None = None

    @property
    def library(self) -> ModuleType:
        """The imported library."""
        return importlib.import_module(self.name)

    @contextlib.asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[AsyncResilientClient]:
        """Create a resilient client with options of httpx; ``transport`` may be a handler."""
        transport = options.get("transport")
        if callable(transport):
            options["transport"] = self.library.MockTransport(transport)
        if self.backend is not None:
            options["transport"] = self.backend
        if self.is_external:
            async with (
                self.library.AsyncClient(**options) as external,
                AsyncResilientClient(http_client=external) as client,
            ):
                yield client
        else:
            async with AsyncResilientClient(**options) as client:
                yield client

    def __str__(self) -> str:
        return f"external {self.name}" if self.is_external else self.backend or "our own"


def _if_installed(setup: ClientSetup, package: str) -> Any:
    is_missing = importlib.util.find_spec(package) is None
    return pytest.param(
        setup, marks=pytest.mark.skipif(is_missing, reason=f"{package} is not installed")
    )


EXTERNAL = (ClientSetup("httpx"), _if_installed(ClientSetup("httpx2"), "httpx2"))
"""External clients."""

ALL_CLIENTS = (ClientSetup("httpx", is_external=False), *EXTERNAL)
"""External clients and our own."""

BACKENDS = (
    _if_installed(ClientSetup("httpx", is_external=False, backend="aiohttp"), "httpx_aiohttp"),
    _if_installed(ClientSetup("httpx", is_external=False, backend="pyreqwest"), "pyreqwest"),
)
"""Our own client with each backend."""
