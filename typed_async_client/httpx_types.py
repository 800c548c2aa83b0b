"""Types of httpx's arguments, in terms of its public classes; httpx's own aliases are private.

``UseClientDefault``, the class of ``httpx.USE_CLIENT_DEFAULT``, has no public name.
"""

from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from http.cookiejar import CookieJar
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeAlias

import httpx

if TYPE_CHECKING:
    from httpx._client import UseClientDefault
else:
    UseClientDefault = type(httpx.USE_CLIENT_DEFAULT)

__all__ = [
    "AuthTypes",
    "CertTypes",
    "CookieTypes",
    "HeaderTypes",
    "ProxyTypes",
    "QueryParamTypes",
    "RequestContent",
    "RequestData",
    "RequestExtensions",
    "RequestFiles",
    "TimeoutTypes",
    "UseClientDefault",
]


class _Readable(Protocol):
    """A binary file, or what is read like one."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; none at its end."""


_Primitive: TypeAlias = str | int | float | bool | None
_Seconds: TypeAlias = float | None
_FileContent: TypeAlias = IO[bytes] | bytes | str | Path
_File: TypeAlias = (
    _FileContent
    | tuple[str | None, _FileContent]
    | tuple[str | None, _FileContent, str | None]
    | tuple[str | None, _FileContent, str | None, Mapping[str, str]]
)

AuthTypes: TypeAlias = (
    tuple[str | bytes, str | bytes] | Callable[[httpx.Request], httpx.Request] | httpx.Auth
)
CertTypes: TypeAlias = str | tuple[str, str] | tuple[str, str, str]
CookieTypes: TypeAlias = httpx.Cookies | CookieJar | dict[str, str] | list[tuple[str, str]]
HeaderTypes: TypeAlias = (
    httpx.Headers
    | Mapping[str, str]
    | Mapping[bytes, bytes]
    | Sequence[tuple[str, str]]
    | Sequence[tuple[bytes, bytes]]
)
ProxyTypes: TypeAlias = httpx.URL | str | httpx.Proxy
QueryParamTypes: TypeAlias = (
    httpx.QueryParams
    | Mapping[str, _Primitive | Sequence[_Primitive]]
    | list[tuple[str, _Primitive]]
    | tuple[tuple[str, _Primitive], ...]
    | str
    | bytes
)
RequestContent: TypeAlias = (
    str
    | bytes
    | bytearray
    | memoryview
    | _Readable
    | Iterable[bytes | bytearray | memoryview]
    | AsyncIterable[bytes | bytearray | memoryview]
)
RequestData: TypeAlias = Mapping[str, Any]
RequestExtensions: TypeAlias = Mapping[str, Any]
RequestFiles: TypeAlias = Mapping[str, _File] | Sequence[tuple[str, _File]]
TimeoutTypes: TypeAlias = _Seconds | tuple[_Seconds, _Seconds, _Seconds, _Seconds] | httpx.Timeout
