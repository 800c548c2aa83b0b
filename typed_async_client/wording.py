"""The words of error messages: which request failed, on which server, in which phase, at which limit.

Pure: values in, text out. A server is named by its host and port, never by a whole URL, which may hold
secrets.
"""

from typing import TypeVar

__all__ = [
    "describe_failure",
    "describe_timeout",
    "explained",
    "explanation_of",
    "format_seconds",
    "format_server",
    "name_server",
]

_E = TypeVar("_E", bound=BaseException)

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_WORDS = {
    "ConnectTimeout": "no connection to {server}{limit} (connect timeout)",
    "ReadTimeout": "no response from {server}{limit} (read timeout)",
    "WriteTimeout": "{server} accepted no more of the request{limit} (write timeout)",
    "PoolTimeout": "no free connection for {server}{limit} (pool timeout)",
    "TimeoutException": "no response from {server} in time",
    "ConnectError": "cannot connect to {server}",
    "ReadError": "connection to {server} lost while waiting for the response",
    "WriteError": "connection to {server} lost while sending the request",
    "CloseError": "the connection to {server} could not be closed",
    "NetworkError": "connection to {server} lost",
    "RemoteProtocolError": "no valid response from {server}",
    "LocalProtocolError": "invalid request to {server}",
    "ProtocolError": "no valid exchange with {server}",
    "ProxyError": "no connection to {server}",
    "TransportError": "no response from {server}",
}
"""By the name of an error's class, which httpx, httpcore and their forks have in common."""

_IN_BODY = {
    "ReadTimeout": "no more of the response body from {server}{limit} (read timeout)",
    "ReadError": "connection to {server} lost while reading the response body",
    "RemoteProtocolError": "no complete response from {server}",
}

_IN_TUNNEL = {
    "ReadTimeout": "no tunnel to {server}{limit} (read timeout)",
    "ReadError": "connection lost while waiting for a tunnel to {server}",
    "RemoteProtocolError": "no tunnel to {server}",
    "ProxyError": "no tunnel to {server}",
}

_PHASES = {"head": _WORDS, "body": _WORDS | _IN_BODY, "tunnel": _WORDS | _IN_TUNNEL}


def describe_failure(
    kind: type[BaseException],
    *,
    method: str = "",
    server: str = "the server",
    limit: float | None = None,
    phase: str = "head",
    reason: str = "",
) -> str:
    """Return the message of a network error; empty if its class isn't a known one.

    Args:
        kind: the error's class, of httpx, httpcore or one of their forks.
        method: the request's method.
        server: the server, and how it is reached.
        limit: the timeout in seconds that expired; None if unknown.
        phase: ``"head"`` until the response's head has been read, then ``"body"``; ``"tunnel"``
            while a proxy opens a tunnel.
        reason: what the system or the library says.

    Example:
        >>> describe_failure(httpx.ReadTimeout, method="GET", server="api.test:443", limit=5.0)
        'GET: no response from api.test:443 within 5 s (read timeout)'
    """
    names = [each.__name__ for each in kind.__mro__ if each.__name__ in _WORDS]
    words = _PHASES[phase][names[0]] if names else ""
    within = "" if limit is None else f" within {format_seconds(limit)}"
    text = words.format(server=server, limit=within)
    return ": ".join(filter(None, (method, text, reason))) if text else ""


class _Explanation(str):
    """A note on an error that says what happened."""

    __slots__ = ()


def explained(error: _E, text: str) -> _E:
    """Note on an error of httpcore what happened, instead of an earlier such note, and return it.

    httpcore keeps the system's error as the only argument of its own, where callers look for it, so
    that there is no room for a message.
    """
    others = [note for note in getattr(error, "__notes__", ()) if type(note) is not _Explanation]
    error.__notes__ = [*others, _Explanation(text)]  # a new list: copies of an error share theirs
    return error


def explanation_of(error: BaseException) -> str:
    """Return what was noted on an error by ``explained``; empty if nothing was."""
    notes = getattr(error, "__notes__", ())
    return next((str(note) for note in notes if type(note) is _Explanation), "")


def describe_timeout(limit: float) -> str:
    """Return the message of a stream that timed out, which doesn't know its server."""
    return f"timed out after {format_seconds(limit)}"


def format_server(scheme: str, host: str, port: int | None) -> str:
    """Return host and port, with the scheme's default port and brackets around an IPv6 address.

    Example:
        >>> format_server("wss", "::1", None)
        '[::1]:443'
    """
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    port = _PORTS.get(scheme) if port is None else port
    return name if port is None else f"{name}:{port}"


def name_server(origin: str) -> str:
    """Return the origin that a request asks, in words if it is unknown."""
    return origin or "the server"


def format_seconds(seconds: float) -> str:
    """Return a duration without superfluous digits.

    Example:
        >>> format_seconds(5.0), format_seconds(0.05)
        ('5 s', '0.05 s')
    """
    return f"{seconds:.10g} s"
