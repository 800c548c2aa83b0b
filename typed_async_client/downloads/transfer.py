"""Carries out one download: asks for what is missing until the file is whole.

Each response is written to the part file as it arrives; ``decisions.py`` says what it means. What breaks
off is asked for again, as long as the limits on retries allow it.
"""

import asyncio
import contextlib
import enum
import functools
import inspect
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, assert_never

import httpx

from typed_async_client.downloads.decisions import (
    Append,
    Distrust,
    Done,
    Fail,
    Held,
    Replace,
    decide,
)
from typed_async_client.downloads.errors import DownloadError
from typed_async_client.downloads.heads import head_of
from typed_async_client.downloads.part_file import PartError, PartFile
from typed_async_client.downloads.values import DownloadProgress, ProgressCallback
from typed_async_client.engine.run import Run
from typed_async_client.errors import (
    BudgetExhaustedError,
    DeadlineExceededError,
    GaveUpError,
    RejectedError,
    StatusError,
)
from typed_async_client.facts import fault_of, request_of
from typed_async_client.httpx_errors import as_httpx_error
from typed_async_client.policies.classify import Fault
from typed_async_client.policies.retry import GiveUp, GiveUpReason, RetryAfter
from typed_async_client.redact import error_line
from typed_async_client.waiting import in_thread
from typed_async_client.wording import name_server

__all__ = ["OpenStream", "Transfer", "Wait"]

_log = logging.getLogger("typed_async_client")

_BREAKS: Final = frozenset({Fault.LOST, Fault.TIMEOUT})
"""What may happen to a response whose rest is asked for."""

_DIRECT: Final = 256 * 1024
"""Most bytes that are written without a thread. The system copies that many in 50 µs, which is what
handing them to a thread takes. Larger parts come only as fast as from a server nearby."""

_NOT_SATISFIABLE: Final = 416

OpenStream: TypeAlias = Callable[[Held, int], contextlib.AbstractAsyncContextManager[Any]]
"""Takes what is on the disk, and the failures so far in a row; sends a request for the rest."""

Wait: TypeAlias = Callable[[Fault, int], Awaitable[RetryAfter | GiveUp]]
"""Takes what broke a response, and the failures in a row; waits until another request may be sent."""


class _End(enum.Enum):
    """How a response has ended that didn't break."""

    WHOLE = enum.auto()  #: the file is complete
    MORE = enum.auto()  #: another request must be made, at once


