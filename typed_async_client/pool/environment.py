"""The proxies that the environment names, and the extras that options need.

Which proxy a URL gets follows the rules of httpx, so that a transport given to an httpx client sends
its requests where the client alone would have sent them. ``NO_PROXY`` is read more completely.
"""

import importlib
import ipaddress
import urllib.request
from collections.abc import Iterable, Mapping

import httpx

from typed_async_client.pool.no_proxy import NoProxy, split_entries
from typed_async_client.urls import as_proxy

__all__ = [
    "ProxyRules",
    "environment_exclusions",
    "environment_proxies",
    "require_http2",
    "require_socks",
]

_SOCKS_SCHEMES = ("socks5", "socks5h")
_LONGEST_CREDENTIAL = 255
_IPV4 = 4


class ProxyRules:
    """Chooses the proxy of a URL by the patterns of httpx's ``mounts``; the most specific wins.

    Args:
        proxies: a proxy for each pattern; None means no proxy.
        exclusions: URLs without a proxy, whatever the patterns say.

    Raises:
        ValueError: a proxy has an unknown scheme.
        httpx.InvalidURL: the URL of a proxy is invalid.
        ImportError: a SOCKS proxy needs an extra that isn't installed.
    """

    def __init__(
        self, proxies: Mapping[str, str | None], exclusions: NoProxy | None = None
    ) -> None:
        self._exclusions = exclusions
        rules = [(_Pattern(pattern), _proxy_at(proxy)) for pattern, proxy in proxies.items()]
        self._rules = sorted(rules, key=lambda rule: rule[0].priority)

    @classmethod
    def of_environment(cls, *, trust_env: bool = True) -> "ProxyRules":
        """Read the rules from the environment; there are none if it isn't trusted."""
        proxies = environment_proxies() if trust_env else {}
        return cls(proxies, environment_exclusions()) if any(proxies.values()) else cls({})

    @property
    def proxies(self) -> list[httpx.Proxy]:
        """Every proxy that some URL gets, in no particular order."""
        return [proxy for _, proxy in self._rules if proxy is not None]

    def proxy_for(self, url: httpx.URL) -> httpx.Proxy | None:
        """Return the proxy for a URL; None means that it is reached directly."""
        proxy = next((proxy for pattern, proxy in self._rules if pattern.matches(url)), None)
        if proxy is None or (self._exclusions is not None and self._exclusions.excludes(url)):
            return None
        return proxy


class _Pattern:
    """A pattern of ``mounts``: a scheme or ``all``, a host with or without a star, a port."""

    def __init__(self, pattern: str) -> None:
        url = httpx.URL(pattern)
        self._scheme = "" if url.scheme == "all" else url.scheme
        self._host = "" if url.host == "*" else url.host
        self._port = url.port

    @property
    def priority(self) -> tuple[bool, int, int]:
        """The sort key: a pattern with a port comes first, then the longest host and scheme."""
        return self._port is None, -len(self._host), -len(self._scheme)

    def matches(self, url: httpx.URL) -> bool:
        """Whether it applies to a URL."""
        return (
            self._scheme in ("", url.scheme)
            and self._port in (None, url.port)
            and self._matches_host(url.host)
        )

    def _matches_host(self, host: str) -> bool:
        """Whether a host matches: ``*.a.test`` is any subdomain, ``*a.test`` the domain too."""
        if not self._host.startswith("*"):
            return self._host in ("", host)
        domain = self._host.removeprefix("*").removeprefix(".")
        is_domain = host == domain and not self._host.startswith("*.")
        return is_domain or host.endswith(f".{domain}")


def environment_proxies() -> dict[str, str | None]:
    """Read ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, in upper or lower case.

    Returns:
        A proxy for each URL pattern, in the form that ``mounts`` takes; None means no proxy.
    """
    found = urllib.request.getproxies()
    proxies: dict[str, str | None] = {}
    for scheme in ("http", "https", "all"):
        if address := found.get(scheme):
            proxies[f"{scheme}://"] = address if "://" in address else f"http://{address}"
    exceptions = split_entries(found.get("no", ""))
    if "*" in exceptions:
        return {}
    patterns = [host for host in exceptions if host.isascii()]  # httpx refuses *bücher.test
    return proxies | {_pattern_of(host): None for host in patterns}


def environment_exclusions() -> NoProxy:
    """Read ``NO_PROXY``, some forms of which ``environment_proxies`` can't express."""
    return NoProxy(urllib.request.getproxies().get("no", ""))


def _pattern_of(host: str) -> str:
    """Return the URL pattern of one ``NO_PROXY`` entry; a host name includes its subdomains."""
    if "://" in host:
        return host
    if host.startswith(("[", "*.")) and "/" not in host and not host.endswith("]"):
        return f"all://{host}"
    try:
        address = ipaddress.ip_address(host.split("/", maxsplit=1)[0].strip("[]"))
    except ValueError:
        return f"all://{host}" if host.lower() == "localhost" else f"all://*{host}"
    # httpx can't parse an IPv6 address in brackets, or with a prefix length, and raises.
    return f"all://{host}" if address.version == _IPV4 else f"all://[{address}]"


def _proxy_at(address: str | None) -> httpx.Proxy | None:
    if address is None:
        return None
    proxy = as_proxy(address)
    require_socks([proxy])
    return proxy


def require_socks(proxies: Iterable[httpx.Proxy]) -> None:
    """Refuse a SOCKS proxy that can't be used, before any request is sent.

    Raises:
        ImportError: the extra ``socks`` isn't installed.
        ValueError: its user or password is too long, RFC 1929 section 2.
    """
    for proxy in proxies:
        if proxy.url.scheme in _SOCKS_SCHEMES:
            _require("socksio", "socks", f"a proxy with the scheme {proxy.url.scheme!r}")
            if max(map(len, proxy.raw_auth or (b"",))) > _LONGEST_CREDENTIAL:
                raise ValueError(
                    "the user and the password of a SOCKS proxy must have at most "
                    f"{_LONGEST_CREDENTIAL} bytes each"
                )


def require_http2(*, http2: bool) -> None:
    """Refuse ``http2=True`` without the extra that it needs, before any request is sent.

    Raises:
        ImportError: the extra ``http2`` isn't installed.
    """
    if http2:
        _require("h2", "http2", "http2=True")


def _require(module: str, extra: str, what: str) -> None:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:  # it is installed, but lacks a module of its own
            raise
        raise ImportError(
            f"{what} needs an extra: pip install 'typed-async-client[{extra}]'"
        ) from error
