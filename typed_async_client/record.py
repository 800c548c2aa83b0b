"""What the events and the result of a request say about it: its method, URL and origin.

Most requests succeed without anybody looking, so a URL is parsed and redacted on first access.
"""

import functools
import re
from typing import Any

import httpx

from typed_async_client.redact import one_line

__all__ = ["RequestRecord"]

_HOST = re.compile(r"[^/?#]*//(?:[^/?#]*@)?(\[[^/?#\]]*\]|[^/?#:]*)(?::\d*)?(?![^/?#])")
"""The host of an absolute URL (RFC 3986, section 3.2); no match if the port is invalid."""

_MAX_CACHED = 300
"""Characters of the longest start of a URL that is cached with its name."""


def _name_for(method: str, start: str) -> str:
    """Return a method and the host of a URL, which may be cut off at its path; empty without one."""
    matched = _HOST.match(start)
    return f"{method} {matched[1]}" if matched and matched[1] else ""


_cached_name = functools.lru_cache(_name_for)


_MAY_NOT_BE_CACHED = re.compile(r"[@?#\\\s]")
"""What ends the host of a URL in another way than its path does, or comes before it."""


@functools.lru_cache(maxsize=1024)
def _cached_origin(start: str) -> str:
    """Return the origin of a URL without path; parsing it takes longer than the rest of a request."""
    return _described(start, None, None, None)[1]


class RequestRecord:
    """The method and the URL of a request, as they were asked for, before any redirect.

    User names, passwords and signed or secret query values are replaced by ``REDACTED``.

    Args:
        method: the method, in upper case.
        url: the URL as the caller passed it, which may be relative to the base URL.
        params: the query parameters passed with the request; None for none.
        client: an httpx client, whose base URL and query parameters apply.

    Attributes:
        method: the method.
        resends: how often the pool has sent the request a second time so far, because its reused
            connection was lost before any answer.

    Example:
        >>> RequestRecord("GET", "https://ann:pw@example.org/a?page=2").url
        'https://REDACTED:REDACTED@example.org/a?page=2'
    """

    __slots__ = ("_base_url", "_defaults", "_params", "_parsed", "_url", "method", "resends")

    def __init__(
        self, method: str, url: httpx.URL | str, params: Any = None, client: Any = None
    ) -> None:
        self.method: str = method
        self.resends: int = 0
        self._url: Any = url
        self._params = params
        is_absolute = type(url) is str and url.startswith(("http://", "https://"))
        self._base_url = None if is_absolute else getattr(client, "base_url", None)
        self._defaults = getattr(client, "params", None) or None
        self._parsed: tuple[str, str] | None = None

    def clone(self) -> "RequestRecord":
        """Return an equal record, which can be changed without affecting the request."""
        clone = object.__new__(RequestRecord)
        for name in self.__slots__:
            setattr(clone, name, getattr(self, name))
        return clone

    @property
    def url(self) -> str:
        """The absolute URL, redacted; as the caller passed it, redacted, if it is invalid."""
        return self._resolve()[0]

    @property
    def origin(self) -> str:
        """Scheme, host, and port if it isn't the default; empty if the URL is invalid."""
        if self._parsed is None and self._base_url is None and type(self._url) is str:
            end = self._url.find("/", len("https://"))
            start = self._url if end < 0 else self._url[:end]
            if len(start) <= _MAX_CACHED and not _MAY_NOT_BE_CACHED.search(start):
                return _cached_origin(start)
        return self._resolve()[1]

    @property
    def name(self) -> str:
        """The method and the host, to name the request's task."""
        url = self._url if type(self._url) is str else str(self._url)
        end = url.find("/", len("https://"))
        start = url if end < 0 else url[:end]
        name = (_cached_name if len(start) <= _MAX_CACHED else _name_for)(self.method, start)
        return name or f"{self.method} {getattr(self._base_url, 'host', '')}".rstrip()

    @property
    def compact(self) -> "RequestRecord | str":
        """The URL itself if nothing is merged with it, else this record.

        Results are kept by the thousand, and the garbage collector doesn't traverse strings.
        """
        is_alone = not (self._params or self._defaults) and self._base_url is None
        return self._url if is_alone and type(self._url) is str else self

    def _resolve(self) -> tuple[str, str]:
        if self._parsed is None:
            self._parsed = _described(self._url, self._params, self._base_url, self._defaults)
        return self._parsed

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RequestRecord):
            return NotImplemented
        return (self.method, *self._resolve()) == (other.method, *other._resolve())

    def __hash__(self) -> int:
        return hash((self.method, *self._resolve()))

    def __repr__(self) -> str:
        return f"RequestRecord({self.method!r}, {self.url!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.method, self.url), {"resends": self.resends}

    def __setstate__(self, state: dict[str, int]) -> None:
        self.resends = state["resends"]


def _described(url: Any, params: Any, base_url: Any, defaults: Any) -> tuple[str, str]:
    """Return the URL, redacted, and the origin that a request asks for."""
    try:
        target = _merged(url, params, base_url, defaults)
        if not target.host:  # it can't be requested, and may be a URL without its slashes
            return _censored(str(target)), ""
        return one_line(str(target)), _origin(target)
    except Exception:  # noqa: BLE001 - the request fails with the right error; this only names it
        return _censored(str(url)), ""


def _merged(url: Any, params: Any, base_url: Any, defaults: Any) -> httpx.URL:
    """Merge a URL with the base URL and the query parameters, as httpx's client does."""
    target = httpx.URL(str(url))
    base = httpx.URL(str(base_url or ""))
    if target.is_relative_url and base.is_absolute_url:
        target = base.copy_with(raw_path=base.raw_path + target.raw_path.lstrip(b"/"))
    if params or defaults:
        return target.copy_with(params=_query(defaults).merge(_query(params)))
    return target


def _query(params: Any) -> httpx.QueryParams:
    is_foreign = not isinstance(params, str | bytes | dict | list | tuple | None)
    return httpx.QueryParams(str(params) if is_foreign else params)


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}" if url.is_absolute_url else ""


_MAX_INVALID = 200
"""Characters shown of a URL that is invalid; those that httpx accepts have at most 65,536."""


def _censored(url: str) -> str:
    """Redact a URL that can't be parsed: anything before an ``@`` may be a password."""
    _, at, rest = "%20".join(url.split()).rpartition("@")
    return one_line(f"REDACTED@{rest}" if at else rest)[:_MAX_INVALID]
