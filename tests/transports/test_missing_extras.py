"""What an option needs is checked when a client or a transport is made, not request by request."""

import importlib
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    DnsCache,
    HSTSTransport,
    HTTPSOnlyTransport,
    ResilientTransport,
    create_async_resilient_client,
)

SOCKS = "socks5://ann:s3cret@127.0.0.1:1080"

WITH_PROXY: list[Callable[[str], Any]] = [
    lambda url: AsyncResilientClient(proxy=url),
    lambda url: AsyncResilientClient(proxy=httpx.Proxy(url)),
    lambda url: create_async_resilient_client(proxy=url),
    lambda url: AsyncPoolTransport(proxy=url),
]

FROM_ENVIRONMENT: list[Callable[[], Any]] = [
    AsyncResilientClient,
    AsyncPoolTransport,
    ResilientTransport,
    HSTSTransport,
    HTTPSOnlyTransport,
]


@pytest.mark.parametrize("make", WITH_PROXY)
@pytest.mark.parametrize("url", [SOCKS, SOCKS.replace("socks5", "socks5h")])
def test_a_socks_proxy_without_its_extra_is_refused(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[str], Any], url: str
) -> None:
    """The message names the extra, and no secret."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(ImportError, match=r"pip install 'typed-async-client\[socks\]'") as raised:
        make(url)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("make", FROM_ENVIRONMENT)
def test_so_is_one_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any]
) -> None:
    """Synchronous transports included, which are made with the first request."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", SOCKS)
    with pytest.raises(ImportError, match=r"typed-async-client\[socks\]"):
        make()


@pytest.mark.parametrize("make", WITH_PROXY)
@pytest.mark.parametrize("user", ["u" * 256, "ann:" + "s3cret" * 50])
def test_credentials_that_socks_cannot_carry_are_refused(
    make: Callable[[str], Any], user: str
) -> None:
    """Each has its length in one byte; the message doesn't quote them."""
    with pytest.raises(ValueError, match="at most 255 bytes each") as raised:
        make(f"socks5://{user}@127.0.0.1:1080")
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("make", [AsyncResilientClient, AsyncPoolTransport])
def test_http2_without_its_extra_is_refused(
    monkeypatch: pytest.MonkeyPatch, make: Callable[..., Any]
) -> None:
    """The extra is ours, not httpx's."""
    monkeypatch.setitem(sys.modules, "h2", None)
    with pytest.raises(ImportError, match=r"http2=True.*typed-async-client\[http2\]"):
        make(http2=True)
    make(http2=False)


def test_a_backend_with_an_http2_of_its_own_does_not_need_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pyreqwest brings Rust's."""
    pytest.importorskip("pyreqwest", reason="pyreqwest is not installed")
    monkeypatch.setitem(sys.modules, "h2", None)
    assert AsyncResilientClient(transport="pyreqwest", http2=True).is_closed is False


@pytest.mark.parametrize(("extra", "package"), [("http2", "h2"), ("aiohttp", "aiohttp")])
def test_a_module_that_an_installed_package_misses_is_named(
    monkeypatch: pytest.MonkeyPatch, extra: str, package: str
) -> None:
    """Installing the extra again wouldn't help."""
    original = importlib.import_module

    def broken(name: str, *args: Any) -> Any:
        if name.rpartition(".")[2] == package:
            raise ModuleNotFoundError("No module named 'multidict'", name="multidict")
        return original(name, *args)

    monkeypatch.setattr(importlib, "import_module", broken)
    options: Any = {"http2": True} if extra == "http2" else {"transport": extra}
    with pytest.raises(ModuleNotFoundError, match="'multidict'"):
        AsyncResilientClient(**options)


LIMITS: list[tuple[Any, str]] = [
    (AsyncPoolTransport(), r"AsyncPoolTransport.*pass limits=httpx\.Limits\(max_connections=5\)"),
    (None, r"pass AsyncPoolTransport\(limits=httpx\.Limits\(max_connections=5\)\)"),
    (httpx.MockTransport(lambda _: httpx.Response(200)), "the MockTransport itself"),
    ("aiohttp", "transport='aiohttp' does not support max_connections=5"),
]


@pytest.mark.parametrize(("transport", "words"), LIMITS)
def test_a_limit_that_does_not_apply_is_refused_with_the_one_that_does(
    transport: Any, words: str
) -> None:
    """Our pool is an ``httpx.AsyncHTTPTransport`` too, so naming that class wouldn't help."""
    with pytest.raises(ValueError, match=words):
        ResilientTransport(transport, max_connections=5)


REFUSED_RESENDS: list[tuple[Callable[[], Any], str]] = [
    (lambda: AsyncResilientClient(transport="aiohttp", resend_on_closed=False), "'aiohttp' does"),
    (
        lambda: AsyncResilientClient(transport=AsyncPoolTransport(), resend_on_closed=False),
        "pass it to AsyncPoolTransport",
    ),
    (
        lambda: AsyncResilientClient(http_client=httpx.AsyncClient(), resend_on_closed=False),
        r"give http_client transport=AsyncPoolTransport\(resend_on_closed=",
    ),
    (lambda: ResilientTransport("aiohttp", resend_on_closed=False), "'aiohttp' does not support"),
    (
        lambda: ResilientTransport(AsyncPoolTransport(), resend_on_closed=False),
        "resend_on_closed=False is for the default transport",
    ),
]


REFUSED_POOL_OPTIONS: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: AsyncResilientClient(transport="aiohttp", force_close=True),
        "'aiohttp' does not support force_close.*max_keepalive_connections=0",
    ),
    (
        lambda: AsyncResilientClient(transport="pyreqwest", dns_cache=DnsCache()),
        "'pyreqwest' does not support dns_cache: the library resolves names itself",
    ),
    (
        lambda: AsyncResilientClient(transport=AsyncPoolTransport(), dns_cache=DnsCache()),
        "dns_cache is for the pool that the client makes.*pass it to AsyncPoolTransport",
    ),
    (
        lambda: AsyncResilientClient(transport=AsyncPoolTransport(), force_close=True),
        "force_close is for the pool that the client makes",
    ),
    (
        lambda: AsyncResilientClient(http_client=httpx.AsyncClient(), dns_cache=DnsCache()),
        r"give http_client transport=AsyncPoolTransport\(dns_cache=\.\.\.\) instead",
    ),
    (
        lambda: AsyncResilientClient(http_client=httpx.AsyncClient(), force_close=True),
        r"give http_client transport=AsyncPoolTransport\(force_close=",
    ),
]


@pytest.mark.parametrize(("make", "words"), REFUSED_POOL_OPTIONS)
def test_an_option_of_our_pool_is_refused_for_another_transport(
    make: Callable[[], Any], words: str
) -> None:
    """The message says where the option belongs, or what does the same."""
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(("make", "words"), REFUSED_RESENDS)
def test_switching_resends_off_where_that_has_no_effect_is_refused(
    make: Callable[[], Any], words: str
) -> None:
    """The message says where the option belongs."""
    with pytest.raises(ValueError, match=words):
        make()
