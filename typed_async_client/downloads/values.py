"""What a download reports: its progress while it runs, and what it has stored."""

import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import httpx

__all__ = ["Download", "DownloadProgress", "ProgressCallback"]


@dataclasses.dataclass(frozen=True, slots=True)
class DownloadProgress:
    """How far a download has got.

    Attributes:
        received: bytes of the file that are on the disk. It falls back if the download has to start
            over, because the file has changed or can't be resumed.
        total: bytes of the whole file; None if the server hasn't said.
        resumed_at: bytes of it that an earlier call has left.
        resumes: how often a response has continued the file so far.

    Example:
        >>> DownloadProgress(received=512, total=2048).fraction
        0.25
    """

    received: int
    total: int | None = None
    resumed_at: int = 0
    resumes: int = 0

    @property
    def fraction(self) -> float | None:
        """The share that is on the disk, from 0 to 1; None if the total is unknown."""
        return self.received / self.total if self.total else None


ProgressCallback: TypeAlias = Callable[[DownloadProgress], Awaitable[None] | None]
"""Called after each part of the file was written; it may be async, and the download waits for it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file that was downloaded.

    Attributes:
        path: where it is.
        size: its bytes.
        etag: the entity tag that the server has sent with it, as in ``'"v1"'``; None without one.
        resumed_at: bytes of it that an earlier call had left.
        resumes: how often a response has continued the file.
        fetched: bytes that this call has received; more than ``size - resumed_at`` if it had to
            start over.
        attempts: attempts made, retries included.
        request_ids: the ids of its requests, in order, for ``client.get_result()``.
        status_code: the status of the last response: 200 for a whole file, 206 for its rest, 416 if
            no rest was left.
        headers: the headers of the last response.
        complete: True if the server has said where the file ends; None if only the end of the
            connection tells, so that it may have been cut off.
    """

    path: Path
    size: int
    etag: str | None
    resumed_at: int
    resumes: int
    fetched: int
    attempts: int
    request_ids: tuple[str, ...] = dataclasses.field(repr=False)
    status_code: int
    headers: httpx.Headers = dataclasses.field(
        default_factory=httpx.Headers, repr=False, compare=False
    )
    complete: bool | None = True
