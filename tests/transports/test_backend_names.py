"""Backends by name: which exist, what they need, and which options they don't support."""

import importlib.util
import ssl
import sys
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncResilientClient

PACKAGES = {"aiohttp": "httpx_aiohttp", "pyreqwest": "pyreqwest"}


def test_an_unknown_name_raises_an_error_that_lists_the_known_ones() -> None:
    """The message is enough to fix the mistake."""
    with pytest.raises(ValueError, match="unknown transport 'curl': use one of aiohttp, pyreqwest"):
        AsyncResilientClient(transport="curl")  # type: ignore[arg-type]  # it is unknown


@pytest.mark.parametrize("name", PACKAGES)
def test_a_missing_package_raises_an_error_that_names_the_extra(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has the command to run."""
    monkeypatch.setitem(sys.modules, PACKAGES[name], None)
    monkeypatch.delitem(
        sys.modules, f"typed_async_client.transports.backends.{name}", raising=False
    )
    with pytest.raises(ImportError, match=rf"pip install 'typed-async-client\[{name}\]'"):
        AsyncResilientClient(transport=name)  # type: ignore[arg-type]  # it is one of the names


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("aiohttp", {"http2": True}, "http2=True"),
    ("aiohttp", {"http1": False}, "http1=False"),
    ("aiohttp", {"proxy": "socks5://127.0.0.1:1"}, "scheme 'socks5'"),
    ("aiohttp", {"proxy": httpx.Proxy("http://a.test", headers={"A": "b"})}, "headers"),
    ("pyreqwest", {"http1": False}, "http1=False without http2=True"),
    ("pyreqwest", {"verify": ssl.create_default_context()}, "verify="),
    ("pyreqwest", {"verify": "/"}, "verify='/'"),
    ("pyreqwest", {"cert": ("a.pem", "b.pem", "secret")}, "a cert with a password"),
    (
        "pyreqwest",
        {"proxy": httpx.Proxy("https://a.test", ssl_context=ssl.create_default_context())},
        "ssl_context of a proxy",
    ),
    *(
        (name, {"limits": httpx.Limits(max_connections=9, max_keepalive_connections=5)}, "=5: ")
        for name in PACKAGES
    ),
]


@pytest.mark.parametrize(
    ("name", "options", "words"), REFUSED, ids=[f"{name}, {words}" for name, _, words in REFUSED]
)
def test_an_option_that_a_backend_does_not_support_raises(
    name: Any, options: dict[str, Any], words: str
) -> None:
    """No option is silently ignored."""
    if importlib.util.find_spec(PACKAGES[name]) is None:
        pytest.skip(f"{PACKAGES[name]} is not installed")
    with pytest.raises(ValueError, match=f"transport='{name}' does not support") as raised:
        AsyncResilientClient(transport=name, **options)
    assert words in str(raised.value)


def test_pyreqwest_cannot_ignore_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It always reads the certificates that the environment specifies."""
    pytest.importorskip("pyreqwest", reason="pyreqwest is not installed")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    with pytest.raises(ValueError, match="trust_env=False: it always reads SSL_CERT_FILE"):
        AsyncResilientClient(transport="pyreqwest", trust_env=False)
