"""What httpcore's ``trace`` extension tells about an attempt: its phases, and whether it was sent."""

import time
from collections.abc import Callable
from typing import Any

from typed_async_client.attempts import Attempt

__all__ = ["trace_phases"]

_PHASES = {
    "connect_tcp": "connect",
    "start_tls": "tls",
    "send_request_headers": "send",
    "send_request_body": "send",
    "receive_response_headers": "wait",
    "receive_response_body": "receive",
}
"""What a record calls the steps of httpcore; a name lookup is part of ``connect``."""

_RECEIVING = ("http11.receive", "http2.receive")
"""The steps in which only the response is missing."""

_CONNECTING = ("connect", "tls")
"""The phases before a byte of the request leaves."""


def trace_phases(attempt: Attempt, inner: Any, log: Any, *, is_async: bool) -> Callable[..., Any]:
    """Return a ``trace`` extension that adds up the seconds spent in each phase of an attempt.

    It also records that nothing was sent while the attempt connects, which matters if it takes too
    long, and that everything was sent, which matters if a copy of it is faster.

    Args:
        attempt: the attempt, whose phases grow while it is made.
        inner: the caller's own ``trace`` extension, which is called as before; None without one.
        log: the ``SentLog`` of the attempt.
        is_async: whether the extension is for an asynchronous client.
    """
    recorder = _Recorder(attempt, log)
    if not is_async:

        def trace(name: str, info: dict[str, Any]) -> None:
            recorder.record(name)
            if inner is not None:
                inner(name, info)

        return trace

    async def atrace(name: str, info: dict[str, Any]) -> None:
        recorder.record(name)
        if inner is not None:
            await inner(name, info)

    return atrace


class _Recorder:
    def __init__(self, attempt: Attempt, log: Any) -> None:
        self._attempt = attempt
        self._began: dict[str, float] = {}
        self._has_sent = False
        self._log = log
        self._phases: dict[str, float] = {} if attempt.phases is None else attempt.phases

    def record(self, name: str) -> None:
        """Record an event such as ``connection.connect_tcp.started``."""
        step, _, state = name.rpartition(".")
        phase = _PHASES.get(step.rpartition(".")[2])
        if phase is None:
            return
        now = time.perf_counter()
        is_missing_response_only = step.startswith(_RECEIVING) and "send" not in self._began
        self._attempt.closes_if_cut = is_missing_response_only
        if state == "started":
            self._has_sent = self._has_sent or phase not in _CONNECTING
            self._log.has_sent_nothing = not self._has_sent
            self._began[phase] = now
        elif phase in self._began:
            spent = now - self._began.pop(phase)
            self._phases[phase] = self._phases.get(phase, 0.0) + spent
