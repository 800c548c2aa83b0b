"""Finds the engine that a client names, and says what to install where it is missing."""

import importlib
from collections.abc import Callable
from typing import Any

import httpx

from typed_async_client.transports.backends.foreign import BackendOptions

__all__ = ["backend_maker"]

_ENGINES = {
    "aiohttp": "typed_async_client.transports.backends.aiohttp",
    "pyreqwest": "typed_async_client.transports.backends.pyreqwest",
}
"""Each is an extra of its name; its module is imported when it is asked for, not before."""


def backend_maker(name: str) -> Callable[[BackendOptions], httpx.AsyncBaseTransport]:
    """Give what makes a transport of the engine of that name.

    Raises:
        ValueError: there is no such engine.
        ImportError: its extra is not installed.
    """
    if name not in _ENGINES:
        raise ValueError(f"unknown transport {name!r}: use one of {', '.join(sorted(_ENGINES))}")
    try:
        module: Any = importlib.import_module(_ENGINES[name])
    except ModuleNotFoundError as error:
        raise ImportError(
            f"transport={name!r} needs an extra: pip install 'typed-async-client[{name}]'"
        ) from error
    maker: Callable[[BackendOptions], httpx.AsyncBaseTransport] = module.make_transport
    return maker