class Transfer:
    """One download, from the first request to the whole file.

    Args:
        run: the limits, the policies and the deadline.
        part: the part file, open.
        open_stream: sends a request.
        wait: waits before a request that follows a break.
        progress: called after each part of the file was written; None for nothing.
        takes_coded: whether a compressed file is stored as it is sent.

    Attributes:
        fetched: bytes received.
        response: the last response; None before the first.
        resumed_at: bytes of the file that an earlier call has left.
        resumes: how often a response has continued the file.
    """

    def __init__(
        self,
        run: Run,
        part: PartFile,
        open_stream: OpenStream,
        wait: Wait,
        progress: ProgressCallback | None,
        *,
        takes_coded: bool,
    ) -> None:
        self.fetched: int = 0
        self.response: Any = None
        self.resumed_at: int = part.held.size
        self.resumes: int = 0
        self._best = part.held.size
        self._distrusted = ""
        self._failures = run.context.current_attempt
        self._open_stream = open_stream
        self._part = part
        self._progress = progress
        self._run = run
        self._takes_coded = takes_coded
        self._wait = wait

    async def complete(self) -> None:
        """Fetch what is missing, and put the file in its place.

        Raises:
            DownloadError: the responses can't be put together, or the part was replaced meanwhile.
            OSError: the disk is full, or fails.
            Exception: the error of the request that no other follows.
        """
        ended: _End | Exception = _End.MORE
        while ended is not _End.WHOLE:
            ended = await self._request()
            if isinstance(ended, Exception):
                await self._recover(ended)
        try:
            await in_thread(self._part.finish)
        except PartError as error:
            raise self._error(str(error)) from error

    async def _request(self) -> _End | Exception:
        """Make one request, and store what it brings; return how it has ended, or what broke it."""
        held = self._part.held
        asked = held if held.size and held.validator is not None else Held()
        async with contextlib.AsyncExitStack() as stack:
            try:
                stream = self._open_stream(asked, self._failures)
                self.response = await stack.enter_async_context(stream)
            except StatusError as error:
                if error.status_code != _NOT_SATISFIABLE or not asked.size:
                    raise
                self.response = error.response
            except Exception as error:
                if not _is_break(error) or fault_of(error) in self._run.policies.retry.faults:
                    raise  # in the latter case, it was retried as often as it may be
                return error
            return await self._receive(self.response, asked)

    async def _receive(self, response: Any, asked: Held) -> _End | Exception:
        decision = decide(head_of(response), asked, takes_coded=self._takes_coded)
        match decision:
            case Append(end=end, total=total):
                self._part.learn_total(total)
                self.resumes += 1
                ended = await self._store_all(response, end)
                return _End.MORE if ended is _End.WHOLE and end != total else ended
            case Replace(total=total, validator=validator):
                self.resumed_at = 0
                self._part.restart(validator, total)
                return await self._store_all(response, total)
            case Done():
                return _End.WHOLE
            case Distrust(reason=reason):
                return self._distrust(reason)
            case Fail(reason=reason):
                raise self._error(reason)
            case _:
                assert_never(decision)

    async def _store_all(self, response: Any, end: int | None) -> _End | Exception:
        """Store a body, up to which the file has ``end`` bytes; None if that is unknown."""
        was_read = response.is_stream_consumed  # that of a mock, or of a middleware
        body = response.aiter_bytes() if was_read else response.aiter_raw()
        async with contextlib.aclosing(body) as parts:
            while True:
                try:
                    data = await anext(parts, None)
                except Exception as error:
                    if _is_break(error):
                        return error
                    raise
                if data is None:
                    break
                self.fetched += len(data)
                if end is not None and self._part.held.size + len(data) > end:
                    return self._distrust(f"more bytes than the {end} that it has announced")
                await self._store(data)
        size = self._part.held.size
        if end is not None and size < end:
            text = f"the response has ended at byte {size} of {end}"
            return httpx.RemoteProtocolError(self._said(text), request=request_of(response))
        return _End.WHOLE

    async def _store(self, data: bytes) -> None:
        if len(data) > _DIRECT:
            await in_thread(functools.partial(self._part.write, data))
        else:
            self._part.write(data)
        if self._progress is not None:
            held = self._part.held
            progress = DownloadProgress(held.size, held.total, self.resumed_at, self.resumes)
            answer = self._progress(progress)
            if inspect.isawaitable(answer):
                await self._in_time(answer)

    async def _in_time(self, answer: Awaitable[Any]) -> None:
        """Wait for the caller's function, at most until the deadline."""
        until = self._run.deadline
        try:
            async with asyncio.timeout_at(None if until == math.inf else until) as limit:
                await answer
        except TimeoutError as error:
            if not limit.expired():
                raise
            message = self._said("the deadline passed while its progress callback was running")
            raise DeadlineExceededError(message, client=self._run.client) from error

    async def _recover(self, error: Exception) -> None:
        """Wait until another request may follow a break.

        Raises:
            Exception: none may.
        """
        size = self._part.held.size
        if size > self._best:
            self._best, self._failures = size, 0
        self._failures += 1
        _log.info("%s", self._said(f"it broke at byte {size} ({error_line(error)})"))
        decision = await self._wait(fault_of(as_httpx_error(error)), self._failures)
        if isinstance(decision, GiveUp):
            raise self._gave_up(error, decision.reason)

    def _gave_up(self, error: Exception, reason: GiveUpReason) -> Exception:
        """Return the error that the download ends with."""
        host, raised = name_server(self._run.record.origin), error
        request, client = request_of(error), self._run.client
        if reason is GiveUpReason.DEADLINE:
            message = self._said(f"no time is left before the deadline to ask {host} for the rest")
            raised = DeadlineExceededError(message, request=request, client=client)
        elif reason is GiveUpReason.BUDGET:
            message = self._said(
                f"{host} isn't asked for the rest, as too many requests were retries"
            )
            raised = BudgetExhaustedError(message, request=request, client=client)
        if raised is not error:
            raised.__cause__ = error
        held = self._part.held
        if held.validator is not None and held.size:
            raised.add_note(
                f"{held.size} bytes are on the disk: another download() of the same URL to the "
                "same path resumes them"
            )
        return raised

    def _distrust(self, reason: str) -> _End:
        """Start over without asking for a part, once."""
        if self._distrusted:
            raise self._error(f"the server has sent {reason}; before, {self._distrusted}")
        _log.info("%s", self._said(f"it starts over: the server has sent {reason}"))
        self._distrusted = reason
        self._part.restart(None, None)
        return _End.MORE

    def _error(self, reason: str) -> DownloadError:
        request = request_of(self.response)
        return DownloadError(self._said(reason), request=request, client=self._run.client)

    def _said(self, text: str) -> str:
        return f"download of {self._run.record.url}: {text}"


def _is_break(error: Exception) -> bool:
    """Whether a response was lost, so that asking for the rest may help."""
    if isinstance(error, GaveUpError | RejectedError):
        return False
    return fault_of(as_httpx_error(error)) in _BREAKS
