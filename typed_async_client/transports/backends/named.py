"""Looks up a backend by name, and says what to install if it is missing."""

import importlib
from collections.abc import Callable
from typing import Any

import httpx

from typed_async_client.transports.backends.foreign import BackendOptions

__all__ = ["backend_maker"]

_MODULES = {
    "aiohttp": "typed_async_client.transports.backends.aiohttp",
    "pyreqwest": "typed_async_client.transports.backends.pyreqwest",
}
"""The module of each backend, imported lazily because each one needs the extra of its name."""

_PACKAGES = {"aiohttp": ("aiohttp", "httpx_aiohttp"), "pyreqwest": ("pyreqwest",)}
"""What each extra installs."""


def backend_maker(name: str) -> Callable[[BackendOptions], httpx.AsyncBaseTransport]:
    """Return the function that makes a transport on the named backend.

    Raises:
        ValueError: there is no such backend.
        ImportError: its extra isn't installed, or is but can't be imported; in that case the
            error is the original one, which names what is missing.
    """
    if name not in _MODULES:
        raise ValueError(f"unknown transport {name!r}: use one of {', '.join(sorted(_MODULES))}")
    try:
        module: Any = importlib.import_module(_MODULES[name])
    except ModuleNotFoundError as error:
        if error.name not in _PACKAGES[name]:
            raise
        raise ImportError(
            f"transport={name!r} needs an extra: pip install 'typed-async-client[{name}]'"
        ) from error
    maker: Callable[[BackendOptions], httpx.AsyncBaseTransport] = module.make_transport
    return maker
