"""The ways a resilient client comes by the client that it sends through."""

import contextlib
import dataclasses
import importlib
import importlib.util
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest

from typed_async_client import AsyncResilientClient

__all__ = ["BROUGHT", "ENGINES", "WAYS", "Way"]


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """One way, with the library whose client sends.

    Attributes:
        name: the library's.
        is_brought: whether its client is made by the user.
        engine: name of the library that our own client sends through; None for our pool.
    """

    name: str
    is_brought: bool = True
    engine: str | None = None

    @property
    def library(self) -> ModuleType:
        """The library itself."""
        return importlib.import_module(self.name)

    @contextlib.asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[AsyncResilientClient]:
        """Make a resilient client over one that has these options; an application serves too."""
        served = options.get("transport")
        if callable(served):
            options["transport"] = self.library.MockTransport(served)
        if self.engine is not None:
            options["transport"] = self.engine
        if self.is_brought:
            async with (
                self.library.AsyncClient(**options) as theirs,
                AsyncResilientClient(http_client=theirs) as client,
            ):
                yield client
        else:
            async with AsyncResilientClient(**options) as client:
                yield client

    def __str__(self) -> str:
        return f"{self.name}, brought" if self.is_brought else self.engine or "our own"


def _where_installed(way: Way, package: str) -> Any:
    is_missing = importlib.util.find_spec(package) is None
    return pytest.param(
        way, marks=pytest.mark.skipif(is_missing, reason=f"{package} is not installed")
    )


BROUGHT = (Way("httpx"), _where_installed(Way("httpx2"), "httpx2"))
"""Clients that are brought along."""

WAYS = (Way("httpx", is_brought=False), *BROUGHT)
"""And our own."""

ENGINES = (
    _where_installed(Way("httpx", is_brought=False, engine="aiohttp"), "httpx_aiohttp"),
    _where_installed(Way("httpx", is_brought=False, engine="pyreqwest"), "pyreqwest"),
)
"""Our own over the engines of other libraries."""
