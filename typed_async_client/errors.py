"""The errors that are ours; every other error a caller sees is httpx's own.

    httpx.ConnectError, httpcore.ConnectError
      └── ConnectError             every allowed attempt to connect has failed; through a client
                                   of httpx2 it is an ``httpx2.ConnectError`` too
    OSError
      └── AddressRefusedError      the client's address guard refuses the host's address
    RuntimeError
      ├── ClientClosedError        the client was closed before the request was made
      ├── ClientBoundError         another event loop, thread or process owns the client
      └── RequestCancelledError    ``RequestResult.unwrap()`` on a cancelled request

This file knows nothing of requests or retries: it names what can go wrong.
"""

import functools
import importlib
from typing import Any, Self

import httpcore
import httpx

from typed_async_client.libraries import is_from

__all__ = [
    "AddressRefusedError",
    "ClientBoundError",
    "ClientClosedError",
    "ConnectError",
    "RequestCancelledError",
]


class ConnectError(httpx.ConnectError, httpcore.ConnectError):
    """Every allowed attempt to connect has failed; nothing of the request was sent.

    It is caught by ``except httpx.ConnectError`` and by ``except httpcore.ConnectError``; when the
    request was one of httpx2, by ``except httpx2.ConnectError`` as well. Its cause is the error of
    the last attempt, and a note tells how many attempts were made.

    Args:
        message: what happened, in words.
        request: the request of the last attempt, httpx's or httpx2's.
    """

    def __new__(cls, message: str = "", *, request: Any = None) -> Self:
        """Make an error that is caught by the names of the library that the request is of."""
        kind = (
            _connect_error_of_fork() if cls is ConnectError and is_from(request, "httpx2") else cls
        )
        return super().__new__(kind, message)


class AddressRefusedError(OSError):
    """The host resolves to an address that the client's address guard refuses.

    It is behind the ``ConnectError`` that the caller gets; such a request is not retried.
    """


class ClientClosedError(RuntimeError):
    """The client is closed. Make a new one: a closed client does not open again."""


class ClientBoundError(RuntimeError):
    """The client belongs to another event loop, thread or process; the message names both."""


class RequestCancelledError(RuntimeError):
    """The request was cancelled, so it has no response to give.

    ``unwrap()`` raises this and not ``asyncio.CancelledError``, which would tell the task that
    merely *looks at* a result that it is itself being cancelled.
    """


@functools.cache
def _connect_error_of_fork() -> type[Any]:
    """Make the class that httpx2 knows too, at its first use: httpx2 need not be installed."""
    fork = importlib.import_module("httpx2")
    methods = {"__doc__": ConnectError.__doc__, "__reduce__": _reduce_of_fork}
    return type("ConnectError", (ConnectError, fork.ConnectError), methods)


def _reduce_of_fork(error: ConnectError) -> tuple[Any, ...]:
    """Let pickle find a class that stands in no module."""
    return _rebuild_of_fork, error.args, vars(error)


def _rebuild_of_fork(*args: Any) -> Any:
    return _connect_error_of_fork()(*args)
