"""Resolves names to addresses that a test chooses."""

import socket
from collections.abc import Mapping
from typing import Any

import pytest

__all__ = ["resolve_to"]


def resolve_to(monkeypatch: pytest.MonkeyPatch, names: Mapping[str, list[str]]) -> list[str]:
    """Resolve each name to its addresses, in order; return the list of names looked up."""
    lookups: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: Any, *args: Any, **kwargs: Any) -> list[Any]:
        lookups.append(host)
        addresses = names.get(host, [host])
        return [entry for address in addresses for entry in real(address, *args, **kwargs)]

    monkeypatch.setattr("typed_async_client.net.dns.socket.getaddrinfo", look_up)
    return lookups
