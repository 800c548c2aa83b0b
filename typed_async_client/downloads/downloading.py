"""Downloads files: each download is one or more streamed requests, and resumes what has broken off."""

import dataclasses
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

import httpx

from typed_async_client.downloads.decisions import Held
from typed_async_client.downloads.errors import DownloadError
from typed_async_client.downloads.heads import (
    check_headers,
    head_of,
    headers_of,
    range_headers,
    takes_coded,
)
from typed_async_client.downloads.part_file import PartError, PartFile, target_of
from typed_async_client.downloads.transfer import Transfer
from typed_async_client.downloads.values import Download, ProgressCallback
from typed_async_client.engine.drivers import AsyncDriver
from typed_async_client.engine.resuming import resume_flow
from typed_async_client.httpx_types import (
    AuthTypes,
    CookieTypes,
    HeaderTypes,
    QueryParamTypes,
    RequestExtensions,
    TimeoutTypes,
    UseClientDefault,
)
from typed_async_client.policies.classify import Fault
from typed_async_client.policies.deadline import deadline_option
from typed_async_client.policies.resilience import Resilience
from typed_async_client.policies.retry import GiveUp, GiveUpReason, RetryAfter
from typed_async_client.spelling import check_names
from typed_async_client.streaming import ResponseStream, Streaming

if TYPE_CHECKING:
    from pathlib import Path

    from typed_async_client.context import RequestContext
    from typed_async_client.engine.run import Run
    from typed_async_client.httpx_client.sending import RequestSender

__all__ = ["DownloadOptions", "Downloading"]


class DownloadOptions(TypedDict, total=False):
    """The options of a download; each means what it means for a request."""

    params: QueryParamTypes | None
    headers: HeaderTypes | None
    cookies: CookieTypes | None
    auth: AuthTypes | UseClientDefault | None
    follow_redirects: bool | UseClientDefault
    extensions: RequestExtensions | None
    timeout: TimeoutTypes | UseClientDefault
    resilience: Resilience | None
    deadline: float | None


_KNOWN: Final = frozenset({*DownloadOptions.__annotations__, "context", "progress"})

_NO_BODY: Final = "a download is a GET without a body: use client.stream() for other requests"

_ELSEWHERE: Final = {
    **dict.fromkeys(("content", "data", "files", "json", "method", "idempotency_key"), _NO_BODY),
    "raise_on_status": "a download always raises a status of 400 or above",
}
"""Options of requests that a download doesn't have, and why."""


class Downloading(Streaming):
    """The part of a client that downloads files."""

    async def download(
        self,
        url: httpx.URL | str,
        path: str | os.PathLike[str],
        context: "RequestContext | None" = None,
        *,
        progress: ProgressCallback | None = None,
        **options: Unpack[DownloadOptions],
    ) -> Download:
        """Download a file, and resume it when it breaks off, in this call or in a later one.

        The bytes are written to ``<path>.part`` as they arrive. When the file is whole and on the
        disk, it takes the place of ``path`` at once; until then nothing changes there. If the call
        fails, is cancelled, or its process is killed, the part stays, and another call with the same
        URL and path asks for the rest only: with ``Range`` and ``If-Range``, so that a file that has
        changed is sent whole. That needs a strong ``ETag``, or a ``Last-Modified`` that is old
        enough (RFC 9110 sections 8.8 and 13.1.5); without either, a download starts over.

        A response that is lost, or that stops for longer than the read timeout, is continued by
        another request after the backoff. ``max_retries`` limits how many may follow each other
        without any progress. The retry budget is asked before each, and the deadline bounds them all.

        Args:
            url: the URL.
            path: where to store the file; its folder must exist. A file that is there is replaced,
                and its permissions are kept. A link stays: the file that it leads to is replaced.
            context: the retry limits, the metadata of all requests, and the id of the first. If that
                is ``iso``, the others are ``iso-2``, ``iso-3`` and so on.
            progress: called with a ``DownloadProgress`` after each part that was written; it may be
                async. What it raises ends the download, which can be resumed.
            **options: those of a request that has no body. ``deadline`` bounds the whole download.
                ``headers`` may hold ``Accept-Encoding``; then the file is stored as it is sent, even
                if it is compressed.

        Raises:
            DownloadError: the responses can't be put together to one file, the server has compressed
                it unasked, another download is writing to the same path, or ``<path>.part`` is a
                file that no download has left.
            StatusError: the server has answered with a status of 400 or above.
            OSError: the folder doesn't exist, the disk is full, and the like.
            TypeError: an option is unknown, or ``path`` isn't one.
            ValueError: ``path`` names no file, or ends with ``.part`` or ``.part.json``, as the files
                of other downloads do; or a header is one that the download sets.
            Exception: whatever ``request()`` raises.

        Example:
            >>> async def main() -> None:
            ...     async with AsyncResilientClient() as client:
            ...         done = await client.download("https://example.org/big.iso", "big.iso")
            ...         print(done.size)
        """
        check_names("download option", options, _KNOWN, _ELSEWHERE)
        if progress is not None and not callable(progress):
            raise TypeError(f"progress must be callable, got {progress!r:.100}")
        headers = check_headers(options.get("headers"))
        target = target_of(path)
        self._engine.start()  # the loop's clock is needed first
        chosen = {**options, "headers": headers}
        run, sender = self._prepare("GET", url, context, chosen)
        requests = _Requests(self, url, run, sender, chosen)
        part = _open_part(target, run, f"{_without_userinfo(url)} {options.get('params')!r}")
        transfer = Transfer(
            run, part, requests.open, requests.wait, progress, takes_coded=takes_coded(headers)
        )
        try:
            await transfer.complete()
        finally:
            part.close()
        return _described(target, part, transfer, requests)


