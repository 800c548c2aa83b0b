"""Builds errors of httpx: out of those of the libraries below it, and for an attempt that took too long.

What an error means for the request is decided in ``facts.py``.
"""

import ssl
import sys
from collections.abc import Iterator
from typing import Any

import h11
import httpcore
import httpx

from typed_async_client.libraries import is_error_of_h2, is_from
from typed_async_client.wording import explanation_of

__all__ = ["as_httpx_error", "map_httpcore_error", "timeout_error"]

_HTTPCORE_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)

_UNTRANSLATED: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (ssl.SSLError, httpx.ReadError),
    (h11.LocalProtocolError, httpx.LocalProtocolError),
    (h11.RemoteProtocolError, httpx.RemoteProtocolError),
)
"""Errors of other libraries that httpx 0.28 doesn't translate, and the httpx errors they become."""


def map_httpcore_error(error: Exception) -> Exception:
    """Return httpx's equivalent of an httpcore error; any other error is returned unchanged."""
    if not isinstance(error, _HTTPCORE_ERRORS):
        return error
    for kind in type(error).__mro__:
        equivalent = getattr(httpx, kind.__name__, None)
        if isinstance(equivalent, type) and issubclass(equivalent, httpx.TransportError):
            mapped: Exception = equivalent(explanation_of(error) or str(error))
            return mapped
    return error


def as_httpx_error(error: Exception) -> Exception:
    """Return the error that the caller sees for an exception raised by an attempt.

    An error of httpx, of httpcore or of the caller's code is returned unchanged. A raw error of
    ssl, h11 or h2, or a group of connect failures, becomes the corresponding httpx error, with the
    original as its cause.
    """
    kind = _httpx_class(error)
    if kind is None:
        return error
    first = next(_leaves(error))
    translated = kind(explanation_of(first) or str(first) or type(first).__name__)
    translated.__cause__ = error
    return translated


def timeout_error(message: str, request: Any, *, client: object, is_connected: bool) -> Exception:
    """Return the error of an attempt that took longer than it may.

    Args:
        message: what happened.
        request: its request; None if unknown.
        client: the client that made it: one of httpx2 raises errors of httpx2.
        is_connected: whether it had got a connection.
    """
    library: Any = sys.modules["httpx2"] if is_from(client, "httpx2") else httpx
    kind = library.ReadTimeout if is_connected else library.ConnectTimeout
    error: Exception = kind(message, request=request)
    return error


def _httpx_class(error: Exception) -> type[httpx.TransportError] | None:
    """Return the httpx error class to translate ``error`` to; None to leave it unchanged."""
    for raw, translated in _UNTRANSLATED:
        if isinstance(error, raw):
            return translated
    if is_error_of_h2(error):
        return httpx.RemoteProtocolError
    if is_from(error, "socksio"):
        return httpx.ProxyError
    if isinstance(error, ExceptionGroup):
        failed_to_connect = all(
            isinstance(leaf, OSError | OverflowError) for leaf in _leaves(error)
        )
        return httpx.ConnectError if failed_to_connect else None
    return None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors in a group and its nested groups, or just ``error`` if it isn't a group."""
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _leaves(member)
    else:
        yield error
