"""The ways a resilient client comes by the client that it sends through."""

import contextlib
import dataclasses
import importlib.util
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncResilientClient

__all__ = ["BROUGHT", "WAYS", "Way"]


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """One way, with the library whose client sends.

    Attributes:
        name: the library's.
        is_brought: whether its client is made by the user.
    """

    name: str
    is_brought: bool = True

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
        return f"{self.name}, brought" if self.is_brought else "our own"


_WITHOUT_HTTPX2 = pytest.mark.skipif(
    importlib.util.find_spec("httpx2") is None, reason="httpx2 is not installed"
)

BROUGHT = (Way(httpx.__name__), pytest.param(Way("httpx2"), marks=_WITHOUT_HTTPX2))
"""Clients that are brought along."""

WAYS = (Way(httpx.__name__, is_brought=False), *BROUGHT)
"""And our own."""
