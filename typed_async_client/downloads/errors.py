"""The error of a download whose responses can't be put together to one file."""

from typing import Any, Self

import httpx

from typed_async_client.forks import class_for

__all__ = ["DownloadError"]


class DownloadError(httpx.RequestError):
    """The file can't be downloaded, although the server answers.

    The server has sent parts that don't belong together, or a status that comes with no file; or
    another download, or another program, uses the file that this one writes to. What can be resumed
    stays beside the target.

    Args:
        message: what happened.
        request: the request of the last response, an httpx or an httpx2 request; None if nothing was
            sent.
        client: the client of httpx or httpx2 whose request it was, if ``request`` is unknown.
    """

    _fork_name = "RequestError"

    def __new__(cls, message: str = "", *, request: Any = None, client: Any = None) -> Self:
        """Create the error, which is httpx2's too if the request, or the client, is of httpx2."""
        source = client if request is None else request
        created: Self = super().__new__(class_for(cls, source), message)
        return created

    def __init__(self, message: str, *, request: Any = None, client: Any = None) -> None:  # noqa: ARG002 - see __new__
        super().__init__(message, request=request)
