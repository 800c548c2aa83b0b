"""The errors that are ours; every other error a caller sees is httpx's own.

    httpx.ConnectError, httpcore.ConnectError
      └── ConnectError             every allowed attempt to connect has failed
    OSError
      └── AddressRefusedError      the client's address guard refuses the host's address
    RuntimeError
      ├── ClientClosedError        the client was closed before the request was made
      ├── ClientBoundError         another event loop, thread or process owns the client
      └── RequestCancelledError    ``RequestResult.unwrap()`` on a cancelled request

This file knows nothing of requests or retries: it names what can go wrong.
"""

import httpcore
import httpx

__all__ = [
    "AddressRefusedError",
    "ClientBoundError",
    "ClientClosedError",
    "ConnectError",
    "RequestCancelledError",
]


class ConnectError(httpx.ConnectError, httpcore.ConnectError):
    """Every allowed attempt to connect has failed; nothing of the request was sent.

    It is caught by ``except httpx.ConnectError`` and by ``except httpcore.ConnectError``. Its
    cause is the error of the last attempt, and a note tells how many attempts were made.
    """


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
