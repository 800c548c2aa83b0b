"""Gives the errors of other transports a message: the method, the server, the limit, and the reason.

Our own pool words its errors itself, because it knows the proxy and the phase.
"""

from typing import Any, TypeVar

import httpx

from typed_async_client.errors import ConnectError
from typed_async_client.libraries import is_fork_instance
from typed_async_client.reasons import (
    failure_reason,
    hide_header_value,
    is_from_the_wire,
    says_nothing,
)
from typed_async_client.urls import INVALID_USERINFO
from typed_async_client.wording import describe_failure, format_server

__all__ = ["explain_connect_failure", "with_message", "without_userinfo"]

_E = TypeVar("_E", bound=Exception)

_LIMITS = ("connect", "read", "write", "pool")
"""The timeouts of a request. The error of each has a class named after it."""

_TLS_SCHEMES = ("https", "wss")


def with_message(
    error: _E,
    request: httpx.Request | None,
    *,
    in_body: bool = False,
    limit: float | None = None,
) -> _E:
    """Return a network error whose message says which request failed, where and why.

    The errors of httpx's own transports have messages such as "timed out", or none at all. The
    error returned instead has the same class, cause and request. The original isn't changed: a mock
    may raise it many times. An error that somebody else worded is returned as it is.

    Args:
        error: the error that an attempt ended with.
        request: the request of that attempt; None if unknown.
        in_body: whether the head of the response had been read.
        limit: the timeout in seconds that expired; None means the request's own.
    """
    if type(error).__name__ == "LocalProtocolError":
        hide_header_value(error)
    if not (says_nothing(error) or _needs_more(error, request)):
        return error
    details = {} if request is None else _details_of(error, request, limit)
    message = describe_failure(type(error), phase="body" if in_body else "head", **details)
    if not message:
        return error
    clone: _E = Exception.__new__(type(error), message)
    vars(clone).update(vars(error))
    clone.__cause__, clone.__context__ = error.__cause__, error.__context__
    clone.__suppress_context__ = error.__suppress_context__
    return clone.with_traceback(error.__traceback__)


def explain_connect_failure(error: Exception, request: httpx.Request | None) -> str:
    """Describe why the connection couldn't be established, in the operating system's words.

    The message names the host and port if the request is known, and no other part of the URL.
    """
    server = "" if request is None else _server_of(request)
    if server and f"cannot connect to {server}" in str(error):  # it has been described
        return str(error)
    over_tls = request is not None and request.url.scheme in _TLS_SCHEMES
    reason = failure_reason(error, over_tls=over_tls)
    if request is None:
        return reason or "no connection"
    return describe_failure(httpx.ConnectError, method=request.method, server=server, reason=reason)


def without_userinfo(error: Exception, url: str) -> Exception:
    """Return the error of an invalid URL without a quote from it; any other error as it is.

    An external client raises httpx's own error, which may quote a piece of a password.

    Args:
        error: the error that an attempt ended with.
        url: the URL of the request, redacted; an ``@`` tells that it has a user name.
    """
    is_invalid = isinstance(error, httpx.InvalidURL) or is_fork_instance(error, "InvalidURL")
    return type(error)(INVALID_USERINFO) if is_invalid and "@" in url else error


def _needs_more(error: Exception, request: httpx.Request | None) -> bool:
    """Whether an error has the words of a library, which doesn't name the request."""
    is_worded = isinstance(error, ConnectError) or type(error).__name__ == "UnsupportedProtocol"
    if request is None or is_worded or not is_from_the_wire(error):
        return False
    return not str(error).startswith(f"{request.method}: ")


def _server_of(request: httpx.Request) -> str:
    url = request.url
    return format_server(url.scheme, url.raw_host.decode("ascii", "replace"), url.port)


def _details_of(error: Exception, request: httpx.Request, limit: float | None) -> dict[str, Any]:
    """Return what a message says about a request."""
    if limit is None:
        phase = next((name for name in _LIMITS if name in type(error).__name__.lower()), "")
        limit = request.extensions.get("timeout", {}).get(phase)
    over_tls = request.url.scheme in _TLS_SCHEMES
    return {
        "method": request.method,
        "server": _server_of(request),
        "limit": limit,
        "reason": failure_reason(error, over_tls=over_tls),
    }
