"""Whether a request whose connection failed may go out once more at once, on a fresh connection.

That is no retry: it repairs what the pool itself did, reusing a connection that the server was
closing at that moment (RFC 9112 section 9.3.1), or using one that refused the request unread.
"""

from typing import Any

import httpcore
import httpx

from typed_async_client.policies.classify import IDEMPOTENT

__all__ = ["PLAIN_BODIES", "RESENDS", "may_send_again"]

RESENDS = "typed_async_client.resends"
"""Response extension: how often the pool sent the request again on a fresh connection."""

PLAIN_BODIES = (httpx.ByteStream, type(httpcore.Request("GET", "http://a.test/").stream))
"""Bodies that can be sent twice: they hold their bytes."""

_LOST = (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError)

_REFUSED_STREAM = 7
"""RFC 9113 section 7: the stream was not processed."""


def may_send_again(request: httpcore.Request, error: BaseException, *, silent: bool) -> bool:
    """Say whether to send ``request`` once more.

    Args:
        request: the request that failed.
        error: what it failed with.
        silent: whether its connection was used before, and gave no byte of an answer.
    """
    if not isinstance(error, _LOST) or not isinstance(request.stream, PLAIN_BODIES):
        return False
    if _was_refused(error):
        return True
    return silent and _is_idempotent(request)


def _is_idempotent(request: httpcore.Request) -> bool:
    if request.method.decode("ascii", "replace").upper() in IDEMPOTENT:
        return True
    return any(name.lower() == b"idempotency-key" for name, _ in request.headers)


def _was_refused(error: BaseException) -> bool:
    event: Any = error.args[0] if error.args else None
    return getattr(event, "error_code", None) == _REFUSED_STREAM