class _Requests:
    """The requests of one download.

    Args:
        client: sends them.
        url: the URL.
        run: the limits and the deadline of the download.
        sender: that of the run, which sends nothing.
        options: the options of each request.

    Attributes:
        attempts: attempts made, without those of the request that is open.
        ids: their ids, in order.
    """

    def __init__(
        self,
        client: Downloading,
        url: httpx.URL | str,
        run: "Run",
        sender: "RequestSender",
        options: Mapping[str, Any],
    ) -> None:
        self.attempts: int = 0
        self.ids: list[str] = []
        self._client = client
        self._options = options
        self._run = run
        self._sender = sender
        self._url = url

    def open(self, held: Held, failures: int) -> ResponseStream:
        """Return a stream that asks for what is missing."""
        run, context = self._run, self._run.context
        if self.ids:
            self.count()
            request_id = f"{context.request_id}-{len(self.ids) + 1}"
            context = dataclasses.replace(
                context.renew(), request_id=request_id, current_attempt=failures
            )
        self.ids.append(context.request_id)
        options: dict[str, Any] = {
            **self._options,
            "headers": range_headers(self._options["headers"], held),
            "deadline": deadline_option(run.remaining()),
            "raise_on_status": True,
            "max_response_bytes": None,  # a file doesn't have to fit into memory
        }
        return self._client.stream("GET", self._url, context, **options)

    def count(self) -> None:
        """Count the attempts of the last request, which has ended; 1 if its result is gone."""
        result = self._client.get_result(self.ids[-1])
        self.attempts += 1 if result is None else result.attempts

    async def wait(self, fault: Fault, failures: int) -> RetryAfter | GiveUp:
        """Wait until another request may be sent, unless none may."""
        if self._client._engine.is_closed:  # noqa: SLF001 - a part of the client
            return GiveUp(GiveUpReason.FINAL)
        driver = AsyncDriver(self._sender, lambda _: None)  # the flow publishes nothing
        return await driver.drive(resume_flow(self._run, fault, failures))


def _open_part(target: "Path", run: "Run", identity: str) -> PartFile:
    try:
        return PartFile(target, run.record.url, f"{run.record.url} {identity}")
    except BlockingIOError as error:
        raise DownloadError(
            f"download of {run.record.url}: another download is writing to {str(target)!r}: wait for "
            "it, or choose another path",
            client=run.client,
        ) from error
    except PartError as error:
        raise DownloadError(f"download of {run.record.url}: {error}", client=run.client) from error


def _without_userinfo(url: httpx.URL | str) -> str:
    """Return a URL without its password, which could be guessed from a hash of the URL."""
    return str(httpx.URL(str(url)).copy_with(username="", password=""))


def _described(target: "Path", part: PartFile, transfer: Transfer, requests: _Requests) -> Download:
    requests.count()
    head, validator = head_of(transfer.response), part.held.validator
    known = validator.value if validator is not None and validator.kind == "etag" else None
    return Download(
        path=target,
        size=part.held.size,
        etag=head.etag or known,
        resumed_at=transfer.resumed_at,
        resumes=transfer.resumes,
        fetched=transfer.fetched,
        attempts=requests.attempts,
        request_ids=tuple(requests.ids),
        status_code=head.status,
        headers=headers_of(transfer.response),
        complete=True if part.held.total is not None else _complete(transfer.response),
    )


def _complete(response: Any) -> bool | None:
    """Whether the end of a body without a length was marked; only our own pool reports if it wasn't."""
    complete: bool | None = response.extensions.get("complete", True)
    return complete
