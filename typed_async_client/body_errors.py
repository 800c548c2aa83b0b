"""The errors about bodies that can't be sent again, or are too large.

``errors.py`` shows them within the tree of all errors.
"""

from typing import Any, Self

import httpx

from typed_async_client.forks import class_for

__all__ = ["RequestBodyConsumedError", "ResponseTooLargeError"]


class RequestBodyConsumedError(httpx.StreamConsumed):
    """The body would have to be sent a second time, but its source can be read only once.

    A redirect with status 307 or 308, an authentication challenge, or a second call of a middleware
    asks for the body again. Nothing is sent then: it would be an empty body. It is raised, too, if a
    source that seemed to start over for another attempt has other or fewer bytes than before: that
    attempt isn't completed.

    Args:
        message: what happened.
        request: the request that needs the body, an httpx or an httpx2 request.
    """

    _fork_name = "StreamConsumed"

    def __new__(cls, message: str = "", *, request: Any = None) -> Self:
        """Create the error, which is httpx2's too if the request is an httpx2 request."""
        created: Self = super().__new__(class_for(cls, request), message)
        return created

    def __init__(self, message: str, *, request: Any = None) -> None:  # noqa: ARG002 - see __new__
        RuntimeError.__init__(self, message)  # httpx's own takes no message


class ResponseTooLargeError(httpx.RequestError):
    """The body of the response is larger than ``max_response_bytes``; no more of it is read.

    Its connection is closed. The request isn't retried, but the server has processed it.

    Args:
        message: what happened.
        request: the request, of httpx or httpx2; a redirect may have led to it.
        limit: ``max_response_bytes``.
        response: the response.

    Attributes:
        limit: the same.
        response: the same, without its body; None if nobody has held it.
    """

    _fork_name = "RequestError"

    def __new__(cls, message: str = "", *, request: Any = None, **_: Any) -> Self:
        """Create the error, which is httpx2's too if the request is an httpx2 request."""
        created: Self = super().__new__(class_for(cls, request), message)
        return created

    def __init__(
        self, message: str, *, request: Any = None, limit: int = 0, response: Any = None
    ) -> None:
        super().__init__(message, request=request)
        self.limit: int = limit
        self.response: Any = response
