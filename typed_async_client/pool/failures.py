"""Words the errors of the pool: what failed, for which request, on which server, and at which limit.

The streams and connections below know why something failed, but not for which request. The errors are
replaced by others of the same class, because those of an HTTP/2 connection reach several requests.
"""

import copy
import traceback

import httpcore

from typed_async_client.libraries import is_from
from typed_async_client.pool.slot import DIRECT, Origin, Route, Slot
from typed_async_client.reasons import hide_header_value, reason_of
from typed_async_client.wire.messages import timeout_of
from typed_async_client.wording import describe_failure, describe_timeout, explained, format_server

__all__ = ["describe_wait", "explain", "is_explained", "message_of"]

_LIMITS: dict[type[BaseException], str] = {
    httpcore.ConnectTimeout: "connect",
    httpcore.ReadTimeout: "read",
    httpcore.WriteTimeout: "write",
    httpcore.PoolTimeout: "pool",
}

_EXPLAINED = (
    *_LIMITS,
    httpcore.ConnectError,
    httpcore.ReadError,
    httpcore.WriteError,
    httpcore.LocalProtocolError,
    httpcore.RemoteProtocolError,
    httpcore.ProxyError,
)


def is_explained(error: BaseException) -> bool:
    """Whether ``explain`` finds words for an error; it is raised unchanged otherwise."""
    return type(error) in _EXPLAINED


def explain(
    error: BaseException, request: httpcore.Request, slot: Slot, *, in_body: bool = False
) -> BaseException:
    """Return an equal error, with a message for the caller of a request noted on it.

    Args:
        error: the error that the request ends with, for which ``is_explained`` is true.
        request: the request.
        slot: the connection it was sent on.
        in_body: whether the head of the response had been read.
    """
    if slot.was_cut_off:
        return _cut_off(error, request, slot, in_body=in_body)
    if isinstance(error, httpcore.LocalProtocolError):
        hide_header_value(error)
    kind = type(error)
    reason = reason_of(error)
    limit = timeout_of(request, _LIMITS[kind]) if kind in _LIMITS else None
    if limit is not None and reason == describe_timeout(limit):
        reason = ""  # the message says it already
    phase = "body" if in_body else "tunnel" if _is_opening_tunnel(slot) else "head"
    message = message_of(kind, request, slot.origin, reason, route=slot.route, phase=phase)
    cause = error.__cause__
    if cause is not None and is_from(cause, "h11"):  # its frames refer to it
        traceback.clear_frames(cause.__traceback__)
    return explained(copy.copy(error), message).with_traceback(error.__traceback__)


def _cut_off(
    error: BaseException, request: httpcore.Request, slot: Slot, *, in_body: bool
) -> BaseException:
    """Return the error of a request whose connection its own client has closed."""
    reason = "the client was closed meanwhile"
    phase = "body" if in_body else "head"
    message = message_of(httpcore.ReadError, request, slot.origin, reason, phase=phase)
    return explained(httpcore.ReadError(message), message).with_traceback(error.__traceback__)


def message_of(
    kind: type[BaseException],
    request: httpcore.Request,
    origin: Origin,
    reason: str,
    *,
    route: Route = DIRECT,
    phase: str = "head",
) -> str:
    """Return the message of an error of that class."""
    scheme, host, port = origin
    server = format_server(scheme.decode("ascii"), host.decode("ascii", "replace"), port)
    name = _LIMITS.get(kind)
    return describe_failure(
        kind,
        method=request.method.decode("ascii", "replace"),
        server=f"{server} through {route.through}" if route.through else server,
        limit=None if name is None else timeout_of(request, name),
        phase=phase,
        reason=reason,
    )


def describe_wait(
    request: httpcore.Request, origin: Origin, active: int, limit: int | None, ahead: int
) -> str:
    """Return the message for a request that has waited too long for a connection.

    Args:
        request: the request.
        origin: the origin of its URL.
        active: connections in use.
        limit: maximum number of connections; None for no limit.
        ahead: requests that were waiting for one before it.
    """
    used = f"{active} connections" if limit is None else f"{active} of {limit} connections"
    others = "1 request was" if ahead == 1 else f"{ahead} requests were"
    reason = f"{used} in use, {others} waiting before it"
    return message_of(httpcore.PoolTimeout, request, origin, reason)


def _is_opening_tunnel(slot: Slot) -> bool:
    """Whether a proxy was being asked for the way to the origin, or hasn't been reached yet."""
    return bool(slot.route.through) and slot.connection.exchange is None
