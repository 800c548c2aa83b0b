"""Reads httpx's and httpcore's errors and responses, and turns them into facts.

The only room that knows how those libraries, and their fork httpx2, say what happened. It decides
nothing: what a fact means for the next attempt is said in ``policies/``.
"""

import os
import socket
import ssl
from collections.abc import Iterator
from contextvars import ContextVar, Token

import h11
import httpcore
import httpx

from typed_async_client.errors import AddressRefusedError
from typed_async_client.policies.classify import Fault

__all__ = [
    "Tally",
    "as_httpx_error",
    "as_raised_by_httpx",
    "begin_attempt",
    "current_tally",
    "end_attempt",
    "explain_connect_failure",
    "read_fault",
]

_HTTPCORE_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)

_CONNECT_ERRORS = (httpx.ConnectError, httpcore.ConnectError)
_TIMEOUTS = (httpx.TimeoutException, httpcore.TimeoutException, TimeoutError)

_FOREIGN: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (ssl.SSLError, httpx.ReadError),
    (h11.LocalProtocolError, httpx.LocalProtocolError),
    (h11.RemoteProtocolError, httpx.RemoteProtocolError),
)
"""Errors that httpx 0.28 lets out although they are not its own, and what they amount to."""

_FORKS = frozenset({"httpx2", "httpcore2"})
"""Libraries that have httpx's and httpcore's classes under the same names, and share none of them."""

_TLS_CUT_SHORT = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""TLS errors that tell of a lost connection, not of a peer that will refuse again."""


def as_raised_by_httpx(error: Exception) -> Exception:
    """Give httpx's error of the same name for one of httpcore's; any other is itself."""
    if not isinstance(error, _HTTPCORE_ERRORS):
        return error
    for kind in type(error).__mro__:
        twin = getattr(httpx, kind.__name__, None)
        if isinstance(twin, type) and issubclass(twin, httpx.TransportError):
            raised: Exception = twin(str(error))
            return raised
    return error


def as_httpx_error(error: Exception) -> Exception:
    """Give the error that the caller sees for what an attempt raised.

    An error that is httpx's, httpcore's or the caller's own passes as it is. A raw error of the
    ssl module, of h11, or a group of connect failures becomes the httpx error of the same
    meaning, with the original as its cause.
    """
    kind = _httpx_kind(error)
    if kind is None:
        return error
    first = next(_leaves(error))
    twin = kind(str(first) or type(first).__name__)
    twin.__cause__ = error
    return twin


def _httpx_kind(error: Exception) -> type[httpx.TransportError] | None:
    """Give the httpx error that a foreign one amounts to, None when it is not foreign."""
    for foreign, ours in _FOREIGN:
        if isinstance(error, foreign):
            return ours
    if type(error).__module__.partition(".")[0] == "h2":
        return httpx.RemoteProtocolError
    if isinstance(error, ExceptionGroup):
        failed_to_connect = all(
            isinstance(leaf, OSError | OverflowError) for leaf in _leaves(error)
        )
        return httpx.ConnectError if failed_to_connect else None
    return None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Give the errors of a group, and of the groups in it; an error alone is its own leaf."""
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _leaves(member)
    else:
        yield error


def read_fault(error: Exception) -> Fault:
    """Say what kind of failure an error of ``as_httpx_error`` tells of."""
    if isinstance(error, _TIMEOUTS) or _is_of_fork(error, "TimeoutException"):
        return Fault.TIMEOUT
    if not isinstance(error, _CONNECT_ERRORS) and not _is_of_fork(error, "ConnectError"):
        return Fault.OTHER
    if _can_never_connect(error):
        return Fault.UNREACHABLE
    tally = current_tally()
    if tally.body_used_up:  # the next attempt would send an empty one
        return Fault.OTHER
    return Fault.CONNECT_LATER if tally.has_sent else Fault.CONNECT


def _is_of_fork(error: Exception, name: str) -> bool:
    """Say whether an error is a fork's class of that name, read off it without the library."""
    return any(
        kind.__name__ == name and kind.__module__.partition(".")[0] in _FORKS
        for kind in type(error).__mro__
    )


class Tally:
    """What one attempt has sent so far, whatever its error may say.

    One attempt sends more than one request when it follows a redirect or answers a challenge, and
    code of the caller's own runs within it: hooks, authentication, bodies. An error from any of
    these may look like a connect failure.

    Args:
        owner: who counts, when the client is not of our own making and may tell nobody.

    Attributes:
        owner: the same.
        hops: requests that httpx was about to send.
        answered: whether one of them was answered.
        body_begun: whether a body that is made on the way has begun to be sent.
        body_used_up: whether it was one that can be read only once.
    """

    __slots__ = ("answered", "body_begun", "body_used_up", "hops", "owner")

    def __init__(self, owner: object = None) -> None:
        self.owner: object = owner
        self.hops: int = 0
        self.answered: bool = False
        self.body_begun: bool = False
        self.body_used_up: bool = False

    @property
    def has_sent(self) -> bool:
        """Whether anything may have been processed.

        A client that was brought and has told of no request may have sent any.
        """
        untold = self.hops == 0 and self.owner is not None
        return self.answered or self.body_begun or self.hops > 1 or untold


_tally: ContextVar[Tally] = ContextVar("typed_async_client.tally")


def begin_attempt(tally: Tally | None = None) -> "Token[Tally]":
    """Start a new tally for the running task; give what ``end_attempt`` takes.

    Args:
        tally: the one to start with; a fresh one without it.
    """
    return _tally.set(tally or Tally())


def end_attempt(outer: "Token[Tally]") -> None:
    """Go back to the tally that was the running task's before ``begin_attempt``."""
    _tally.reset(outer)


def current_tally() -> Tally:
    """Give the tally of the attempt that the running task makes; an idle one outside of any."""
    return _tally.get(_NO_TALLY)


_NO_TALLY = Tally()


def explain_connect_failure(error: Exception, request: httpx.Request | None) -> str:
    """Say in the system's own words why no connection came about, and where to if it is known."""
    reason = str(error) or "no connection"
    for origin in _origins(error):
        if isinstance(origin, OSError) and origin.errno and not isinstance(origin, socket.gaierror):
            reason = os.strerror(origin.errno) if origin.errno > 0 else str(origin)
    if request is None:
        return reason
    port = request.url.port or {"http": 80, "https": 443}.get(request.url.scheme)
    return f"cannot connect to {request.url.host}:{port}: {reason}"


def _can_never_connect(error: BaseException) -> bool:
    return any(_is_permanent(origin) for origin in _origins(error))


def _is_permanent(error: BaseException) -> bool:
    if isinstance(error, ssl.SSLError):
        return not isinstance(error, _TLS_CUT_SHORT)
    if isinstance(error, socket.gaierror):
        return error.errno != socket.EAI_AGAIN
    return isinstance(error, OverflowError | UnicodeError | AddressRefusedError)


def _origins(error: BaseException | None) -> Iterator[BaseException]:
    """Walk from an error to the ones behind it.

    httpcore raises ``from None``, so the error of the operating system is no longer a cause: it
    stands in ``args[0]`` of httpcore's error.
    """
    seen: set[int] = set()
    pending = [error]
    while pending:
        origin = pending.pop()
        if not isinstance(origin, BaseException) or id(origin) in seen:
            continue
        seen.add(id(origin))
        yield origin
        pending += [origin.__cause__, *origin.args[:1]]
        if isinstance(origin, BaseExceptionGroup):
            pending += origin.exceptions
